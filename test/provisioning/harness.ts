/** The service in this process, on the run's Postgres, and identity sources that provision it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { readConfig } from '../../src/config.js';
import { createServer, type Server } from '../../src/server.js';
import { Api, type Answer, type Json } from '../support/api.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { readFile } from 'node:fs/promises';

export interface Service {
  readonly admin: Api;
  readonly database: TestDatabase;
  readonly server: Server;
  readonly close: () => Promise<void>;
}

export async function openService(
  environment: Record<string, string> = {},
  logger: pino.Logger = pino({ level: 'silent' }),
): Promise<Service> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'keelson-provisioning-'));
  const database = await createDatabase({ migrated: false });
  const config = readConfig({
    KEELSON_DATA: dataFolder,
    KEELSON_PORT: '0',
    KEELSON_DATABASE_URL: database.url,
    KEELSON_MIGRATION_URL: database.adminUrl,
    KEELSON_TOKEN_FRESH_MS: '0',
    ...environment,
  });
  const server = createServer(config, { logger });
  await server.start();
  const admin = new Api(server.running.url, (await readFile(server.running.adminTokenFile, 'utf8')).trim());
  return {
    admin,
    database,
    server,
    close: async () => {
      await server.stop();
      await database.drop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

export const SCIM = {
  activeFalse: 'leaver',
  aliases: [{ attribute: 'userName' }, { attribute: 'externalId', issuer: 'https://login.example' }],
  groupClaim: 'displayName',
} as const;

/** A SCIM client of one source. */
export class ScimClient {
  constructor(
    private readonly api: Api,
    readonly source: string,
  ) {}

  static async open({ admin }: Service, source: string, scim: object = SCIM, more: object = {}): Promise<ScimClient> {
    const { status, body } = await admin.send('PUT', `/v1/producers/${source}`, {
      issuer: 'https://idp.example',
      scim,
      ...more,
    });
    if (status !== 200) throw new Error(`no source: ${JSON.stringify(body)}`);
    return new ScimClient(await admin.as(source, ['provision']), source);
  }

  get token(): string {
    return this.api.token;
  }

  get url(): string {
    return `${this.api.url}/scim/v2`;
  }

  send<T = Json>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    return this.api.send<T>(method, `/scim/v2${path}`, body, {
      ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }),
      ...headers,
    });
  }

  get = <T = Json>(path: string, headers?: Record<string, string>): Promise<Answer<T>> =>
    this.send<T>('GET', path, undefined, headers);

  /** Makes a user, answers its id. */
  async user(userName: string, more: object = {}): Promise<string> {
    return this.create('/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, ...more });
  }

  async group(displayName: string, members: readonly string[] = [], more: object = {}): Promise<string> {
    return this.create('/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName,
      members: members.map((value) => ({ value })),
      ...more,
    });
  }

  async create(path: string, resource: object): Promise<string> {
    const { status, body } = await this.send<{ id: string }>('POST', path, resource);
    if (status !== 201) throw new Error(`not made: ${status} ${JSON.stringify(body)}`);
    return body.id;
  }

  patch<T = Json>(path: string, ...operations: unknown[]): Promise<Answer<T>> {
    return this.send<T>('PATCH', path, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: operations,
    });
  }

  find<T = Json>(path: string, filter: string, more = ''): Promise<Answer<{ totalResults: number; Resources: T[] }>> {
    return this.get(`${path}?filter=${encodeURIComponent(filter)}${more}`);
  }
}

/** What lifecycle says of what came in from a source, oldest first, as someone who may see persons. */
export async function eventsOf({ admin }: Service, source: string, from = 0): Promise<Json[]> {
  const { body: logs } = await admin.get<{ logs: { log: string; size: number }[] }>('/v1/logs');
  const size = logs.logs.find(({ log }) => log === 'lifecycle/0/g1')?.size ?? 0;
  const events: Json[] = [];
  for (let index = from; index < size; index++) {
    const { body } = await admin.get<{ kind: string; type: string; producer: string; event: Json }>(
      `/v1/logs/lifecycle/0/g1/entries/${index}`,
    );
    if (body.kind === 'record' && body.producer === source) events.push(body.event);
  }
  return events;
}
