/**
 * Somebody is disabled in Entra, and each gateway refuses their agents: the gateways of examples/gateway as processes of their own, tools
 * behind real MCP, Kafka as the event log, and a deactivation as Entra's provisioning sends it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Connected, shownIn } from '../docs/connect.js';
import { Api, type Json } from '../support/api.js';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { cleanEnvironment, startServer, type ServerProcess } from '../support/server.js';

const TENANT = '6babcaad-604b-40ac-a9d7-9fd97c0b779f';
const V2 = `https://login.microsoftonline.com/${TENANT}/v2.0`;
const AUDIENCE = 'https://tools.company.com/mcp';
const GATEWAYS = 3;
const ALL_MS = 30_000;

const issuer = await generateKeyPair('EdDSA');
const children: ChildProcess[] = [];
let folder: string;
let database: TestDatabase;
let server: ServerProcess;
let admin: Api;
let entra: Connected;
let urls: string[];

/** An access token as Entra makes them: `sub` says nothing to anybody else, `oid` is the person. */
const issue = (oid: string): Promise<string> =>
  new SignJWT({ oid, azp: 'deploy-bot', uti: randomUUID(), ver: '2.0' })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(V2)
    .setAudience(AUDIENCE)
    .setSubject(randomUUID())
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(issuer.privateKey);

/** A program of examples/gateway; its URL. */
async function start(script: string, env: Record<string, string>): Promise<string> {
  const file = fileURLToPath(new URL(`../../examples/gateway/${script}`, import.meta.url));
  const child = spawn(process.execPath, [file], {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return (JSON.parse(line) as { url: string }).url;
}

/** An agent at each gateway, with one token. Answers why a gateway refuses its next call; undefined: it does not. */
async function connectAgents(token: string): Promise<(() => Promise<string | undefined>)[]> {
  return Promise.all(
    urls.map(async (url) => {
      const client = new Client({ name: 'deploy-bot', version: '1' });
      const requestInit = { headers: { authorization: `Bearer ${token}` } };
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
      return () =>
        client.callTool({ name: 'deploy', arguments: { service: 'api' } }).then(
          () => undefined,
          (error: unknown) => /urn:keelson:problem:(\w+)/.exec(String(error))?.[1] ?? String(error),
        );
    }),
  );
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + ALL_MS; !(await isSo()); await sleep(20)) {
    if (Date.now() > endMs) throw new Error(`never so: ${what}\n${server.log}`);
  }
}

describe.skipIf(!hasKafka())('on Kafka', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keelson-gateways-'));
    database = await createDatabase({ migrated: false });
    server = await startServer({
      env: {
        KEELSON_REVOCATION_SKEW_MS: '0',
        KEELSON_DATABASE_URL: database.url,
        KEELSON_MIGRATION_URL: database.adminUrl,
        KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
        KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
        KEELSON_KAFKA_REPLICATION_FACTOR: '1',
        KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
      },
    });
    admin = await Api.admin(server);
    entra = await Connected.open(server, 'entra', shownIn('connect-entra.md')[0]!, 'aadOptscim062020');
    await admin.post('/v1/points', { point: 'gateways' });
    const asked = { point: 'gateways', uses: GATEWAYS, expiresInS: 600 };
    const { body } = await admin.post<{ token: string }>('/v1/enrolments', asked);
    const env = {
      ISSUER: V2,
      JWKS: JSON.stringify({ keys: [{ ...(await exportJWK(issuer.publicKey)), alg: 'EdDSA' }] }),
      CLAIMS: 'entra',
      TOOLS_URL: await start('tools.mjs', {}),
      KEELSON_URL: server.url,
      KEELSON_ENROLMENT: body.token,
      KEELSON_TOKEN: (await admin.as('gateways', ['publish:decisions'])).token,
    };
    const gateways = Array.from({ length: GATEWAYS }, (_, n) =>
      start('gateway.mjs', { ...env, FOLDER: join(folder, `${n}`) }),
    );
    urls = await Promise.all(gateways);
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await server?.stop();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'who is disabled in Entra is refused by each gateway, others go on, and the case is enforced',
    async () => {
      const [mia, tom] = [randomUUID(), randomUUID()];
      const [id] = await Promise.all(
        [mia, tom].map((externalId) =>
          entra.provision({ ...USER, externalId, userName: `${externalId}@acme.example` }, 'externalId'),
        ),
      );
      const [hers, his] = await Promise.all([mia, tom].map((oid) => issue(oid).then(connectAgents)));
      const ask = (calls: (() => Promise<string | undefined>)[]): Promise<(string | undefined)[]> =>
        Promise.all(calls.map((call) => call()));
      expect([...(await ask(hers!)), ...(await ask(his!))]).toEqual(Array(2 * GATEWAYS).fill(undefined));

      const off = { op: 'replace', path: 'active', value: false };
      expect(await entra.patch(`/Users/${id}`, off)).toMatchObject({ status: 200, body: { active: false } });
      await until('each gateway refuses', async () => (await ask(hers!)).every((reason) => reason === 'blocked'));
      expect(await ask(his!)).toEqual(Array(GATEWAYS).fill(undefined));

      const left = await entra.untilNewest('leaver', 'ordered');
      expect(left).toMatchObject({ complete: true, incomplete: [] });
      const path = `/v1/cases/${left.order as string}`;
      const closed = await admin.until<Json>(path, ({ state }) => state !== 'open', ALL_MS);
      expect(closed).toMatchObject({ state: 'enforced', acked: GATEWAYS, silent: 0 });
      // Each refusal is an entry, with what the gateway knew then.
      const refusals = await admin.searchUntil(
        { agent: 'deploy-bot', decision: 'deny', order: 'asc' },
        (hits) => new Set(hits.map(({ event }) => (event.enforcement as Json).instance)).size === GATEWAYS,
      );
      // The graph may complete the order by one more part, which nobody waits for to refuse.
      for (const { event } of refusals) {
        expect(event.enforcement).toMatchObject({ verdict: 'blocked' });
        expect((event.enforcement as { seq: number }).seq).toBeLessThanOrEqual(closed.seq as number);
      }
    },
    ALL_MS,
  );
});

const USER = {
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  active: true,
  displayName: 'Mia Muster',
  meta: { resourceType: 'User' },
};
