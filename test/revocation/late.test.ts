/** What the graph learns of a leaver only after the order, from logs that lifecycle does not wait for. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/json.js';
import type { Cause } from '../../src/revocation/cause.js';
import { dryRun } from '../../src/revocation/dry-run.js';
import { SmallKeelson } from './model/small-keelson.js';
import { Simulation } from './simulation.js';

const AS = 'https://as.example';
const DIGEST = 'ab'.repeat(32);
const person = (id: string): { issuer: string; id: string } => ({ issuer: 'hr', id });

let keelson: SmallKeelson;
const say = (event: JsonObject): Cause => {
  const id = keelson.say({ producer: 'hr', event });
  return keelson.state.find(id)!;
};
/** A token of client credentials, used for two persons. */
const serveBoth = (): void => {
  for (const user of ['dana', 'eve']) {
    say({
      ...{ type: 'decision.made', agent: 'shared', client: 'shared-client', user: person(user), tool: 'deploy' },
      ...{ decision: 'allow', token: { issuer: AS, jti: 'service', client_id: 'shared-client' } },
    });
  }
};

beforeEach(async () => {
  keelson = new SmallKeelson(() => ({ owns: ['hr'], expects: [], groupless: [] }));
  say({ type: 'delegation.granted', delegation: 'd-dana', from: person('dana'), to_agent: 'shared' });
  await keelson.settle();
});

describe('after the order', () => {
  it('a token that served the leaver and others is told of', async () => {
    const order = say({ type: 'principal.offboarded', principal: person('dana') });
    await keelson.settle();
    expect(order).toMatchObject({ state: 'ordered', complete: true, incomplete: [] });
    serveBoth();
    await keelson.settle();
    expect(order).toMatchObject({ complete: true, incomplete: [{ reason: 'unnamed_tokens' }] });
  });

  it('a token that was used under a delegation of the leaver is told of', async () => {
    const order = say({ type: 'principal.offboarded', principal: person('dana') });
    await keelson.settle();
    const token = { issuer: AS, jti: 'service' };
    say({ type: 'decision.made', agent: 'shared', delegation: 'd-dana', tool: 'deploy', decision: 'allow', token });
    await keelson.settle();
    expect(order).toMatchObject({ complete: true, incomplete: [{ reason: 'unnamed_tokens' }] });
  });

  it('a token lives again that was said to end earlier, and ends with them', async () => {
    const token = { digest: DIGEST, expires_at: 1_700_000_000 };
    say({ type: 'token.seen', token, user: person('dana') });
    say({ type: 'principal.offboarded', principal: person('dana') });
    await keelson.settle();
    const facts = { digest: DIGEST, issuedAtUs: keelson.nowUs };
    expect(keelson.check(facts).revoked).toBe(false);
    say({ type: 'token.seen', token: { ...token, expires_at: 2_000_000_000 }, user: person('dana') });
    await keelson.settle();
    expect(keelson.check(facts).revoked).toBe(true);
  });
});

describe('while the order is under way', () => {
  it('what the graph learns before it lands is added after', async () => {
    const order = say({ type: 'principal.offboarded', principal: person('dana') });
    const decided = await keelson.look();
    serveBoth();
    say({ type: 'token.seen', token: { digest: DIGEST }, user: person('dana') });
    // Nothing is committed yet, so the same is decided again: by its name it is the same record, and the first one counts.
    await keelson.look();
    keelson.write(decided);
    expect(order).toMatchObject({ state: 'ordered', complete: true, incomplete: [] });
    await keelson.settle();
    expect(order).toMatchObject({ complete: true, incomplete: [{ reason: 'unnamed_tokens' }] });
    expect(keelson.check({ digest: DIGEST, issuedAtUs: keelson.nowUs }).revoked).toBe(true);
  });

  it('also where another process took over meanwhile', async () => {
    say({ type: 'principal.offboarded', principal: person('dana') });
    const decided = await keelson.look();
    say({ type: 'token.seen', token: { digest: DIGEST }, user: person('dana') });
    keelson.write(decided);
    keelson.takeOver();
    await keelson.settle();
    expect(keelson.check({ digest: DIGEST, issuedAtUs: keelson.nowUs }).revoked).toBe(true);
  });
});

describe('where the graph is behind with what was there before the cause', () => {
  const session = (session_id: string): JsonObject => ({ type: 'session.started', session_id, user: person('dana') });
  const isRevoked = (sessionId: string): boolean => keelson.check({ sessionId, issuedAtUs: keelson.nowUs }).revoked;
  const cutOff = (): Cause => say({ type: 'revocation.requested', principal: person('dana'), effect: 'cutoff' });

  beforeEach(() => {
    keelson.isPrompt = false;
  });

  it('the order goes out at once and says so, nothing is written while it waits, and it is whole when the graph is there', async () => {
    say(session('before'));
    const order = say({ type: 'principal.offboarded', principal: person('dana') });
    await keelson.settle();
    expect(order).toMatchObject({ state: 'ordered', complete: false, incomplete: [{ reason: 'behind' }] });
    say(session('after'));
    for (let round = 0; round < 3; round++) expect(await keelson.look()).toEqual([]);
    expect(isRevoked('before')).toBe(false);
    // What came after the cause is not waited for.
    keelson.foldActivity(1);
    await keelson.settle();
    expect(order).toMatchObject({ complete: true, incomplete: [] });
    expect([isRevoked('before'), isRevoked('after')]).toEqual([true, false]);
    keelson.foldActivity();
    await keelson.settle();
    expect(isRevoked('after')).toBe(true);
    expect(keelson.refold().causes.get(order.order)).toEqual(order);
  });

  it('who only has to sign in again loses what was there before for good, and keeps what is new', async () => {
    say(session('before'));
    const order = cutOff();
    await keelson.settle();
    expect(order).toMatchObject({ complete: false });
    say(session('after'));
    say({ type: 'token.seen', token: { jti: 'j' }, user: person('dana'), session_id: 'another' });
    for (let left = 3; left > 0; left--) {
      keelson.foldActivity(1);
      await keelson.settle();
    }
    expect(order).toMatchObject({ complete: true, incomplete: [] });
    expect([isRevoked('before'), isRevoked('after'), isRevoked('another')]).toEqual([true, false, false]);
  });

  it('also where another process takes over before the graph is there', async () => {
    say(session('before'));
    const order = cutOff();
    await keelson.settle();
    say(session('after'));
    keelson.takeOver();
    await keelson.settle();
    keelson.foldActivity();
    await keelson.settle();
    expect(keelson.state.causes.get(order.order)).toMatchObject({ complete: true, incomplete: [] });
    expect([isRevoked('before'), isRevoked('after')]).toEqual([true, false]);
  });

  it('a session that turns out to have been there before is ended for good, although it was taken for a new one', async () => {
    const order = cutOff();
    await keelson.settle();
    keelson.isPrompt = true;
    say(session('one'));
    await keelson.settle();
    expect([isRevoked('one'), order.complete]).toEqual([false, true]);
    // Another partition was further behind.
    keelson.nowUs -= 60_000_000;
    say(session('one'));
    keelson.nowUs += 60_000_000;
    await keelson.settle();
    expect(isRevoked('one')).toBe(true);
  });
});

it('a dry run in a process without the graph says so, rather than too little', async () => {
  const sim = new Simulation();
  sim.graph.isHere = false;
  const follower = { state: sim.state, size: 1n, catchUp: () => Promise.resolve() };
  for (const groups of [[], ['ops']]) {
    const asked = { principal: sim.person('anna'), groups, effect: 'block' } as const;
    await expect(dryRun(follower, sim.survey, sim.graph, 'admin', asked)).rejects.toMatchObject({
      code: 'not_ready',
      retryAfterS: 5,
    });
  }
});
