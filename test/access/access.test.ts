import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Access } from '../../src/access/access.js';
import { ensureAdmin, issueToken } from '../../src/access/issue.js';
import { registerAccess } from '../../src/access/routes.js';
import { KeelsonError } from '../../src/core/error.js';
import type { Scope } from '../../src/http/caller.js';
import { createCursors } from '../../src/http/cursor.js';
import type { Http } from '../../src/http/http.js';
import type { Database } from '../../src/platform/database.js';
import { openHttp } from '../http/support.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let testDatabase: TestDatabase;
let http: Http;
let access: Access;
let admin: string;
let down = false;
let nowMs = 1_800_000_000_000;

const clock = { nowUs: () => BigInt(nowMs) * 1000n, monotonicMs: () => nowMs };
const FRESH_MS = 5_000;
const GRACE_MS = 60_000;
const settings = {
  KEELSON_TOKEN_FRESH_MS: FRESH_MS,
  KEELSON_TOKEN_GRACE_MS: GRACE_MS,
  KEELSON_TOKEN_CACHE_ENTRIES: 100,
};

/** The database, as long as `down` is false. */
function fragile(database: Database): Database {
  const gate = (): void => {
    if (down) throw new KeelsonError('database_unavailable', 'switched off');
  };
  return {
    ...database,
    query: async (text, values) => {
      gate();
      return database.query(text, values);
    },
    transaction: async (work) => {
      gate();
      return database.transaction(work);
    },
  };
}

beforeAll(async () => {
  testDatabase = await createDatabase();
});
afterAll(() => testDatabase.drop());

beforeEach(async () => {
  down = false;
  const database = fragile(testDatabase.database);
  access = new Access({ database, clock, settings });
  ({ http } = await openHttp({}, access.authenticate));
  registerAccess(http, {
    access,
    clock,
    cursors: createCursors(Buffer.alloc(32)),
    mappingFields: { opa: ['agent', 'user'] },
  });
  http.get('/whoami', { config: { access: ['read'] } }, async ({ caller }) => ({
    producer: caller.producer,
    tokenId: caller.tokenId,
  }));
  admin = (await issueToken(access.store, clock, { producer: 'ops', name: 'x', scopes: ['admin'], createdBy: 'test' }))
    .token;
});
afterEach(() => http.close());

const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

interface Made {
  token: string;
  id: string;
}

async function makeToken(scopes: Scope[], more: object = {}): Promise<Made> {
  const payload = { name: 'test', producer: 'gateway', scopes, ...more };
  const answer = await http.inject({ method: 'POST', url: '/v1/tokens', headers: bearer(admin), payload });
  expect(answer.statusCode).toBe(201);
  return answer.json<Made>();
}

const whoami = async (token: string): Promise<{ status: number; code?: string; producer?: string }> => {
  const answer = await http.inject({ url: '/whoami', headers: bearer(token) });
  return { status: answer.statusCode, ...answer.json<{ code?: string; producer?: string }>() };
};

describe('tokens', () => {
  test('one that was made works as its producer, within its scopes; its text is stored nowhere', async () => {
    const { token, id } = await makeToken(['read']);
    expect(token).toMatch(/^kls_/);
    expect(await whoami(token)).toMatchObject({ status: 200, producer: 'gateway', tokenId: id });
    expect((await http.inject({ url: '/v1/tokens', headers: bearer(token) })).statusCode).toBe(403);
    const stored = await testDatabase.tamper('select t::text from keelson.api_token t');
    expect(JSON.stringify(stored.rows)).not.toContain(token.slice(4, 40));
  });

  test.each([
    ['none', undefined],
    ['basic', 'Basic YTpi'],
    ['no token of ours', 'Bearer abc'],
    ['a wrong checksum', `Bearer kls_${'0'.repeat(49)}`],
    ['two tokens', 'Bearer a b'],
  ])('%s is unauthenticated, without asking the database', async (_name, authorization) => {
    down = true;
    const answer = await http.inject({ url: '/whoami', headers: authorization === undefined ? {} : { authorization } });
    expect(answer.statusCode).toBe(401);
    expect(answer.json<{ code: string }>().code).toBe('unauthenticated');
  });

  test('a revoked one is refused at once here, within the fresh time by another process', async () => {
    const { token, id } = await makeToken(['read']);
    const elsewhere = new Access({ database: testDatabase.database, clock, settings });
    await elsewhere.authenticate(`Bearer ${token}`);
    expect((await whoami(token)).status).toBe(200);
    const answer = await http.inject({ method: 'DELETE', url: `/v1/tokens/${id}`, headers: bearer(admin) });
    expect(answer.statusCode).toBe(204);
    expect((await whoami(token)).status).toBe(401);
    nowMs += FRESH_MS;
    await expect(elsewhere.authenticate(`Bearer ${token}`)).rejects.toMatchObject({ code: 'unauthenticated' });
    const again = await http.inject({ method: 'DELETE', url: `/v1/tokens/${id}`, headers: bearer(admin) });
    expect(again.statusCode).toBe(204);
    const unknown = await http.inject({ method: 'DELETE', url: '/v1/tokens/0000', headers: bearer(admin) });
    expect(unknown.statusCode).toBe(404);
  });

  test('an expired one is refused, even from memory', async () => {
    const { token } = await makeToken(['read'], { expiresInS: 2 });
    expect((await whoami(token)).status).toBe(200);
    nowMs += 2_000;
    expect((await whoami(token)).status).toBe(401);
  });

  test('while the database is down known ones go on for the time of grace; unknown ones are told to come back', async () => {
    const { token } = await makeToken(['read']);
    const { token: unknown } = await makeToken(['read']);
    expect((await whoami(token)).status).toBe(200);
    down = true;
    nowMs += FRESH_MS;
    expect((await whoami(token)).status).toBe(200);
    nowMs += GRACE_MS - FRESH_MS - 1;
    expect((await whoami(token)).status).toBe(200);
    expect(await whoami(unknown)).toMatchObject({ status: 503, code: 'database_unavailable' });
    nowMs += 1;
    expect((await whoami(token)).status).toBe(503);
    down = false;
    expect((await whoami(token)).status).toBe(200);
  });

  test('lists page through every token once, oldest first, without secrets', async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.push((await makeToken(['read'])).id);
    const seen: string[] = [];
    let cursor = '';
    do {
      const url = `/v1/tokens?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const answer = await http.inject({ url, headers: bearer(admin) });
      expect(answer.body).not.toContain('kls_');
      const page = answer.json<{ tokens: { id: string }[]; next?: string }>();
      seen.push(...page.tokens.map((token) => token.id));
      cursor = page.next ?? '';
    } while (cursor !== '');
    expect(seen.filter((id) => made.includes(id)).sort()).toEqual([...made].sort());
    expect(new Set(seen).size).toBe(seen.length);
    const forged = await http.inject({ url: '/v1/tokens?cursor=AAAA', headers: bearer(admin) });
    expect(forged.json<{ code: string }>().code).toBe('invalid_cursor');
  });

  test('the last use is noted, and kept for later when it can’t be', async () => {
    const { token, id } = await makeToken(['read']);
    await whoami(token);
    down = true;
    await access.touch();
    down = false;
    await access.touch();
    const { rows } = await testDatabase.tamper('select last_used_at_us from keelson.api_token where id = $1', [id]);
    expect(rows).toEqual([{ last_used_at_us: String(clock.nowUs()) }]);
  });

  test.each([
    [{ scopes: ['root'] }, '/scopes/0'],
    [{ scopes: [] }, '/scopes'],
    [{ producer: 'Not Lower' }, '/producer'],
    [{ expiresInS: '5' }, '/expiresInS'],
  ])('%j is refused', async (wrong, pointer) => {
    const payload = { name: 'x', producer: 'p', scopes: ['read'], ...wrong };
    const answer = await http.inject({ method: 'POST', url: '/v1/tokens', headers: bearer(admin), payload });
    expect(answer.json()).toMatchObject({ code: 'invalid_request', pointer });
  });
});

describe('producers', () => {
  test('a configuration is put, read and in force; a token makes its producer', async () => {
    await makeToken(['read'], { producer: 'made.by-token' });
    expect(await access.producer('made.by-token')).toEqual({ id: 'made.by-token', config: {} });
    const config = {
      issuer: 'https://idp',
      mask: ['/parameters/pin'],
      mappings: { opa: { agent: ['/input/a', '/input/b'] } },
    };
    const url = '/v1/producers/made.by-token';
    const put = await http.inject({ method: 'PUT', url, headers: bearer(admin), payload: config });
    expect(put.statusCode).toBe(200);
    expect((await http.inject({ url, headers: bearer(admin) })).json()).toEqual({ id: 'made.by-token', config });
    expect(await access.producer('made.by-token')).toEqual({ id: 'made.by-token', config });
    await expect(access.producer('nobody')).rejects.toMatchObject({ code: 'not_found' });
    expect((await http.inject({ url: '/v1/producers/nobody', headers: bearer(admin) })).statusCode).toBe(404);
  });

  test.each([
    [{ mappings: { opa: { agnet: ['/a'] } } }, '/mappings/opa/agnet'],
    [{ mappings: { opb: { agent: ['/a'] } } }, '/mappings/opb/agent'],
    [{ mappings: { opa: { agent: ['no pointer'] } } }, '/mappings/opa/agent/0'],
    [{ mask: ['~2'] }, '/mask/0'],
  ])('%j is refused', async (payload, pointer) => {
    const answer = await http.inject({ method: 'PUT', url: '/v1/producers/p', headers: bearer(admin), payload });
    expect(answer.json()).toMatchObject({ code: 'invalid_request', pointer });
  });
});

describe('the first admin', () => {
  let empty: TestDatabase;
  let folder: string;
  let path: string;

  beforeEach(async () => {
    empty = await createDatabase();
    folder = await mkdtemp(join(tmpdir(), 'keelson-admin-'));
    path = join(folder, 'admin.token');
  });
  afterEach(async () => {
    await empty.drop();
    await rm(folder, { recursive: true });
  });

  const open = (): Access => new Access({ database: empty.database, clock, settings });
  const read = async (): Promise<string> => (await readFile(path, 'utf8')).trim();

  test('gets a token in a file that only its owner can read; the next start leaves both alone', async () => {
    const opened = open();
    expect(await ensureAdmin(opened.store, clock, path)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const token = await read();
    expect((await opened.authenticate(`Bearer ${token}`)).scopes.has('admin')).toBe(true);
    expect(await ensureAdmin(opened.store, clock, path)).toBe(false);
    expect(await read()).toBe(token);
  });

  test('after a crash between file and row the file’s token is made valid', async () => {
    const first = await makeFile();
    expect(await ensureAdmin(open().store, clock, path)).toBe(true);
    expect(await read()).toBe(first);
    expect((await open().authenticate(`Bearer ${first}`)).producer).toBe('admin');
  });

  test('a revoked one stays revoked: another takes its place', async () => {
    const opened = open();
    await ensureAdmin(opened.store, clock, path);
    const token = await read();
    await opened.store.revokeToken((await opened.authenticate(`Bearer ${token}`)).tokenId, clock.nowUs());
    expect(await ensureAdmin(opened.store, clock, path)).toBe(true);
    expect(await read()).not.toBe(token);
    await expect(open().authenticate(`Bearer ${token}`)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  async function makeFile(): Promise<string> {
    const other = await createDatabase();
    try {
      const { store } = new Access({ database: other.database, clock, settings });
      const { token } = await issueToken(store, clock, {
        producer: 'p',
        name: 'n',
        scopes: ['read'],
        createdBy: 'test',
      });
      await writeFile(path, `${token}\n`, { mode: 0o600 });
      return token;
    } finally {
      await other.drop();
    }
  }
});
