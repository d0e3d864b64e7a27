/** Who has to sign in again has not left: cutoffs of persons, sessions of an issuer, tokens that were shown. */
import { describe, expect, it } from 'vitest';
import type { SeenToken } from '../../src/identity/views.js';
import { IDP, Simulation, typesOf } from './simulation.js';

const MAIL = 'https://mail.example';
const DIGEST = 'ab'.repeat(32);
const token = (jti: string, subject: string): SeenToken => ({
  issuer: IDP,
  jti,
  digest: null,
  subjects: [subject],
  agents: [],
  clientId: null,
  sessionId: null,
  grants: [],
  delegations: [],
  issuedAtUs: null,
  expiresAtUs: null,
});

function openAnna(): { sim: Simulation; anna: string } {
  const sim = new Simulation();
  const [anna, mail] = [sim.person('anna'), sim.person('anna', MAIL)];
  sim.graph.humans.push([anna, mail]);
  sim.graph.owned.set(anna, [{ type: 'agent', issuer: '', id: 'bot', onOwnerLeave: null, successor: null }]);
  sim.graph.below.set(anna, {
    grants: [{ issuer: IDP, id: 'g-1', firstUs: 1 }],
    sessions: [
      { issuer: IDP, id: 's-1', firstUs: 1 },
      { issuer: MAIL, id: 's-2', firstUs: 1 },
    ],
    tokens: [token('named', anna)],
  });
  return { sim, anna };
}

describe('a cutoff for a person', () => {
  it('refuses what was issued up to now, ends grants and sessions for good, and takes what comes after', async () => {
    const { sim, anna } = openAnna();
    const old = sim.nowUs - 1e6;
    const cause = sim.say('okta', { type: 'revocation.requested', principal: anna, effect: 'cutoff' });
    expect(typesOf(await sim.settle())).toEqual(['ordered']);
    expect(cause).toMatchObject({ state: 'ordered', complete: true, effect: 'cutoff' });
    expect(sim.isRevoked({ subject: 'anna', issuedAtUs: old })).toBe(true);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna', issuedAtUs: old })).toBe(true);
    expect(sim.isRevoked({ agents: ['bot'], issuedAtUs: old })).toBe(true);
    sim.pass(60);
    for (const again of [{ subject: 'anna' }, { issuer: MAIL, subject: 'anna' }, { agents: ['bot'] }]) {
      expect(sim.isRevoked(again)).toBe(false);
    }
    // What is refreshed names them.
    expect(sim.isRevoked({ subject: 'anna', grants: ['g-1'] })).toBe(true);
    expect(sim.isRevoked({ subject: 'anna', sessionId: 's-1' })).toBe(true);
  });

  it('leaves sessions alone that begin afterwards, and nobody takes the person for a leaver', async () => {
    const { sim, anna } = openAnna();
    const cause = sim.say('okta', { type: 'revocation.requested', principal: anna, effect: 'cutoff' });
    await sim.settle();
    sim.pass(60);
    sim.graph.below.set(anna, { sessions: [{ issuer: IDP, id: 's-9', firstUs: sim.nowUs }] });
    sim.state.touched.set(cause.order, sim.state.index);
    await sim.settle();
    expect(sim.isRevoked({ subject: 'anna', sessionId: 's-9' })).toBe(false);
    expect(sim.state.hasLeft([anna])).toBe(false);
    expect(sim.refold().table.head()).toEqual(sim.state.table.head());
    // Nothing comes back by a reinstatement that was never taken by a leave.
    sim.say('okta', { type: 'principal.reinstated', principal: anna });
    await sim.settle();
    expect(sim.isRevoked({ sessionId: 's-1' })).toBe(true);
  });
});

describe('all sessions of a person at an issuer', () => {
  it('end there alone: not elsewhere, not the grants, not what they own', async () => {
    const { sim, anna } = openAnna();
    const old = sim.nowUs - 1e6;
    const target = { type: 'session', issuer: IDP };
    sim.say('op', { type: 'revocation.requested', principal: anna, target, effect: 'cutoff' });
    await sim.settle();
    expect(sim.isRevoked({ subject: 'anna', issuedAtUs: old })).toBe(true);
    expect(sim.isRevoked({ sessionId: 's-1' })).toBe(true);
    expect(sim.isRevoked({ issuer: MAIL, subject: 'anna', issuedAtUs: old })).toBe(false);
    expect(sim.isRevoked({ issuer: MAIL, sessionId: 's-2', issuedAtUs: old })).toBe(false);
    expect(sim.isRevoked({ agents: ['bot'], issuedAtUs: old })).toBe(false);
    sim.pass(60);
    expect(sim.isRevoked({ subject: 'anna', grants: ['g-1'] })).toBe(false);
  });
});

describe('a token that was shown', () => {
  it('is refused by its id and by its digest', async () => {
    const sim = new Simulation();
    const target = { type: 'token', issuer: IDP, value: 't-1', digest: DIGEST.toUpperCase() };
    sim.say('as', { type: 'revocation.requested', target });
    await sim.settle();
    expect(sim.isRevoked({ jti: 't-1' })).toBe(true);
    expect(sim.isRevoked({ issuer: MAIL, jti: 't-1' })).toBe(false);
    expect(sim.isRevoked({ issuer: MAIL, digest: DIGEST })).toBe(true);
    expect(sim.isRevoked({ digest: 'cd'.repeat(32) })).toBe(false);
  });

  it('takes the grants with it that it stems from, where they are asked for', async () => {
    for (const grants of [true, false]) {
      const sim = new Simulation();
      sim.graph.grants.set(DIGEST, [{ issuer: IDP, id: 'g-7', firstUs: 1 }]);
      const target = { type: 'token', issuer: IDP, digest: DIGEST, grants };
      sim.say('as', { type: 'revocation.requested', target });
      await sim.settle();
      expect(sim.isRevoked({ grants: ['g-7'], jti: 'refreshed' })).toBe(grants);
    }
  });

  it.each([
    ['no name at all', { type: 'token', issuer: IDP }],
    ['a digest that is none', { type: 'token', issuer: IDP, digest: 'ab' }],
    ['a digest of something else', { type: 'session', issuer: IDP, digest: DIGEST }],
    ['all sessions of nobody', { type: 'session', issuer: IDP }],
  ])('is refused with %s', async (_what, target) => {
    const sim = new Simulation();
    const cause = sim.say('as', { type: 'revocation.requested', target });
    await sim.settle();
    expect(cause).toMatchObject({ state: 'refused', code: 'unsupported_target' });
  });
});
