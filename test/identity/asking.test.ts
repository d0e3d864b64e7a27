/** Asking the identity graph, against a real server: what platform and compliance people want to know. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

const BOT = 'spiffe://company.com/agent/deploy-bot?x=1&y=ä%2F"\'';
const AS = 'https://as.example/realms/a';
const IDP = 'https://idp.company.com';

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
let server: ServerProcess;
let api: Api;

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
  await api.send('PUT', '/v1/producers/admin', { issuer: IDP });
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
    { type: 'agent.registered', agent: 'idle-bot', owner: 'dana', expires_at: '2029-01-01T00:00:00Z' },
    { type: 'grant.given', grant: 'g1', issuer: AS, principal: 'dana', agent: BOT },
  );
});
afterAll(() => server.stop());

describe('one node', () => {
  it('says who registered it, why, how it stands, what it hangs on', async () => {
    const node = await until(
      () => get('agent', BOT),
      ({ below }) => below?.edges.length > 0,
    );
    expect(node).toMatchObject({ type: 'agent', id: BOT, state: 'registered', riskLevel: 'high' });
    expect(node.owner).toMatchObject({ type: 'principal', state: 'registered', person: { issuer: IDP, id: 'dana' } });
    expect(node.first).toMatchObject({ type: 'agent.registered' });
    expect(node.entries).toHaveLength(1);
    expect(node.entries[0]!.event).toMatchObject({ reason: 'needed for releases', actor: 'erin' });
    expect(named(node.above)).toEqual([
      `owns principal ${node.owner!.id}`,
      'related environment production',
      'related tool deploy',
    ]);
    expect(named(node.below)).toEqual(['names grant g1']);
    expect(node.asOf['lifecycle/0/g1']).toBeGreaterThan(0);
  });
});
