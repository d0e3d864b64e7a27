import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/index.js';
import type { SeenToken } from '../../src/identity/views.js';
import { IDP, Simulation, typesOf } from './simulation.js';

const MAIL = 'https://mail.example';
const token = (more: Partial<SeenToken>): SeenToken => ({
  issuer: IDP,
  jti: null,
  digest: null,
  subjects: [],
  agents: [],
  clientId: null,
  sessionId: null,
  grants: [],
  delegations: [],
  issuedAtUs: null,
  expiresAtUs: null,
  ...more,
});
const offboard = (principal: string, more: JsonObject = {}): JsonObject => ({
  type: 'principal.offboarded',
  principal,
  ...more,
});

describe('a leaver', () => {
  it('loses every alias, grant, delegation, session, and what they own; a shared agent goes on for the others', async () => {
    const sim = new Simulation();
    const [anna, mail, ben] = [sim.person('anna'), sim.person('anna', MAIL), sim.person('ben')];
    sim.graph.humans.push([anna, mail]);
    sim.graph.owned.set(anna, [
      { type: 'agent', issuer: '', id: 'own-bot', onOwnerLeave: null, successor: null },
      { type: 'client', issuer: IDP, id: 'own-client', onOwnerLeave: 'block', successor: null },
    ]);
    sim.graph.below.set(anna, {
      grants: [{ issuer: IDP, id: 'g-1', firstUs: 1 }],
      sessions: [{ issuer: IDP, id: 's-1', firstUs: 1 }],
      delegations: ['d-1', 'd-2'],
      tokens: [
        token({ digest: 'ab'.repeat(32), issuer: '' }),
        token({ jti: 'covered', grants: ['g-1'] }),
        token({ jti: 'shared', agents: ['shared-bot'], delegations: ['d-1'] }),
      ],
    });
    const cause = sim.say('hr', offboard(anna));
    expect(typesOf(await sim.settle())).toEqual(['ordered']);
    expect(cause).toMatchObject({ state: 'ordered', complete: true, incomplete: [] });

    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(true);
    expect(sim.isRevoked({ agents: ['own-bot'] })).toBe(true);
    expect(sim.isRevoked({ clientId: 'own-client' })).toBe(true);
    expect(sim.isRevoked({ grants: ['g-1'], agents: ['shared-bot'] })).toBe(true);
    expect(sim.isRevoked({ delegations: ['d-2'] })).toBe(true);
    expect(sim.isRevoked({ sessionId: 's-1' })).toBe(true);
    expect(sim.isRevoked({ digest: 'AB'.repeat(32) })).toBe(true);
    // The shared agent, for everybody else.
    void ben;
    for (let i = 0; i < 499; i++) {
      expect(sim.isRevoked({ subject: `user-${i}`, agents: ['shared-bot'], jti: `t-${i}` })).toBe(false);
    }
    // Named by an ancestor: no key of its own.
    const held = [...sim.state.keys.get(cause.order)!.values()].map(({ type }) => type);
    expect(held.filter((type) => type === 'token')).toHaveLength(1);
  });

  it('is ordered in parts of at most 3,000 keys, each of which takes effect at once', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    const tokens = Array.from({ length: 7_500 }, (_, i) => token({ jti: `t-${i}` }));
    sim.graph.below.set(anna, { tokens });
    const cause = sim.say('hr', offboard(anna));
    const [first, ...rest] = await sim.decide();
    sim.write(first!);
    expect(cause).toMatchObject({ state: 'ordered', complete: false, parts: 1 });
    expect(sim.state.keys.get(cause.order)!.size).toBe(3000);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    for (const part of rest) sim.write(part);
    expect(rest).toHaveLength(2);
    expect(cause).toMatchObject({ complete: true, parts: 3 });
    expect(await sim.settle()).toEqual([]);
    expect(tokens.every(({ jti }) => sim.isRevoked({ jti: jti! }))).toBe(true);
  });

  it('is extended by what appears later: an alias, a token', async () => {
    const sim = new Simulation();
    const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
    const cause = sim.say('hr', offboard(anna));
    await sim.settle();
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(false);
    sim.graph.humans.push([anna, mail]);
    sim.say('hr', { type: 'principal.linked', principal: anna, aliases: [mail] });
    expect(typesOf(await sim.settle())).toEqual(['extended']);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(true);
    expect(cause.subjects).toEqual([anna, mail].sort());
    sim.graph.below.set(mail, { tokens: [token({ jti: 'late' })] });
    sim.state.touch([mail]);
    expect(typesOf(await sim.settle())).toEqual(['extended']);
    expect(sim.isRevoked({ jti: 'late' })).toBe(true);
  });

  it('is ordered at once with what is known where the graph is behind or gone, and completed later', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    sim.graph.below.set(anna, { tokens: [token({ jti: 'known-later' })] });
    sim.graph.fails = true;
    const cause = sim.say('hr', offboard(anna));
    for (const event of await sim.decide()) sim.write(event);
    expect(cause).toMatchObject({ state: 'ordered', complete: false, incomplete: [{ reason: 'behind' }] });
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    expect(await sim.decide()).toEqual([]); // and nothing twice
    sim.graph.fails = false;
    expect(typesOf(await sim.settle())).toEqual(['extended']);
    expect(cause).toMatchObject({ complete: true, incomplete: [] });
    expect(sim.isRevoked({ jti: 'known-later' })).toBe(true);
  });

  it('is incomplete where an expected issuer knows neither an account nor that there is none, and where tokens serve others, too', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    sim.policies.set('hr', { owns: [IDP], expects: [IDP, MAIL, 'https://vpn.example'], groupless: [] });
    sim.graph.absent.set(anna, ['https://vpn.example']);
    sim.graph.below.set(anna, { sharedCount: 2 });
    const cause = sim.say('hr', offboard(anna));
    await sim.settle();
    expect(cause.incomplete).toEqual([{ reason: 'no_alias', issuer: MAIL }, { reason: 'unnamed_tokens' }]);
    sim.graph.below.set(anna, { sharedCount: 3 });
    sim.state.hearAll();
    expect(await sim.decide()).toEqual([]); // one more of them is no news
  });

  it('of one source loses only what that source gave', async () => {
    const sim = new Simulation();
    const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
    sim.graph.humans.push([anna, mail]);
    sim.graph.owned.set(anna, [{ type: 'agent', issuer: '', id: 'bot', onOwnerLeave: null, successor: null }]);
    sim.policies.set('mail', { owns: [MAIL], expects: [], groupless: [] });
    const cause = sim.say('mail', offboard(mail, { scope: 'source' }));
    await sim.settle();
    expect(cause.kind).toBe('scope_loss');
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(true);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(false);
    expect(sim.isRevoked({ agents: ['bot'] })).toBe(false);
  });
});

describe('what a leaver owns', () => {
  it('is held until a new owner is approved', async () => {
    const sim = new Simulation();
    const [anna, ben] = [sim.person('anna'), sim.person('ben')];
    sim.graph.owned.set(anna, [{ type: 'agent', issuer: '', id: 'bot', onOwnerLeave: 'hold', successor: null }]);
    sim.say('hr', offboard(anna));
    await sim.settle();
    expect(sim.isRevoked({ agents: ['bot'] })).toBe(true);
    sim.graph.owned.clear();
    sim.say('registry', { type: 'agent.registered', agent: 'bot', owner: ben });
    await sim.settle();
    expect(sim.isRevoked({ agents: ['bot'] })).toBe(true);
    sim.pass(60);
    sim.say('registry', { type: 'agent.approved', agent: 'bot' });
    expect(typesOf(await sim.settle())).toEqual(['lifted']);
    sim.pass(60);
    expect(sim.isRevoked({ agents: ['bot'] })).toBe(false);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
  });

  it('goes on under a successor, unless they leave too', async () => {
    const sim = new Simulation();
    const [anna, ben, carl] = [sim.person('anna'), sim.person('ben'), sim.person('carl')];
    const bot = (id: string, successor: string | null) =>
      ({ type: 'agent', issuer: '', id, onOwnerLeave: 'transfer', successor }) as const;
    sim.graph.owned.set(anna, [bot('a', ben), bot('b', carl), bot('c', null), bot('d', anna)]);
    sim.say('hr', offboard(carl));
    sim.say('hr', offboard(anna));
    await sim.settle();
    expect(['a', 'b', 'c', 'd'].map((id) => sim.isRevoked({ agents: [id] }))).toEqual([false, true, true, true]);
  });
});

describe('coming back', () => {
  it('lifts what the same source ordered, leaves a cutoff, and no compromise and no other source is touched', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    const leave = sim.say('hr', offboard(anna));
    sim.say('okta', offboard(anna));
    await sim.settle();
    sim.pass(60);
    sim.say('hr', { type: 'principal.reinstated', principal: anna });
    expect(typesOf(await sim.settle())).toEqual(['lifted']);
    expect(leave.state).toBe('lifted');
    expect(sim.check({ issuer: IDP, subject: 'anna', issuedAtUs: sim.nowUs })).toMatchObject({ reason: 'blocked' });
    const okta = sim.say('okta', { type: 'principal.reinstated', principal: anna });
    await sim.settle();
    expect(okta.state).toBe('settled');
    const before = sim.nowUs;
    sim.pass(60);
    expect(sim.check({ issuer: IDP, subject: 'anna', issuedAtUs: before })).toMatchObject({ reason: 'cutoff' });
    expect(sim.isRevoked({ subject: 'anna' })).toBe(false);

    const breach = sim.say('sec', { type: 'revocation.requested', principal: anna, security: true });
    await sim.settle();
    const again = sim.say('sec', { type: 'principal.reinstated', principal: anna });
    await sim.settle();
    expect(again).toMatchObject({ state: 'refused', code: 'nothing_to_lift' });
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    sim.say('admin', { type: 'revocation.lift_requested', orders: [breach.order] });
    await sim.settle();
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(false);
  });

  it('waits for what was said before it, and wins over what was only planned', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    const later = sim.say(
      'hr',
      offboard(anna, { effective_at: new Date(sim.nowUs / 1000 + 86_400_000).toISOString() }),
    );
    const now = sim.say('hr', offboard(anna));
    const back = sim.say('hr', { type: 'principal.reinstated', principal: anna });
    expect(later.state).toBe('cancelled');
    expect(typesOf(await sim.settle())).toEqual(['ordered', 'lifted']);
    expect([now.state, back.state]).toEqual(['lifted', 'settled']);
    const again = sim.say('hr', offboard(anna));
    await sim.settle();
    expect(again.state).toBe('ordered');
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
  });

  it('a rehire by the same source is one; of somebody who never left it is nothing', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    expect(sim.say('hr', { type: 'principal.joined', principal: anna })).toBeUndefined();
    sim.say('hr', offboard(anna));
    await sim.settle();
    const rehire = sim.say('hr', { type: 'principal.joined', principal: anna });
    await sim.settle();
    expect(rehire).toMatchObject({ kind: 'rehire', state: 'settled' });
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(false);
  });
});

describe('links', () => {
  it('an unlinked or reassigned alias gets its block turned into a cutoff', async () => {
    const sim = new Simulation();
    const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
    sim.graph.humans.push([anna, mail]);
    sim.graph.below.set(mail, { sessions: [{ issuer: MAIL, id: 'mail-session', firstUs: 1 }] });
    const cause = sim.say('hr', offboard(anna));
    await sim.settle();
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(true);
    sim.graph.humans.length = 0;
    const before = sim.nowUs;
    sim.pass(60);
    sim.say('hr', { type: 'principal.unlinked', principal: anna, aliases: [mail] });
    expect(typesOf(await sim.settle())).toEqual(['lifted']);
    sim.pass(60);
    expect(cause).toMatchObject({ state: 'ordered', subjects: [anna] });
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna' })).toBe(false);
    expect(sim.isRevoked({ issuer: MAIL, sessionId: 'mail-session' })).toBe(false);
    expect(sim.check({ issuer: MAIL, subject: 'anna', issuedAtUs: before })).toMatchObject({ reason: 'cutoff' });
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    expect(await sim.settle()).toEqual([]);
  });
});

describe('movers', () => {
  it('lose the group under every alias until this source gives it again', async () => {
    const sim = new Simulation();
    const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
    sim.graph.humans.push([anna, mail]);
    sim.say('hr', {
      type: 'principal.moved',
      principal: anna,
      groups_removed: ['admins', 'ops'],
      groups_added: ['sales'],
    });
    await sim.settle();
    expect(sim.isRevoked({ subject: 'anna', groups: ['admins'] })).toBe(true);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna', groups: ['ops'] })).toBe(true);
    expect(sim.isRevoked({ subject: 'anna', groups: ['sales'] })).toBe(false);
    expect(sim.isRevoked({ subject: 'ben', groups: ['admins'] })).toBe(false);
    sim.say('hr', { type: 'principal.moved', principal: anna, groups_added: ['admins'] });
    await sim.settle();
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna', groups: ['admins'] })).toBe(false);
    expect(sim.isRevoked({ subject: 'anna', groups: ['ops'] })).toBe(true);
  });

  it('who have a group again keep it, whatever is said of them later', async () => {
    const sim = new Simulation();
    const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
    sim.say('hr', { type: 'principal.moved', principal: anna, groups_removed: ['admins', 'ops'] });
    await sim.settle();
    sim.say('hr', { type: 'principal.moved', principal: anna, groups_added: ['admins'] });
    await sim.settle();
    sim.graph.humans.push([anna, mail]);
    sim.say('hr', { type: 'principal.linked', principal: anna, aliases: [mail] });
    expect(typesOf(await sim.settle())).toContain('extended');
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna', groups: ['admins'] })).toBe(false);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna', groups: ['admins'] })).toBe(false);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna', groups: ['ops'] })).toBe(true);
  });

  it('are told from the whole list of groups, too; where tokens list none, it is a cutoff', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    sim.policies.set('hr', { owns: [IDP], expects: [], groupless: [IDP] });
    sim.say('hr', { type: 'principal.joined', principal: anna, groups: ['a', 'b'] });
    sim.say('hr', { type: 'principal.moved', principal: anna, groups: ['b', 'c'] });
    await sim.settle();
    expect(sim.check({ issuer: IDP, subject: 'anna', issuedAtUs: sim.nowUs })).toMatchObject({ reason: 'cutoff' });
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna', groups: ['b', 'c'] })).toBe(false);
    expect(sim.isRevoked({ subject: 'anna', groups: ['a'] })).toBe(true);
  });
});

describe('requests', () => {
  it('block or cut off one thing, with what stems from it', async () => {
    const sim = new Simulation();
    sim.graph.below.set('grant:g', { tokens: [token({ jti: 'opaque' }), token({ jti: 'named', grants: ['g'] })] });
    const target = (type: string, value: string, issuer?: string): JsonObject => ({
      type,
      value,
      ...(issuer === undefined ? {} : { issuer }),
    });
    sim.say('admin', { type: 'revocation.requested', target: target('grant', 'g') });
    sim.say('admin', { type: 'revocation.requested', target: target('tool', 'deploy'), effect: 'cutoff' });
    sim.say('admin', { type: 'revocation.requested', target: target('token', 'jti-1', IDP) });
    const bad = sim.say('admin', { type: 'revocation.requested', target: target('planet', 'mars') });
    const none = sim.say('admin', { type: 'revocation.requested' });
    await sim.settle();
    expect(sim.isRevoked({ grants: ['g'] })).toBe(true);
    expect(sim.isRevoked({ jti: 'opaque' })).toBe(true);
    expect(sim.isRevoked({ jti: 'jti-1' })).toBe(true);
    expect(sim.isRevoked({ tool: 'deploy' })).toBe(true);
    sim.pass(60);
    expect(sim.isRevoked({ tool: 'deploy' })).toBe(false);
    expect([bad, none]).toMatchObject([
      { state: 'refused', code: 'unsupported_target' },
      { state: 'refused', code: 'no_target' },
    ]);
  });
});

it('whoever folds the same entries has the same state, and knows nothing to do', async () => {
  const sim = new Simulation();
  const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
  sim.graph.humans.push([anna, mail]);
  sim.say('hr', offboard(anna));
  sim.say('hr', { type: 'principal.moved', principal: mail, groups_removed: ['x'] });
  await sim.settle();
  sim.say('hr', { type: 'principal.reinstated', principal: anna });
  await sim.settle();
  const again = sim.refold();
  expect([...again.causes.values()]).toEqual([...sim.state.causes.values()]);
  expect(again.keys).toEqual(sim.state.keys);
  expect(again.table.head()).toEqual(sim.state.table.head());
  sim.state = again;
  expect(await sim.settle()).toEqual([]);
});
