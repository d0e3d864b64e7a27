/** Asking the identity graph, against a real server: what platform and compliance people want to know. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { EXIT } from '../../src/cli/exit.js';
import { runKeelson, startServer, type Ran, type ServerProcess } from '../support/server.js';

const BOT = 'spiffe://company.com/agent/deploy-bot?x=1&y=ä%2F"\'';
const AS = 'https://as.example/realms/a';
const IDP = 'https://idp.company.com';
const DIGEST = 'ab'.repeat(32);

interface Ref {
  type: string;
  issuer?: string;
  id: string;
  state: string;
  person?: { issuer: string; id: string };
}
interface Place {
  log: string;
  index: number;
  appendedAt: string;
  type: string;
}
interface EdgeJson {
  node: Ref;
  relations: { as: string; since?: string }[];
}
interface NodeJson extends Ref {
  firstSeenAt: string;
  registeredAt?: string;
  lastUsedOn?: string;
  acceptedAt?: string;
  riskLevel?: string;
  owner?: Ref;
  first?: Place;
  approved?: Place;
  ended?: Place;
  firstUse?: Place;
  lastUse?: Place;
  keys?: { type: string; key: string }[];
  revoked?: { revoked: boolean; reason?: string; order?: string };
  above: { edges: EdgeJson[]; next?: string };
  below: { edges: EdgeJson[]; next?: string };
  entries: { log: string; index: number; event: Json; withheld: string[] }[];
  asOf: Record<string, number>;
  code?: string;
  pointer?: string;
}
interface ListJson {
  nodes: (Ref & { owner?: Ref; lastUsedOn?: string; acceptedAt?: string })[];
  next?: string;
  status: number;
  code?: string;
  pointer?: string;
}

let server: ServerProcess;
let api: Api;
let reader: Api;
/** Between two approvals, after what came before and before what comes after. */
let between: string;

/** Publishes events one after the other; answers when the last was appended. */
async function publish(...events: Json[]): Promise<void> {
  for (const event of events) {
    const path = event.decision === undefined ? '/v1/events' : '/v1/decisions';
    const { status, body } = await api.post<{ items: { status: string }[] }>(
      path,
      { timestamp: '2026-01-01T00:00:00Z', ...event },
      { prefer: 'wait=20' },
    );
    if (status !== 201 && status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  }
}

const path = (type: string, id: string, query: Record<string, string> = {}, rest = ''): string =>
  `/v1/identity/${type}/${encodeURIComponent(id)}${rest}?${new URLSearchParams(query).toString()}`;
const get = async (type: string, id: string, query: Record<string, string> = {}, as = api): Promise<NodeJson> =>
  (await as.get<NodeJson>(path(type, id, query))).body;
async function list(type: string, query: Record<string, string> = {}, as = api): Promise<ListJson> {
  const { status, body } = await as.get<ListJson>(`/v1/identity/${type}?${new URLSearchParams(query).toString()}`);
  return { ...body, status };
}
const ids = ({ nodes }: ListJson): string[] => nodes.map(({ id }) => id).sort();
/** Every page of a list. */
async function pages(type: string, query: Record<string, string>): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await list(type, { ...query, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...ids(page));
    if (page.next === undefined) return found;
    cursor = page.next;
  }
}
const named = ({ edges }: { edges: EdgeJson[] }): string[] =>
  edges.map(({ node, relations }) => `${relations.map(({ as }) => as).join('+')} ${node.type} ${node.id}`).sort();

/** Asks again until the projections have what was published. */
async function until<T>(ask: () => Promise<T>, enough: (answer: T) => boolean): Promise<T> {
  for (const end = Date.now() + 20_000; ;) {
    const answer = await ask();
    if (enough(answer)) return answer;
    if (Date.now() > end) throw new Error(`never so: ${JSON.stringify(answer).slice(0, 2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

beforeAll(async () => {
  server = await startServer();
  api = await Api.admin(server);
  reader = await api.as('reader', ['read']);
  await api.send('PUT', '/v1/producers/admin', { issuer: IDP, owns: [AS] });
  await publish(
    { type: 'principal.joined', principal: 'dana' },
    {
      type: 'agent.registered',
      agent: BOT,
      owner: 'dana',
      actor: 'erin',
      risk_level: 'high',
      environment: 'production',
      purpose: 'deploys',
      reason: 'needed for releases',
      tools: ['deploy'],
    },
    {
      type: 'agent.registered',
      agent: 'idle-bot',
      owner: 'dana',
      expires_at: '2029-01-01T00:00:00Z',
      risk_level: 'low',
    },
    { type: 'grant.given', grant: 'g1', issuer: AS, principal: 'dana', agent: BOT },
    { type: 'session.started', session_id: 's/1', issuer: AS, user: 'dana' },
    {
      type: 'token.seen',
      token: { jti: 'j1', digest: DIGEST, issuer: AS, subject: 'dana', client_id: 'c1', issued_at: 1_767_225_600 },
      agent: BOT,
      grant: 'g1',
      session_id: 's/1',
      point: 'gateway-1',
    },
    { type: 'token.issued', token: { jti: 'old', issuer: AS, expires_at: 1_767_225_600 }, agent: BOT },
    {
      decision: 'allow',
      agent: BOT,
      tool: 'deploy',
      user: 'dana',
      token: { jti: 'j1', issuer: AS },
      point: 'gateway-2',
      context: { environment: 'production' },
    },
  );
  await until(
    () => get('token', 'j1', { issuer: AS }),
    ({ lastUse }) => lastUse !== undefined,
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  between = new Date().toISOString();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await publish(
    { type: 'agent.approved', agent: BOT, approved_by: 'frank', reference: 'CHG-1' },
    { type: 'agent.retired', agent: 'idle-bot', reason: 'nobody used it' },
    { type: 'principal.linked', principal: 'dana', aliases: [{ issuer: AS, id: 'u-1' }] },
    { type: 'grant.withdrawn', grant: 'g1', issuer: AS },
  );
  await until(
    () => get('grant', 'g1', { issuer: AS }),
    ({ state }) => state === 'ended',
  );
});
afterAll(() => server.stop());

describe('one node', () => {
  it('says who registered and approved it, why, how it stands, what it hangs on', async () => {
    const node = await get('agent', BOT);
    expect(node).toMatchObject({ type: 'agent', id: BOT, state: 'approved', riskLevel: 'high' });
    expect(node.owner).toMatchObject({ type: 'principal', state: 'registered', person: { issuer: IDP, id: 'dana' } });
    expect(node.first).toMatchObject({ type: 'agent.registered' });
    expect(node.approved).toMatchObject({ type: 'agent.approved' });
    expect(node.entries).toHaveLength(2);
    expect(node.entries[0]!.event).toMatchObject({ reason: 'needed for releases', actor: 'erin' });
    expect(node.entries[1]!.event).toMatchObject({ approved_by: 'frank', reference: 'CHG-1' });
    expect(node.lastUse).toMatchObject({ log: 'decisions/0/g1' });
    expect(node.revoked).toEqual({ revoked: false });
    expect(named(node.above)).toEqual([
      `owns principal ${node.owner!.id}`,
      'related environment production',
      'related tool deploy',
      `used principal ${node.owner!.id}`,
    ]);
    expect(named(node.below)).toEqual(
      expect.arrayContaining([
        'names grant g1',
        'names+context token j1',
        'used tool deploy',
        'used environment production',
      ]),
    );
    expect(node.asOf['lifecycle/0/g1']).toBeGreaterThan(0);
  });

  it('without read:personal opens nothing and names nobody', async () => {
    const node = await get('agent', BOT, {}, reader);
    expect(node.owner).not.toHaveProperty('person');
    expect(node.entries[0]!.event).not.toHaveProperty('reason');
    expect(node.entries[0]!.withheld).toContain('/reason');
    const person = await get('principal', 'dana', {}, reader);
    expect(person).not.toHaveProperty('person');
    expect(JSON.stringify(person)).not.toContain('dana');
  });

  it('is told as it was at a time past', async () => {
    const before = await get('agent', BOT, { at: between });
    expect(before).toMatchObject({ state: 'registered', first: { type: 'agent.registered' } });
    expect(before.approved).toBeUndefined();
    expect(before.lastUse).toMatchObject({ log: 'decisions/0/g1' });
    expect(await get('agent', 'idle-bot', { at: between })).toMatchObject({ state: 'registered' });
    const retired = await get('agent', 'idle-bot');
    expect(retired).toMatchObject({ state: 'ended', ended: { type: 'agent.retired' } });
    expect(retired.entries.at(-1)!.event).toMatchObject({ reason: 'nobody used it' });
    expect(await get('grant', 'g1', { issuer: AS, at: between })).toMatchObject({ state: 'registered' });
    const then = await get('principal', 'dana', { issuer: IDP, at: between });
    expect(named(then.below).filter((text) => text.startsWith('alias'))).toEqual([]);
    const now = await get('principal', 'dana', { issuer: IDP });
    expect(named(now.below).filter((text) => text.startsWith('alias'))).toHaveLength(1);
    expect((await api.get(path('agent', BOT, { at: '2020-01-01T00:00:00Z' }))).status).toBe(404);
  });

  it('finds a person by any name of theirs, or by the pseudonym', async () => {
    const dana = await get('principal', 'dana', { issuer: IDP });
    expect(dana).toMatchObject({ state: 'registered', person: { issuer: IDP, id: 'dana' } });
    expect((await get('principal', `subject:${dana.id}`)).id).toBe(dana.id);
    expect((await get('principal', 'dana')).id).toBe(dana.id);
    const alias = await get('principal', 'u-1', { issuer: AS });
    expect(named(alias.above)).toEqual([`alias principal ${dana.id}`]);
  });

  it('is never a token itself, but its keys, uses, and the points that cache it', async () => {
    const token = await get('token', 'j1', { issuer: AS });
    expect(token).toMatchObject({ state: 'accepted', issuer: AS, lastUse: { log: 'decisions/0/g1' } });
    expect(token.firstUse).toEqual(token.lastUse);
    expect(token.keys!.map(({ type }) => type).sort()).toEqual(
      ['agent', 'client', 'client', 'grant', 'grant', 'principal', 'session', 'session', 'token', 'token'].sort(),
    );
    for (const { key } of token.keys!) expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(named(token.above).filter((text) => text.startsWith('caches'))).toEqual([
      'caches point gateway-1',
      'caches point gateway-2',
    ]);
    expect(await get('token', DIGEST.toUpperCase())).toMatchObject({ id: 'j1', issuer: AS });
  });

  it('says which order revokes it', async () => {
    const { status, body } = await api.post<{ order: string }>('/v1/revocations', {
      target: { type: 'tool', value: 'deploy' },
      reason: 'recalled',
    });
    expect(status).toBe(200);
    const tool = await until(
      () => get('tool', 'deploy'),
      ({ revoked }) => revoked!.revoked,
    );
    expect(tool.revoked).toMatchObject({ revoked: true, reason: 'blocked', order: body.order });
  });
});

describe('edges', () => {
  it('come page by page, each once', async () => {
    const found: string[] = [];
    for (let cursor = ''; ;) {
      const query = { limit: '1', ...(cursor === '' ? {} : { cursor }) };
      const { body } = await api.get<{ edges: EdgeJson[]; next?: string }>(path('agent', BOT, query, '/edges'));
      expect(body.edges.length).toBeLessThan(2);
      found.push(...named(body));
      if (body.next === undefined) break;
      cursor = body.next;
    }
    expect(found.sort()).toEqual(named((await get('agent', BOT)).below));
  });

  it('take no cursor of another node, direction or time', async () => {
    const { body } = await api.get<{ next: string }>(path('agent', BOT, { limit: '1' }, '/edges'));
    for (const [id, query] of [
      ['idle-bot', {}],
      [BOT, { direction: 'above' }],
      [BOT, { at: between }],
    ] as const) {
      const answer = await api.get<{ code: string }>(path('agent', id, { ...query, cursor: body.next }, '/edges'));
      expect(answer.body.code).toBe('invalid_cursor');
    }
  });
});

describe('lists', () => {
  it('filter by owner, state, risk, environment, times and use', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    const cases: [Record<string, string>, string[]][] = [
      [{}, [BOT, 'idle-bot']],
      [{ owner: 'dana' }, [BOT, 'idle-bot']],
      [{ owner: 'u-1', ownerIssuer: AS }, [BOT, 'idle-bot']],
      [{ owner: 'nobody' }, []],
      [{ state: 'approved' }, [BOT]],
      [{ state: 'ended' }, ['idle-bot']],
      [{ riskLevel: 'low' }, ['idle-bot']],
      [{ environment: 'production', owner: 'dana' }, [BOT]],
      [{ environment: 'production' }, [BOT]],
      [{ registeredTo: between }, [BOT, 'idle-bot']],
      [{ registeredFrom: between }, []],
      [{ unusedSince: today }, ['idle-bot']],
      [{ unusedSince: tomorrow }, [BOT, 'idle-bot']],
      [{ expiresBefore: '2030-01-01T00:00:00Z' }, []],
    ];
    for (const [query, wanted] of cases) {
      expect(ids(await list('agent', query)), JSON.stringify(query)).toEqual([...wanted].sort());
    }
    expect(ids(await list('grant', { state: 'ended', issuer: AS }))).toEqual(['g1']);
  });

  it('are an inventory of every token that a point accepted', async () => {
    const cases: [Record<string, string>, string[]][] = [
      [{}, ['j1', 'old']],
      [{ state: 'live' }, ['j1']],
      [{ state: 'expired' }, ['old']],
      [{ principal: 'dana' }, ['j1']],
      [{ principal: 'u-1', principalIssuer: AS }, ['j1']],
      [{ agent: BOT, point: 'gateway-2' }, ['j1']],
      [{ agent: 'idle-bot' }, []],
      [{ client: 'c1' }, ['j1']],
      [{ client: 'c1', issuer: AS }, ['j1']],
      [{ session: 's/1' }, ['j1']],
      [{ grant: 'g1', state: 'live' }, ['j1']],
      [{ delegation: 'none' }, []],
      [{ accepted: 'false' }, []],
      [{ unusedSince: '2026-01-01' }, ['old']],
    ];
    for (const [query, wanted] of cases) {
      expect(ids(await list('token', query)), JSON.stringify(query)).toEqual([...wanted].sort());
    }
  });

  it('come page by page, under cursors that belong to their filters', async () => {
    expect((await pages('agent', { limit: '1' })).sort()).toEqual([BOT, 'idle-bot'].sort());
    const { next } = await list('agent', { limit: '1' });
    expect((await list('agent', { limit: '1', owner: 'dana', cursor: next! })).code).toBe('invalid_cursor');
    expect((await list('tool', { cursor: next! })).code).toBe('invalid_cursor');
  });
});

describe('what is no question', () => {
  it.each([
    ['a type that does not exist', '/v1/identity/user/x', 400, 'invalid_query'],
    ['a list of it', '/v1/identity/parent', 400, 'invalid_query'],
    ['a time to come', '/v1/identity/agent/x?at=2999-01-01T00:00:00Z', 400, 'invalid_query'],
    ['no time', '/v1/identity/agent/x?at=yesterday', 400, 'invalid_query'],
    ['a parameter that does not exist', '/v1/identity/agent/x?when=now', 400, 'invalid_query'],
    ['a filter of tokens for agents', '/v1/identity/agent?point=x', 400, 'invalid_query'],
    ['a filter of agents for tokens', '/v1/identity/token?owner=x', 400, 'invalid_query'],
    ['a state that it can’t have', '/v1/identity/agent?state=live', 400, 'invalid_query'],
    ['a day that does not exist', '/v1/identity/agent?unusedSince=2026-02-30', 400, 'invalid_query'],
    ['no pseudonym', '/v1/identity/principal/subject:xyz', 400, 'invalid_query'],
    ['a cursor of one’s own', '/v1/identity/agent?cursor=AAAA', 400, 'invalid_cursor'],
    ['nobody', '/v1/identity/principal/nobody', 404, 'not_found'],
    ['nothing', `/v1/identity/agent/${encodeURIComponent('ä/ö?#%2F\u{1F600}')}`, 404, 'not_found'],
    ['10 kB of id', `/v1/identity/agent/${'x'.repeat(10_000)}`, 400, 'invalid_query'],
    ['half a percent encoding', '/v1/identity/agent/%E0%A4', 400, 'malformed_request'],
    ['U+0000', '/v1/identity/agent/a%00b', 400, 'nul_character'],
    ['SQL', `/v1/identity/agent/${encodeURIComponent("'; drop table keelson_identity.node; --")}`, 404, 'not_found'],
  ])('%s', async (_, address, status, code) => {
    const answer = await api.get<{ code: string }>(address);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  it('without the scope to read', async () => {
    const publisher = await api.as('publisher', ['publish:decisions']);
    for (const address of ['/v1/identity/agent', path('agent', BOT), path('agent', BOT, {}, '/edges')]) {
      expect((await publisher.get<{ code: string }>(address)).body.code).toBe('forbidden');
    }
  });
});

describe('on the command line', () => {
  const run = async (...args: string[]): Promise<Ran> =>
    runKeelson(['identity', ...args], { env: { KEELSON_URL: server.url, KEELSON_TOKEN: api.token } });

  it('reads as text and as JSON', async () => {
    const shown = await run('get', 'agent', BOT);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^state +approved$/m);
    expect(shown.stdout).toContain(`dana (${IDP})`);
    expect(shown.stdout).toContain('reason: needed for releases');
    const json = await run('get', 'agent', BOT, '--at', between, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ id: BOT, state: 'registered' });
    const listed = await run('list', 'token', '--point', 'gateway-1', '--json');
    expect(
      listed.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as Ref).id),
    ).toEqual(['j1']);
    const edges = await run('edges', 'agent', BOT, '--limit', '1', '--all');
    expect(edges.stdout).toMatch(/^names\+context +token +accepted/m);
    expect((await run('get', 'agent', 'nobody')).code).toBe(EXIT.notFound);
  });
});
