import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCursors } from '../../src/http/cursor.js';
import type { Http } from '../../src/http/http.js';
import type { Facts, Row } from './facts.js';
import { registerSearch } from '../../src/search/routes.js';
import { openHttp } from '../http/support.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { clear, foldBatches, keepHouse, makeLogs, SCHEMA } from './harness.js';
import { subjectOf } from './model.js';

const NOW_US = 1_705_752_000_000_000n; // 2024-01-20T12:00:00Z
const AGENT = 'spiffe://company.com/agent/deploy-bot';
let test: TestDatabase;
let http: Http;
let logs: number[];
let sizes: bigint[];

/** Whom the vault knows: ada at two issuers under one name, and as another alias, linked by an entry. */
const KNOWN = new Map([
  ['idp|ada@company.com', subjectOf(1)],
  ['hr|ada@company.com', subjectOf(2)],
  ['idp|A-1', subjectOf(3)],
]);

const bare: Facts = {
  eventId: 'none',
  type: 'decision.made',
  occurredAtUs: NOW_US,
  producer: 'gateway',
  agents: [],
  principals: [],
  policies: [],
  tokens: [],
  sessions: [],
};

/** Appends one entry a minute after the one before, to one of two logs. */
async function append(log: number, ...facts: Partial<Facts>[]): Promise<void> {
  const minute = Number(sizes[0]! + sizes[1]!);
  const rows = facts.map((some, i): Row => {
    const atUs = NOW_US + BigInt(minute + i) * 60_000_000n;
    return {
      log: logs[log]!,
      index: sizes[log]!++,
      appendedAtUs: atUs,
      facts: { ...bare, occurredAtUs: atUs, ...some },
    };
  });
  await foldBatches(test.database, [rows], 4, 2);
}

beforeAll(async () => {
  test = await createDatabase();
  logs = await makeLogs(test.database, 2);
  sizes = [0n, 0n];
  await clear(test.database);
  http = (await openHttp()).http;
  registerSearch(http, {
    database: test.database,
    schema: SCHEMA,
    timeoutMs: 10_000,
    persons: {
      lookupAny: async (issuers, id) => [...issuers].flatMap((issuer) => KNOWN.get(`${issuer}|${id}`) ?? []),
    },
    issuers: async () => ['idp', 'hr'],
    views: {
      viewHits: async (hits, options) =>
        hits.map(({ path, index }) => JSON.stringify({ log: path, index: Number(index), ...options })),
    },
    cursors: createCursors(Buffer.alloc(32, 1)),
    clock: { nowUs: () => NOW_US + 86_400_000_000n, monotonicMs: () => 0 },
    rangeDays: 31,
  });
  await append(1, { type: 'agent.registered', agents: [AGENT], principals: [subjectOf(4)] });
  await append(1, { type: 'agent.approved', agents: [AGENT], principals: [subjectOf(5)] });
  await append(1, {
    type: 'principal.linked',
    principals: [subjectOf(2), subjectOf(3)],
    linked: [subjectOf(2), subjectOf(3)],
  });
  await append(
    0,
    {
      eventId: 'e-0',
      agents: [AGENT],
      tool: 'deploy',
      decision: 'allow',
      policies: ['1.2.3'],
      tokens: ['jti', 'digest'],
      risk: 0.2,
    },
    {
      eventId: 'e-1',
      agents: [AGENT, 'helper'],
      tool: 'deploy',
      decision: 'deny',
      sessions: ['s-1', 'sso-1'],
      risk: 0.9,
    },
    { eventId: 'e-2', principals: [subjectOf(1)], decision: 'allow', task: 'T-1', environment: 'production' },
    { eventId: 'e-3', principals: [subjectOf(3)], decision: 'allow', task: 'T-1' },
  );
  await append(1, { type: 'agent.retired', agents: [AGENT] });
  await keepHouse(test.database, undefined);
});
afterAll(async () => {
  await http.close();
  await test.drop();
});

interface Answer {
  hits: { log: string; index: number; personal: boolean; proof: boolean }[];
  asOf: Record<string, number>;
  end: boolean;
  next?: string;
  code?: string;
  pointer?: string;
}

async function get(path: string, query: Record<string, string>, scopes = 'read'): Promise<Answer & { status: number }> {
  const url = `${path}?${new URLSearchParams(query).toString()}`;
  const answer = await http.inject({ url, headers: { authorization: `Bearer ${scopes}` } });
  return { status: answer.statusCode, ...answer.json<Answer>() };
}
const find = (query: Record<string, string>, scopes?: string): ReturnType<typeof get> =>
  get('/v1/search', query, scopes);
const places = ({ hits }: Answer): string[] => hits.map(({ log, index }) => `${log}:${index}`);
const decision = (...indexes: number[]): string[] => indexes.map((index) => `decisions/0/g1:${index}`);
const other = (...indexes: number[]): string[] => indexes.map((index) => `decisions/1/g1:${index}`);
const DAY = { from: '2024-01-20T00:00:00Z', to: '2024-01-21T00:00:00Z' };

describe('GET /v1/search', () => {
  it.each([
    [{ event: 'e-1' }, decision(1)],
    [{ agent: 'helper' }, decision(1)],
    [{ agent: AGENT, decision: 'allow' }, decision(0)],
    [{ tool: 'deploy' }, decision(1, 0)],
    [{ tool: 'deploy', order: 'asc' }, decision(0, 1)],
    [{ token: 'jti' }, decision(0)],
    [{ token: 'digest' }, decision(0)],
    [{ session: 'sso-1' }, decision(1)],
    [{ principal: 'ada@company.com', issuer: 'idp' }, decision(2)],
    [{ principal: 'A-1', issuer: 'idp' }, [...decision(3), ...other(2)]],
    [{ principal: 'ada@company.com' }, [...decision(3, 2), ...other(2)]],
    [{ principal: `subject:${subjectOf(1).toString('hex')}` }, decision(2)],
    [{ principal: `subject:${subjectOf(2).toString('hex')}` }, [...decision(3), ...other(2)]],
    [{ principal: 'nobody' }, []],
    [{ principal: 'subject:x', issuer: 'idp' }, []],
    [{ ...DAY, task: 'T-1' }, decision(3, 2)],
    [{ ...DAY, task: 'T-1', environment: 'production' }, decision(2)],
    [{ ...DAY, policy: '1.2.3' }, decision(0)],
    [{ ...DAY, riskMin: '0.5' }, decision(1)],
    [{ ...DAY, riskMin: '0.2', riskMax: '0.2' }, decision(0)],
    [{ ...DAY, type: 'agent.retired' }, other(3)],
    [{ ...DAY, producer: 'gateway', decision: 'deny' }, decision(1)],
    [{ occurredFrom: '2024-01-20T12:04:00Z', occurredTo: '2024-01-20T12:05:00Z' }, decision(2, 1)],
    [{ from: '2024-01-20T13:03:00+01:00', to: '2024-01-20T12:04:00Z' }, decision(1, 0)],
    [{ from: '2024-01-20T12:07:00Z', type: 'agent.retired' }, other(3)],
    [{ event: "e-1' or true --" }, []],
  ])('finds by %j', async (query, expected) => {
    const answer = await find(query);
    expect(answer.status).toBe(200);
    expect(places(answer)).toEqual(expected);
    expect(answer).toMatchObject({ asOf: { 'decisions/0/g1': 4, 'decisions/1/g1': 4 }, end: true });
  });

  it('pages, with what the caller may see and asks for', async () => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const answer = await find(
        { agent: AGENT, limit: '2', proof: 'true', ...(cursor === undefined ? {} : { cursor }) },
        'read,read:personal',
      );
      expect(answer.hits.every(({ personal, proof }) => personal && proof)).toBe(true);
      found.push(...places(answer));
      expect(answer.end).toBe(answer.next === undefined);
      cursor = answer.next;
    } while (cursor !== undefined);
    expect(found).toEqual([...other(3), ...decision(1, 0), ...other(1, 0)]);
    expect((await find({ agent: AGENT })).hits.some(({ personal, proof }) => personal || proof)).toBe(false);
  });

  it.each([
    [{ nonsense: '1' }, 'invalid_query'],
    [{ agent: '' }, 'invalid_query'],
    [{ agent: 'x'.repeat(4097) }, 'invalid_query'],
    [{ decision: 'perhaps' }, 'invalid_query'],
    [{ limit: '0' }, 'invalid_query'],
    [{ limit: '1001' }, 'invalid_query'],
    [{ limit: '1e3' }, 'invalid_query'],
    [{ limit: '101', proof: 'true' }, 'invalid_query'],
    [{ proof: 'yes' }, 'invalid_query'],
    [{ order: 'up' }, 'invalid_query'],
    [{ from: 'yesterday' }, 'invalid_query'],
    [{ from: '2024-01-20' }, 'invalid_query'],
    [{ from: '2024-02-30T00:00:00Z' }, 'invalid_query'],
    [{ from: '2024-01-20T00:00:00Z', to: '2024-01-19T00:00:00Z' }, 'invalid_query'],
    [{ riskMin: 'NaN' }, 'invalid_query'],
    [{ riskMin: '1e400' }, 'invalid_query'],
    [{ riskMin: '1', riskMax: '0', agent: 'x' }, 'invalid_query'],
    [{ issuer: 'idp' }, 'invalid_query'],
    [{ principal: 'subject:12' }, 'invalid_query'],
    [{ waitMs: '10' }, 'invalid_query'],
    [{ waitMs: '60000', order: 'asc' }, 'invalid_query'],
    [{ decision: 'deny' }, 'invalid_query'],
    [{ type: 'agent.retired', to: '2024-01-21T00:00:00Z' }, 'invalid_query'],
    [{ riskMin: '0.5', from: '2023-01-20T00:00:00Z' }, 'invalid_query'],
    [{ occurredTo: '2024-01-21T00:00:00Z' }, 'invalid_query'],
    [{ task: 'T-1' }, 'invalid_query'],
    [{ cursor: 'AAAA' }, 'invalid_cursor'],
    [{ cursor: 'x'.repeat(3000) }, 'invalid_query'],
  ])('refuses %j', async (query, code) => {
    expect(await find(query as unknown as Record<string, string>)).toMatchObject({ status: 400, code });
  });

  it('refuses a parameter twice, and a caller without the scope', async () => {
    const twice = await http.inject({ url: '/v1/search?agent=a&agent=b', headers: { authorization: 'Bearer read' } });
    expect(twice.json()).toMatchObject({ code: 'invalid_query' });
    expect(await find({}, 'publish:decisions')).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('takes a cursor for the same search only', async () => {
    const { next } = await find({ agent: AGENT, limit: '1' });
    expect(await find({ agent: AGENT, limit: '3', cursor: next! })).toMatchObject({ status: 200, end: false });
    for (const query of [{ agent: 'helper' }, { agent: AGENT, order: 'asc' }, { agent: AGENT, tool: 'deploy' }, {}]) {
      expect(await find({ ...query, cursor: next! })).toMatchObject({
        code: 'invalid_cursor',
      });
    }
    expect(await get(`/v1/agents/${encodeURIComponent(AGENT)}/history`, { cursor: next! })).toMatchObject({
      code: 'invalid_cursor',
    });
  });

  it.each(["'", '"', '\\', ';', '--', '$1', '%', '\u{1f600}', "'); drop table keelson_search.part; --", '{}', '${x}'])(
    'takes %j for nothing but text',
    async (text) => {
      for (const name of [
        'event',
        'agent',
        'principal',
        'tool',
        'token',
        'session',
        'policy',
        'task',
        'environment',
        'producer',
        'type',
      ]) {
        const answer = await find({ [name]: text, ...DAY, ...(name === 'principal' ? { issuer: text } : {}) });
        expect(answer).toMatchObject({ status: 200, hits: [] });
      }
    },
  );

  it('refuses the character U+0000, which no entry can hold', async () => {
    expect(await find({ agent: 'a\0b' })).toMatchObject({ status: 400, code: 'nul_character' });
  });
});

describe('GET /v1/agents/:id/history', () => {
  const history = (id: string, query: Record<string, string> = {}): ReturnType<typeof get> =>
    get(`/v1/agents/${encodeURIComponent(id)}/history`, query);

  it('tells an agent’s life from its first entry', async () => {
    const answer = await history(AGENT);
    expect(places(answer)).toEqual(other(0, 1, 3));
    expect(answer).toMatchObject({ end: true, asOf: { 'decisions/1/g1': 4 } });
    expect(answer.next).toBeUndefined();
  });

  it('pages', async () => {
    const first = await history(AGENT, { limit: '2' });
    expect(places(first)).toEqual(other(0, 1));
    expect(places(await history(AGENT, { limit: '2', cursor: first.next! }))).toEqual(other(3));
  });

  it('has nothing to tell of one it never heard of', async () => {
    expect(await history('nobody')).toMatchObject({ status: 200, hits: [], end: true });
    expect(await history(AGENT, { order: 'desc' })).toMatchObject({ code: 'invalid_query' });
  });
});

describe('following', () => {
  it('goes on from the end with what came since, and waits for it', async () => {
    const start = await find({ tool: 'late', order: 'asc' });
    expect(start).toMatchObject({ hits: [], end: true });
    const query = { tool: 'late', order: 'asc', cursor: start.next! };
    expect(await find({ ...query, waitMs: '30' })).toMatchObject({ hits: [], end: true });

    const waiting = find({ ...query, waitMs: '20000' });
    await append(0, { tool: 'another' });
    await append(1, { tool: 'late' });
    const found = await waiting;
    expect(places(found)).toEqual(other(4));

    const rest = await find({ ...query, cursor: found.next! });
    expect(rest).toMatchObject({ hits: [], end: true, asOf: { 'decisions/0/g1': 5, 'decisions/1/g1': 5 } });
  });

  it('follows everything, or one bounded beginning, without a filter that is fast', async () => {
    const start = await find({ decision: 'deny', order: 'asc', from: '2024-01-21T00:00:00Z' });
    expect(start).toMatchObject({ status: 200, hits: [] });
    await append(0, { decision: 'deny', occurredAtUs: 0n });
    const everything = await find({ order: 'asc', limit: '1000' });
    expect(everything.hits.length).toBe(11);
    expect((await find({ order: 'asc', cursor: everything.next! })).hits).toEqual([]);
  });
});
