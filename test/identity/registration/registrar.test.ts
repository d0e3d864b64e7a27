/** Processes that die between a registration and its verdict, and two that judge at once: one verdict each, never none. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { parseEntry } from '../../../src/core/entry.js';
import { builtInSchemas, decodeRecord, type DecodedRecord } from '../../../src/events/index.js';
import { readFoldBatch } from '../../../src/ledger/fold-batch.js';
import { parseLogPath, type Log } from '../../../src/ledger/log.js';
import { splitPage } from '../../../src/ledger/page.js';
import { Api, type Json } from '../../support/api.js';
import { createDatabase, type TestDatabase } from '../../support/postgres.js';
import { makeDataFolder, startServer, type ServerProcess } from '../../support/server.js';
import { TrustDomain } from './authority.js';
import { DocumentServer } from './document-server.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const AUDIENCE = 'keelson.example';
const LIFECYCLE = 'lifecycle/0/g1';
let folder: string;
let domain: TrustDomain;
let documents: DocumentServer;
const signer = generateKeyPairSync('ed25519');
const digest = `sha256:${createHash('sha256').update('{}').digest('hex')}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-registrar-'));
  domain = await TrustDomain.make('example.org');
  documents = await DocumentServer.start();
  await writeFile(join(folder, 'bundle.json'), domain.bundle());
  await writeFile(join(folder, 'ca.pem'), documents.ca);
  const file = {
    audiences: [AUDIENCE],
    trust_domains: { 'example.org': { bundle: 'bundle.json' } },
    signers: { release: { keys: [{ kid: 'r', jwk: signer.publicKey.export({ format: 'jwk' }) }] } },
    clients: {
      ids: ['ci'],
      metadata_documents: [`${documents.origin}/*`],
      allow_networks: ['127.0.0.0/8', '::1/128'],
      ca_file: 'ca.pem',
    },
    require: ['agent', 'tool'],
  };
  await writeFile(join(folder, 'registration.json'), JSON.stringify(file));
});
afterAll(async () => {
  await documents.stop();
  await rm(folder, { recursive: true, force: true });
});

let database: TestDatabase;
let closing: (() => Promise<unknown>)[];
beforeEach(async () => {
  closing = [];
  database = await createDatabase();
  closing.push(() => database.drop());
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
});

/** A process of the installation; all of them have one set of keys. */
async function start(keysOf?: ServerProcess): Promise<ServerProcess> {
  const dataFolder = await makeDataFolder();
  closing.push(() => rm(dataFolder, { recursive: true, force: true }));
  if (keysOf !== undefined) {
    for (const part of ['keys', 'admin.token']) {
      await cp(join(keysOf.dataFolder, part), join(dataFolder, part), { recursive: true });
    }
  }
  return serve(dataFolder);
}

async function serve(dataFolder: string): Promise<ServerProcess> {
  const server = await startServer({
    dataFolder,
    env: {
      KEELSON_DATABASE_URL: database.url,
      KEELSON_MIGRATION_URL: database.adminUrl,
      KEELSON_REGISTRATION_FILE: join(folder, 'registration.json'),
    },
  });
  closing.push(() => server.end('SIGKILL'));
  return server;
}

interface Expected {
  readonly event: Json;
  readonly type: string;
  readonly code?: string;
}

/** Registrations of every kind, and what they come to. */
async function registrations(round: string, times: number): Promise<Expected[]> {
  const all: Expected[] = [];
  for (let i = 0; i < times; i++) {
    const name = `${round}-${i}`;
    const agent = domain.id(name);
    const identity = (more: Json): Json => ({ type: 'agent.registered', agent, agent_identity: more });
    const { x5c } = await domain.leaf(name);
    const past = await domain.leaf(name, { notAfter: new Date(Date.now() - 60_000) });
    const signature = sign(null, Buffer.from(digest), signer.privateKey).toString('base64');
    all.push(
      { event: identity({ jwt_svid: await domain.jwt(name, AUDIENCE) }), type: 'registration.verified' },
      {
        event: identity({ jwt_svid: await domain.jwt(name, 'other') }),
        type: 'registration.failed',
        code: 'wrong_audience',
      },
      { event: identity({ x509_svid: [x5c] }), type: 'registration.verified' },
      { event: identity({ x509_svid: [past.x5c] }), type: 'registration.failed', code: 'expired' },
      { event: { type: 'agent.registered', agent }, type: 'registration.failed', code: 'no_evidence' },
      {
        event: { type: 'tool.registered', tool: name, manifest_digest: digest, signature, signer: 'release' },
        type: 'registration.verified',
      },
      { event: { type: 'tool.registered', tool: name }, type: 'registration.failed', code: 'no_evidence' },
      { event: { type: 'client.registered', client: 'ci' }, type: 'registration.verified' },
      {
        event: { type: 'client.registered', client: documents.honest(`/${name}`) },
        type: 'registration.verified',
      },
      { event: { type: 'client.registered', client: name }, type: 'registration.failed', code: 'client_not_approved' },
    );
  }
  return all.map((one, i) => ({
    ...one,
    event: { id: `${round}-${i}`, timestamp: new Date().toISOString(), ...one.event },
  }));
}

async function publish(server: ServerProcess, expected: readonly Expected[], wait = 0): Promise<void> {
  const admin = await Api.admin(server);
  const headers = wait > 0 ? { prefer: `wait=${wait}` } : undefined;
  const { status, body } = await admin.post<Json>(
    '/v1/events',
    expected.map(({ event }) => event),
    headers,
  );
  if (status !== 200 && status !== 202) throw new Error(JSON.stringify(body));
}

/** Everything in lifecycle. */
async function readLifecycle(): Promise<{ index: bigint; record: DecodedRecord }[]> {
  const { rows } = await database.database.query<{ id: number; origin: string; size: bigint }>(
    'select l.id, l.origin, h.size from keelson.log l join keelson.head h on h.log = l.id where l.path = $1',
    [LIFECYCLE],
  );
  const { id, origin, size } = rows[0]!;
  const log: Log = { id, origin, path: LIFECYCLE, at: parseLogPath(LIFECYCLE) };
  const schemas = builtInSchemas();
  const found: { index: bigint; record: DecodedRecord }[] = [];
  let index = 0n;
  for (const page of (await readFoldBatch(database.database.pool, log, 0n, size)).pages) {
    for (const bytes of splitPage(page)) {
      const entry = parseEntry(bytes);
      if (entry.kind === 'record') found.push({ index, record: decodeRecord(entry.record, schemas) });
      index++;
    }
  }
  return found;
}

/** Waits for a verdict on each, and holds them to what was expected: one each. */
async function requireVerdicts(expected: readonly Expected[], timeoutMs = 120_000): Promise<void> {
  const wanted = new Map(expected.map((one) => [one.event.id as string, one]));
  for (const end = Date.now() + timeoutMs; ;) {
    const entries = await readLifecycle();
    const places = entries.filter(({ record }) => wanted.has(record.id));
    const verdicts = entries.filter(({ record }) => record.type.startsWith('registration.'));
    const indexes = verdicts.map(({ record }) => Number(record.body.index));
    if (places.length === wanted.size && places.every(({ index }) => indexes.includes(Number(index)))) {
      expect(new Set(indexes).size).toBe(indexes.length);
      expect(verdicts).toHaveLength(expected.length);
      for (const { record } of verdicts) {
        const { type, code, event } = wanted.get(record.body.registration as string)!;
        expect({ type: record.type, code: record.body.code }, JSON.stringify(event)).toEqual({
          type,
          code: code ?? null,
        });
      }
      return;
    }
    if (Date.now() > end) throw new Error(`${verdicts.length} verdicts on ${places.length} of ${wanted.size}`);
    await sleep(50);
  }
}

it('a process that is killed between a registration and its verdict, again and again', async () => {
  let server = await start();
  const all: Expected[] = [];
  for (const delayMs of [0, 5, 30, 120]) {
    const expected = await registrations(`kill-${delayMs}`, 3);
    all.push(...expected);
    await publish(server, expected);
    await sleep(delayMs);
    await server.end('SIGKILL');
    server = await serve(server.dataFolder);
  }
  await requireVerdicts(all);
});

it('two processes that judge at once, each believing that it alone does', async () => {
  const first = await start();
  const second = await start(first);
  let done = false;
  const confusing = (async () => {
    while (!done) {
      await database.tamper(`update keelson.registration_cursor set seen_at = '-infinity'`);
      await sleep(10);
    }
  })();
  const expected = [...(await registrations('one', 5)), ...(await registrations('two', 5))];
  for (let i = 0; i < expected.length; i += 10) {
    await publish(i % 20 === 0 ? first : second, expected.slice(i, i + 10), 10);
    await sleep(200);
  }
  await requireVerdicts(expected);
  done = true;
  await confusing;
});

it('a process that is frozen while it judges: another one goes on, and what it says afterwards is no second verdict', async () => {
  // The first one reads the event log; the second one is made to judge.
  const first = await start();
  const holder = async (): Promise<string | null> =>
    (await database.database.query<{ holder: string | null }>('select holder from keelson.registration_cursor'))
      .rows[0]!.holder;
  const before = await holder();
  const second = await start(first);
  await expect
    .poll(
      async () => {
        await database.tamper(`update keelson.registration_cursor set seen_at = '-infinity' where holder = $1`, [
          before,
        ]);
        return (await holder()) !== before;
      },
      { timeout: 60_000 },
    )
    .toBe(true);
  const expected = await registrations('frozen', 6);
  await publish(second, expected);
  second.signal('SIGSTOP');
  await requireVerdicts(expected);
  second.signal('SIGCONT');
  const more = await registrations('thawed', 2);
  await publish(first, more.slice(0, 10));
  await publish(second, more.slice(10));
  await requireVerdicts([...expected, ...more]);
});

it('a document that comes late: asked for again, after a restart, too', async () => {
  const server = await start();
  let isUp = false;
  const client = documents.on('/late', (_, response) => {
    if (!isUp) return void response.writeHead(503).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ client_id: client }));
  });
  const late = [
    {
      event: { id: 'late', timestamp: new Date().toISOString(), type: 'client.registered', client },
      type: 'registration.verified',
    },
  ];
  await publish(server, late, 10);
  await expect.poll(() => documents.asked.get('/late') ?? 0, { timeout: 20_000 }).toBeGreaterThan(1);
  const soon = await registrations('soon', 1);
  await publish(server, soon, 10);
  // Others do not wait for it.
  await expect
    .poll(async () => (await readLifecycle()).filter(({ record }) => record.type.startsWith('registration.')).length, {
      timeout: 20_000,
    })
    .toBe(soon.length);
  // Without evidence, and none is asked for: judged by the rules of now, not by those of a later start.
  const unasked = { id: 'unasked', timestamp: new Date().toISOString(), type: 'agent.attested', agent: 'unasked' };
  await publish(server, [{ event: unasked, type: '' }], 10);
  const { size } = (
    await database.database.query<{ size: bigint }>(
      `select h.size from keelson.log l join keelson.head h on h.log = l.id where l.path = $1`,
      [LIFECYCLE],
    )
  ).rows[0]!;
  const cursor = async (): Promise<unknown> =>
    (await database.database.query('select next_index, waiting::text from keelson.registration_cursor')).rows[0];
  const place = (await readLifecycle()).find(({ record }) => record.id === 'late')!.index;
  await expect.poll(cursor, { timeout: 20_000 }).toEqual({ next_index: size, waiting: `{${place}}` });
  await server.end('SIGKILL');
  isUp = true;
  await serve(server.dataFolder);
  await requireVerdicts([...late, ...soon]);
});
