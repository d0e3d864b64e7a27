/** Sessions, tokens, delegations, clients and opaque tokens that real decisions named: from a leaver to what is refused, and what is not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

const IDP = 'https://idp.example';
const AS = 'https://as.example';
const PEOPLE = 500;
const LEAVER = 7;

let server: ServerProcess;
let admin: Api;

beforeAll(async () => {
  server = await startServer({ env: { KEELSON_REVOCATION_SKEW_MS: '0' } });
  admin = await Api.admin(server);
});
afterAll(() => server?.stop());

const now = (): string => new Date().toISOString();
const person = (n: number): Json => ({ issuer: IDP, id: `user-${n}` });
const digestOf = (n: number): string => n.toString(16).padStart(64, '0');

async function publish(path: string, events: readonly Json[]): Promise<void> {
  for (let from = 0; from < events.length; from += 250) {
    const body = events.slice(from, from + 250).map((event) => ({ timestamp: now(), ...event }));
    const { body: answer } = await admin.post<{ items: Json[] }>(path, body, { prefer: 'wait=20' });
    for (const item of answer.items) expect(item).toMatchObject({ status: 'accepted' });
  }
}

const isRevoked = async (facts: Json): Promise<unknown> =>
  (await admin.post<Json>('/v1/check', { issued_at: Date.now() / 1000, ...facts })).body.revoked;

it('ends all that one of 500 has by a shared agent, and nothing of the other 499', async () => {
  const everybody = Array.from({ length: PEOPLE }, (_, n) => n);
  await publish('/v1/events', [
    { type: 'client.registered', client: 'shared-client', issuer: AS },
    { type: 'agent.registered', agent: 'shared', client: 'shared-client' },
    { type: 'agent.registered', agent: 'own', owner: person(LEAVER) },
    ...everybody.map((n) => ({
      type: 'delegation.granted',
      delegation: `d-${n}`,
      from: person(n),
      to_agent: 'shared',
    })),
    ...everybody.map((n) => ({ type: 'session.started', session_id: `s-${n}`, user: person(n) })),
    // Whose an opaque token is, the gateway knows that had it looked up; a decision alone says whom an agent served with it.
    ...everybody.map((n) => ({ type: 'token.seen', token: { digest: digestOf(n) }, user: person(n) })),
  ]);
  const service = { issuer: AS, jti: 'service', client_id: 'shared-client' };
  await publish('/v1/decisions', [
    // The opaque token of each, and one of client credentials that serves them all.
    ...everybody.map((n) => ({
      agent: 'shared',
      user: person(n),
      tool: 'deploy',
      decision: 'allow',
      token: { digest: digestOf(n) },
    })),
    ...[LEAVER, LEAVER + 1].map((n) => ({
      agent: 'shared',
      client: 'shared-client',
      user: person(n),
      tool: 'deploy',
      decision: 'allow',
      token: service,
    })),
  ]);
  const id = 'leaves';
  await publish('/v1/events', [{ type: 'principal.offboarded', id, principal: person(LEAVER) }]);
  let order: Json = {};
  const theirs = [{ digest: digestOf(LEAVER) }, { session_id: `s-${LEAVER}` }, { delegations: [`d-${LEAVER}`] }];
  // What the graph learns of later is added.
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100)) {
    order = (await admin.get<Json>(`/v1/revocations/${id}`)).body;
    const ended = await Promise.all(theirs.map(isRevoked));
    if (order.complete === true && (order.incomplete as Json[]).length > 0 && ended.every(Boolean)) break;
  }
  expect(order).toMatchObject({ state: 'ordered', complete: true, incomplete: [{ reason: 'unnamed_tokens' }] });

  for (const n of [LEAVER - 1, LEAVER, LEAVER + 1]) {
    const ends = n === LEAVER;
    expect(await isRevoked({ issuer: IDP, subject: `user-${n}` })).toBe(ends);
    expect(await isRevoked({ delegations: [`d-${n}`], agents: ['shared'] })).toBe(ends);
    expect(await isRevoked({ session_id: `s-${n}` })).toBe(ends);
  }
  const opaque = await Promise.all(everybody.map((n) => isRevoked({ digest: digestOf(n), agents: ['shared'] })));
  expect(opaque).toEqual(everybody.map((n) => n === LEAVER));
  expect(await isRevoked({ agents: ['own'] })).toBe(true);
  expect(await isRevoked({ ...service, agents: ['shared'] })).toBe(false);
}, 180_000);
