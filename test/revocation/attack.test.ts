/** What somebody may try, or what just happens at once: the real graph, survey, folds and `step`, in memory. */
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/json.js';
import type { Cause } from '../../src/revocation/cause.js';
import { SmallKeelson } from './model/small-keelson.js';

const HR = 'https://hr.example';
const AS = 'https://as.example';
const person = (id: string): JsonObject => ({ issuer: HR, id });
const start = (): SmallKeelson => new SmallKeelson(() => ({ owns: [HR], expects: [], groupless: [] }));
const say = (keelson: SmallKeelson, event: JsonObject, producer = 'hr'): Cause => {
  const id = keelson.say({ event, producer });
  return keelson.state.causes.get(keelson.state.orderOf(producer, id))!;
};
const isRevoked = (keelson: SmallKeelson, facts: Parameters<SmallKeelson['check']>[0]): boolean =>
  keelson.check({ issuedAtUs: keelson.nowUs, ...facts }).revoked;
/** An opaque token, used by a person. */
const seen = (keelson: SmallKeelson, user: string, n: number): string => {
  const digest = n.toString(16).padStart(64, '0');
  say(keelson, { type: 'token.seen', token: { digest }, user: person(user) }, 'gateway');
  return digest;
};

describe('a dry run and what comes after it', () => {
  const request = (world: string): JsonObject => ({
    type: 'revocation.requested',
    principal: person('anna'),
    reason: 'r',
    world,
  });

  /** The name of what a dry run sees now. */
  const look = async (keelson: SmallKeelson): Promise<string> => {
    const principal = keelson.nameOf({ issuer: HR, id: 'anna' });
    return (await keelson.dryRun('admin', { groups: [], effect: 'block', principal })).world;
  };

  it('a larger world widens the order, which says by how much, and refuses nothing', async () => {
    const keelson = start();
    const known = seen(keelson, 'anna', 1);
    const world = await look(keelson);
    const minted = [seen(keelson, 'anna', 2), seen(keelson, 'anna', 3)];
    const cause = say(keelson, request(world), 'admin');
    await keelson.settle();
    expect(cause).toMatchObject({
      state: 'ordered',
      complete: true,
      incomplete: [{ reason: 'world_changed', count: 2 }],
    });
    for (const digest of [known, ...minted]) expect(isRevoked(keelson, { digest })).toBe(true);
    // And what is minted after the order is added, too.
    const later = seen(keelson, 'anna', 4);
    await keelson.settle();
    expect(isRevoked(keelson, { digest: later })).toBe(true);
    expect(cause.incomplete).toEqual([{ reason: 'world_changed', count: 3 }]);
  });

  it('one gone and one new is another world, and told', async () => {
    const keelson = start();
    const gone = seen(keelson, 'anna', 1);
    const world = await look(keelson);
    say(keelson, { type: 'token.expired', token: { digest: gone } }, 'gateway');
    const minted = seen(keelson, 'anna', 2);
    const cause = say(keelson, request(`"${world}"`), 'admin');
    await keelson.settle();
    expect(cause).toMatchObject({ state: 'ordered', incomplete: [{ reason: 'world_changed', count: 1 }] });
    expect(isRevoked(keelson, { digest: minted })).toBe(true);
  });

  it('the same or a smaller world, or a name that no dry run gave, says nothing', async () => {
    for (const change of ['same', 'smaller', 'w1-x', 'anything']) {
      const keelson = start();
      const token = seen(keelson, 'anna', 1);
      const world = await look(keelson);
      if (change === 'smaller') say(keelson, { type: 'token.expired', token: { digest: token } }, 'gateway');
      const cause = say(keelson, request(/^s/.test(change) ? world : change), 'admin');
      await keelson.settle();
      expect(cause).toMatchObject({ state: 'ordered', incomplete: [] });
    }
  });
});

describe('delegations that run in a circle', () => {
  it('end with whoever is in it, each once, and nobody else', async () => {
    const keelson = start();
    const delegate = (delegation: string, from: JsonObject, parent: string): unknown =>
      say(keelson, { type: 'delegation.granted', delegation, to_agent: `agent-${delegation}`, parent, ...from });
    delegate('a', { from: person('anna') }, 'c');
    delegate('b', { from_agent: 'agent-a' }, 'a');
    delegate('c', { from_agent: 'agent-b' }, 'b');
    delegate('self', { from: person('anna') }, 'self');
    delegate('other', { from: person('ben') }, 'nobody');
    const cause = say(keelson, { type: 'principal.offboarded', principal: person('anna') });
    await keelson.settle();
    expect(cause).toMatchObject({ state: 'ordered', complete: true });
    const ended = ['a', 'b', 'c', 'self', 'other'].map((id) => isRevoked(keelson, { delegations: [id] }));
    expect(ended).toEqual([true, true, true, true, false]);
    expect(keelson.state.keys.get(cause.order)!.size).toBe(5);
  });
});

describe('causes that contradict each other in one round', () => {
  it('count in the order in which they came: left and back is back, back and left is left', async () => {
    const keelson = start();
    const leave = (id: string) => say(keelson, { type: 'principal.offboarded', principal: person(id) });
    const back = (id: string) => say(keelson, { type: 'principal.reinstated', principal: person(id) });
    leave('anna');
    back('anna');
    back('ben');
    leave('ben');
    leave('carl');
    back('carl');
    leave('carl');
    await keelson.settle();
    const left = ['anna', 'ben', 'carl'].map((id) => isRevoked(keelson, { issuer: HR, subject: id }));
    expect(left).toEqual([false, true, true]);
  });

  it('of two sources, and of an administrator who lifts: nothing is lost, and what blocks wins', async () => {
    const keelson = start();
    const ours = say(keelson, { type: 'principal.offboarded', principal: person('anna') });
    say(keelson, { type: 'principal.offboarded', principal: person('anna') }, 'okta');
    const lift = say(keelson, { type: 'revocation.lift_requested', orders: [ours.order], reason: 'r' }, 'admin');
    say(keelson, { type: 'principal.reinstated', principal: person('anna') });
    await keelson.settle();
    expect(lift.state).toBe('settled');
    expect(isRevoked(keelson, { issuer: HR, subject: 'anna' })).toBe(true);
    say(keelson, { type: 'principal.reinstated', principal: person('anna') }, 'okta');
    await keelson.settle();
    expect(isRevoked(keelson, { issuer: HR, subject: 'anna' })).toBe(false);
    expect([...keelson.state.waiting]).toEqual([]);
  });
});

describe('an agent that 500 people share', () => {
  it('goes on for 499 of them, with tokens that name nobody, and the order says what it can not tell apart', async () => {
    const keelson = start();
    const shared = { agent: 'shared', client: 'shared-client' };
    say(keelson, { type: 'client.registered', client: 'shared-client', issuer: AS });
    const mine = Array.from({ length: 500 }, (_, i) => {
      say(keelson, {
        type: 'delegation.granted',
        delegation: `d-${i}`,
        from: person(`user-${i}`),
        to_agent: 'shared',
      });
      // One token of client credentials, which serves all; and one of their own each.
      const both = { type: 'token.seen', token: { issuer: AS, jti: 'service', client_id: 'shared-client' }, ...shared };
      say(keelson, { ...both, user: person(`user-${i}`) }, 'gateway');
      return seen(keelson, `user-${i}`, 1000 + i);
    });
    const cause = say(keelson, { type: 'principal.offboarded', principal: person('user-7') });
    await keelson.settle();
    expect(cause).toMatchObject({ state: 'ordered', complete: true, incomplete: [{ reason: 'unnamed_tokens' }] });
    expect(mine.map((digest) => isRevoked(keelson, { digest }))).toEqual(mine.map((_, i) => i === 7));
    const delegations = mine.map((_, i) => isRevoked(keelson, { delegations: [`d-${i}`], agents: ['shared'] }));
    expect(delegations).toEqual(mine.map((_, i) => i === 7));
    expect(isRevoked(keelson, { issuer: AS, jti: 'service', clientId: 'shared-client', agents: ['shared'] })).toBe(
      false,
    );
  });
});
