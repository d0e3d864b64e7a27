/** Dry runs of everything that can be named, over HTTP on a real server, and the order that follows one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Answer, type Json } from '../support/api.js';
import { runKeelson, startServer, type ServerProcess } from '../support/server.js';

const AS = 'https://as.example';
const IDP = 'https://idp.example';

let server: ServerProcess;
let api: Api;
/** Of the decisions, before the first and after the last. */
let usedFrom: string;
let usedTo: string;

async function publish(...events: Json[]): Promise<void> {
  for (const event of events) {
    const path = event.decision === undefined ? '/v1/events' : '/v1/decisions';
    const body = { timestamp: '2026-01-01T00:00:00Z', ...event };
    const { status, body: answer } = await api.post<Json>(path, body, { prefer: 'wait=20' });
    if (status !== 200 && status !== 201) throw new Error(`${status} ${JSON.stringify(answer)}`);
  }
}

const token = (jti: string): Json => ({ jti, issuer: AS, subject: 'dana', client_id: 'c1' });
const dryRun = async (body: Json): Promise<Answer<Json>> => {
  const answer = await api.post<Json>('/v1/revocations/dry-run', body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer;
};
/** Asks again until the graph and search have what was published. */
async function dryRunUntil(body: Json, enough: (blast: Json) => boolean): Promise<Answer<Json>> {
  for (const end = Date.now() + 20_000; ;) {
    const answer = await dryRun(body);
    if (enough(answer.body)) return answer;
    if (Date.now() > end) throw new Error(`never so: ${JSON.stringify(answer.body)}`);
  }
}

beforeAll(async () => {
  server = await startServer();
  api = await Api.admin(server);
  await api.send('PUT', '/v1/producers/admin', { issuer: IDP, owns: [AS] });
  await publish(
    { type: 'principal.joined', principal: 'dana' },
    { type: 'principal.joined', principal: 'erin' },
    { type: 'agent.registered', agent: 'bot', owner: 'dana', risk_level: 'low', environment: 'production' },
    { type: 'grant.given', grant: 'g1', issuer: AS, principal: 'dana', agent: 'bot' },
    { type: 'session.started', session_id: 's1', issuer: AS, user: 'dana' },
    { type: 'delegation.granted', delegation: 'd1', from: 'dana', to_agent: 'bot' },
    { type: 'delegation.granted', delegation: 'd2', parent: 'd1', from_agent: 'bot', to_agent: 'helper' },
    {
      type: 'token.seen',
      token: token('t1'),
      ...{ agent: 'bot', grant: 'g1', session_id: 's1', delegation: 'd2', point: 'gateway', tool: 'deploy' },
    },
  );
  usedFrom = new Date().toISOString();
  await publish({
    decision: 'allow',
    reason_code: 'permitted',
    ...{ user: 'dana', agent: 'bot', client: 'c1', grant: 'g1', delegation: 'd2', tool: 'deploy', token: token('t1') },
    ...{ point: 'gateway', context: { environment: 'production', session_id: 's1' } },
  });
  usedTo = new Date().toISOString();
});
afterAll(() => server?.stop());

describe('a dry run over HTTP', () => {
  const principal = { id: 'dana' };
  const target = (type: string, value: string, issuer?: string): Json => ({
    target: { type, value, ...(issuer === undefined ? {} : { issuer }) },
  });
  const cases: [what: string, asked: Json, tells: Json][] = [
    ['a person', { principal }, { sessionCount: 1, delegationCount: 2, agents: ['bot'] }],
    ['an agent', target('agent', 'bot'), { sessionCount: 0, delegationCount: 2, agents: ['bot'] }],
    ['a token', target('token', 't1', AS), { sessionCount: 0, delegationCount: 0 }],
    ['a session', target('session', 's1', AS), { sessionCount: 1, delegationCount: 0 }],
    ['a grant', target('grant', 'g1', AS), { sessionCount: 0, delegationCount: 0 }],
    ['a client', target('client', 'c1', AS), { sessionCount: 0, delegationCount: 0 }],
    ['a delegation', target('delegation', 'd1'), { sessionCount: 0, delegationCount: 2 }],
    ['a tool', target('tool', 'deploy'), { sessionCount: 1, agents: ['bot'], tools: ['deploy'] }],
    ['an environment', target('environment', 'production'), { sessionCount: 1, environments: ['production'] }],
  ];

  it.each(cases)('of %s tells what hangs on it, and when it was last used', async (_, asked, tells) => {
    const isUsed = ({ lastUsedAt }: Json): boolean => typeof lastUsedAt === 'string' && lastUsedAt >= usedFrom;
    const { headers, body } = await dryRunUntil(asked, isUsed);
    expect(body).toMatchObject({ reach: 'known', tokenCount: 1, points: ['gateway'], ...tells });
    expect(Date.parse(body.lastUsedAt as string)).toBeLessThanOrEqual(Date.parse(usedTo));
    expect(body.world).toMatch(/^w1-[1-9][0-9]*-[0-9a-f]{32}$/);
    expect(headers.get('etag')).toBe(`"${body.world as string}"`);
  });

  it('says whether the last use is of everything: a grant can not be searched for', async () => {
    const isWhole = ({ lastUsedAt, lastUsedOf }: Json): boolean => lastUsedAt !== undefined && lastUsedOf === 'all';
    await dryRunUntil(target('tool', 'deploy'), isWhole);
    await dryRunUntil(target('token', 't1', AS), isWhole);
    expect((await dryRun(target('grant', 'g1', AS))).body.lastUsedOf).toBe('part');
    expect((await dryRun(target('tool', 'never used'))).body).toMatchObject({ lastUsedOf: 'all', tokenCount: 0 });
  });

  it('of a key, and of a group, says that nobody can tell what hangs on it, and no zeros', async () => {
    const key = target('key', '0f'.repeat(16));
    for (const asked of [key, { principal, group: 'admins' }]) {
      const { body, headers } = await dryRun(asked);
      expect(body).toMatchObject({ reach: 'unknown', keys: [{ count: 1 }] });
      for (const member of ['tokenCount', 'sessionCount', 'delegationCount', 'agents', 'points', 'lastUsedAt']) {
        expect(body).not.toHaveProperty(member);
      }
      expect(headers.get('etag')).toBe(`"${body.world as string}"`);
    }
    const env = { KEELSON_URL: server.url, KEELSON_TOKEN: api.token };
    const { stdout } = await runKeelson(['revoke', 'key', '0f'.repeat(16), '--dry-run'], { env });
    expect(stdout).toContain('not known');
    expect(stdout).not.toMatch(/tokens|sessions/);
  });

  it('leaves out what goes on under a successor, as the order does', async () => {
    const ending = async (more: Json): Promise<string[]> => {
      const { body } = await dryRun({ principal, ...more });
      return (body.keys as { type: string }[]).map(({ type }) => type);
    };
    const successor = { id: 'erin' };
    expect(await ending({ mode: 'transfer', successor })).not.toContain('agent');
    expect(await ending({ mode: 'revoke' })).toContain('agent');
    // A person of whose agent nothing but this is known.
    await publish(
      { type: 'principal.joined', principal: 'finn' },
      { type: 'agent.registered', agent: 'finn-bot', owner: 'finn', risk_level: 'low' },
      { type: 'token.seen', token: { jti: 'finn-1', issuer: AS }, agent: 'finn-bot', point: 'gateway', tool: 'mail' },
    );
    const of = { principal: { id: 'finn' } };
    const all = await dryRunUntil(of, ({ tokenCount }) => tokenCount === 1);
    expect(all.body).toMatchObject({ agents: ['finn-bot'], tools: ['mail'], points: ['gateway'] });
    const transferred = await dryRun({ ...of, mode: 'transfer', successor });
    expect(transferred.body).toMatchObject({ agents: [], tools: [], points: [], tokenCount: 0 });
  });
});

it('what is minted between a dry run and its order is ordered, too, and told', async () => {
  const opaque = (n: number): string => String(n).repeat(64);
  const principal = { id: 'gina' };
  await publish(
    { type: 'principal.joined', principal: 'gina' },
    { type: 'token.seen', token: { digest: opaque(1) }, user: 'gina' },
  );
  const holds = (count: number) => (blast: Json) =>
    (blast.keys as Json[]).some((one) => one.type === 'token' && one.count === count);
  const seen = await dryRunUntil({ principal }, holds(1));
  await publish({ type: 'token.seen', token: { digest: opaque(2) }, user: 'gina' });
  await dryRunUntil({ principal }, holds(2));
  const world = seen.headers.get('etag')!;
  const { status, body } = await api.post<Json>('/v1/revocations', { principal, reason: 'gone', world });
  expect(status).toBe(200);
  expect(body).toMatchObject({ state: 'ordered', incomplete: [{ reason: 'world_changed', count: 1 }] });
  const checked = await api.post<Json>('/v1/check', { digest: opaque(2) });
  expect(checked.body).toMatchObject({ revoked: true, order: body.order });
});
