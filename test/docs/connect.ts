/** What the documents on connecting identity providers are held to: their own configuration, and requests as those send them. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';
import { createDatabase } from '../support/postgres.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { Api, type Answer, type Json } from '../support/api.js';

/** The JSON that a document shows, in its order. */
export const shownIn = (document: string): Json[] =>
  [...readFileSync(new URL(`../../docs/${document}`, import.meta.url), 'utf8').matchAll(/\n```json\n(.*?)\n```/gs)].map(
    (match) => JSON.parse(match[1]!) as Json,
  );

export interface Opened {
  readonly server: ServerProcess;
  readonly close: () => Promise<void>;
}

/** Tokens are new where they were issued after a cutoff: no clock here differs from another. */
const SETTINGS = { KEELSON_REVOCATION_SKEW_MS: '0' };

/** The same on both event logs, each with a server of its own. */
export function onBothEventLogs(run: (open: () => Promise<Opened>) => void): void {
  describe('on the embedded event log', () =>
    run(async () => {
      const server = await startServer({ env: SETTINGS });
      return { server, close: () => server.stop() };
    }));
  describe.skipIf(!hasKafka())('on Kafka', () =>
    run(async () => {
      const database = await createDatabase({ migrated: false });
      const server = await startServer({
        env: {
          ...SETTINGS,
          KEELSON_DATABASE_URL: database.url,
          KEELSON_MIGRATION_URL: database.adminUrl,
          KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
          KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
          KEELSON_KAFKA_REPLICATION_FACTOR: '1',
          KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
        },
      });
      const close = async (): Promise<void> => {
        await server.stop();
        await database.drop();
      };
      return { server, close };
    }),
  );
}

/** An identity provider that is connected as its document says. */
export class Connected {
  #last: unknown;

  private constructor(
    readonly admin: Api,
    readonly source: string,
    readonly scim: Api,
    readonly publisher: Api,
    /** What its Tenant URL ends with. */
    readonly flag: string,
  ) {}

  static async open(server: ServerProcess, source: string, config: object, flag = ''): Promise<Connected> {
    const admin = await Api.admin(server);
    const { status, body } = await admin.send('PUT', `/v1/producers/${source}`, config);
    if (status !== 200) throw new Error(`no source: ${JSON.stringify(body)}`);
    const [scim, publisher] = [await admin.as(source, ['provision']), await admin.as(source, ['publish:lifecycle'])];
    return new Connected(admin, source, scim, publisher, flag);
  }

  /** A request to SCIM, with what the provider adds to each address. */
  send<T = Json>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    const [before, query] = path.split('?', 2) as [string, string?];
    const all = [...(this.flag === '' ? [] : [this.flag]), ...(query === undefined ? [] : [query])].join('&');
    return this.scim.send<T>(method, `/scim/v2${before}${all === '' ? '' : `?${all}`}`, body, {
      ...(body === undefined ? {} : { 'content-type': 'application/scim+json; charset=utf-8' }),
    });
  }

  patch(path: string, ...operations: Json[]): Promise<Answer<Json>> {
    const schemas = ['urn:ietf:params:scim:api:messages:2.0:PatchOp'];
    return this.send('PATCH', path, { schemas, Operations: operations });
  }

  find(path: string, filter: string): Promise<Answer<{ totalResults: number; Resources: Json[] }>> {
    return this.send('GET', `${path}?filter=${encodeURIComponent(filter)}&startIndex=1&count=100`);
  }

  /** Looks who is there, makes them where they are not, answers their id. */
  async provision(user: Json, by: string): Promise<string> {
    const found = await this.find('/Users', `${by} eq "${user[by] as string}"`);
    if (found.status !== 200 || found.body.totalResults !== 0) throw new Error(`found ${JSON.stringify(found.body)}`);
    const made = await this.send<{ id: string }>('POST', '/Users', user);
    if (made.status !== 201) throw new Error(`not made: ${JSON.stringify(made.body)}`);
    return made.body.id;
  }

  /** The newest cause of this source, once it is another than the last time and in this state. */
  async untilNewest(kind: string, state: string): Promise<Json> {
    for (const end = Date.now() + 30_000; ;) {
      const { body } = await this.admin.get<{ revocations: Json[] }>(`/v1/revocations?source=${this.source}&limit=1`);
      const [newest] = body.revocations;
      // Complete: the graph knows by then what was there before.
      const isDone = newest?.state === state && (state !== 'ordered' || newest.complete === true);
      if (isDone && newest.kind === kind && newest.order !== this.#last) {
        this.#last = newest.order;
        return newest;
      }
      if (Date.now() > end) throw new Error(`no ${kind} that is ${state}: ${JSON.stringify(newest)}`);
      await sleep(20);
    }
  }

  /** What `/v1/check` says of a token that is issued now, or was at `issued_at`. */
  async check(facts: Json): Promise<boolean> {
    const { status, body } = await this.admin.post<{ revoked: boolean }>('/v1/check', {
      issued_at: Date.now() / 1000,
      ...facts,
    });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.revoked;
  }
}
