import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeVerifier } from '../../src/platform/signer.js';
import { parseLedgerKey } from '../../src/verify/ledger-key.js';
import { verifyReceipt } from '../../src/verify/verify-receipt.js';
import { Api, type Hit, type Json } from '../support/api.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startServer, type ServerProcess } from '../support/server.js';

const EVENT =
  '{"timestamp":"2024-01-20T10:30:00Z","agent":"spiffe://company.com/agent/deploy-bot","user":"devops@company.com","tool":"deploy_to_production","parameters":{"service":"api","version":"2.3.4"},"decision":"allow","policy_version":"1.2.3","justification":"Scheduled deployment window, approved by release manager"}';

let database: TestDatabase;
let server: ServerProcess;
let admin: Api;

beforeAll(async () => {
  database = await createDatabase({ migrated: false });
  server = await startServer({
    env: { KEELSON_DATABASE_URL: database.url, KEELSON_MIGRATION_URL: database.adminUrl },
  });
  admin = await Api.admin(server);
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describe('a decision on its own', () => {
  it('comes back complete, with a proof that a key alone checks', async () => {
    const { status, body } = await admin.post<{ items: Json[] }>('/v1/decisions', EVENT, { prefer: 'wait=20' });
    expect(status).toBe(200);
    const [item] = body.items as { status: string; id: string; log: string; index: string; receipt: string }[];
    expect(item).toMatchObject({ status: 'accepted', log: 'decisions/0/g1' });

    const entry = await admin.get<Hit & { withheld: unknown[] }>(`/v1/logs/${item!.log}/entries/${item!.index}`);
    expect(entry.body.event).toEqual(JSON.parse(EVENT));
    expect(entry.body.withheld).toEqual([]);
    const [hit] = await admin.searchUntil({ event: item!.id }, (hits) => hits.length === 1);
    expect(hit!.event).toEqual(JSON.parse(EVENT));

    const receipt = await admin.get<string>(item!.receipt);
    const keys = await admin.get<{ ledger: string }>('/v1/keys');
    const on = { hasher: nodeHasher, verifier: nodeVerifier, key: parseLedgerKey(nodeHasher, keys.body.ledger) };
    const verified = verifyReceipt(on, receipt.body);
    expect({ log: verified.log, index: String(verified.index) }).toEqual({ log: item!.log, index: item!.index });
    expect(() => verifyReceipt(on, receipt.body.replace('index ', 'index 1'))).toThrow();
  });

  it('needs no more than a timestamp and a decision', async () => {
    const event = '{"timestamp":"2024-01-20T10:30:00.123456789+02:00","decision":"deny","n":12345678901234567890.10}';
    const { body } = await admin.post<{ items: { id: string }[] }>('/v1/decisions', event, { prefer: 'wait=20' });
    const response = await fetch(`${server.url}/v1/search?event=${body.items[0]!.id}&order=asc&waitMs=20000`, {
      headers: { authorization: `Bearer ${admin.token}` },
    });
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toContain('12345678901234567890.10');
    expect(text).toContain('"2024-01-20T10:30:00.123456789+02:00"');
  });
});

describe('producers', () => {
  it('have their own names, scopes and ids', async () => {
    const one = await admin.as('gateway-1', ['publish:decisions']);
    const two = await admin.as('gateway-2', ['publish:decisions']);
    const decision = { id: 'same', timestamp: '2026-11-23T10:00:00Z', decision: 'allow', agent: 'a' };
    for (const producer of [one, two, one]) {
      const { body } = await producer.post<{ items: Json[] }>('/v1/decisions', decision, { prefer: 'wait=20' });
      expect(body.items[0]).toMatchObject({ status: 'accepted', id: 'same' });
    }
    const hits = await admin.searchUntil({ event: 'same' }, (found) => found.length >= 2);
    expect(hits.map((hit) => (hit as unknown as { producer: string }).producer).sort()).toEqual([
      'gateway-1',
      'gateway-2',
    ]);

    const other = await one.post<{ items: Json[] }>('/v1/decisions', [{ ...decision, decision: 'deny' }], {
      prefer: 'wait=20',
    });
    expect(other.body.items[0]).toMatchObject({ status: 'conflict', id: 'same' });
  });

  it('may do what their token says, and their bad events fail no neighbour', async () => {
    const gateway = await admin.as('gateway-3', ['publish:decisions']);
    expect((await gateway.get('/v1/search?agent=a')).status).toBe(403);
    expect((await gateway.get('/v1/tokens')).status).toBe(403);
    expect((await new Api(server.url, 'kls_unknown').get('/v1/search?agent=a')).status).toBe(401);
    const joined = { type: 'principal.joined', timestamp: '2026-11-23T10:00:00Z', principal: 'eve@company.com' };
    const decision = { type: 'decision.made', timestamp: '2026-11-23T10:00:00Z', decision: 'allow' };
    const bad = { ...decision, timestamp: 'yesterday' };
    const { status, body } = await gateway.post<{ items: Json[] }>('/v1/events', [decision, bad, joined, decision]);
    expect(status).toBe(200);
    expect(body.items.map((item) => item.code ?? item.status)).toEqual([
      'accepted',
      'invalid_timestamp',
      'forbidden',
      'accepted',
    ]);
    const kept = await admin.get(`/v1/quarantine/${String(body.items[1]!.quarantineId)}`);
    expect(kept.status).toBe(200);
    expect((await gateway.get(`/v1/quarantine/${String(body.items[1]!.quarantineId)}`)).status).toBe(403);
  });
});
