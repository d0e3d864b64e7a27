import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { contradictionsOf, keysOfAllowed, type Allowed, type Forbidden } from '../../src/revocation/cases/allowed.js';
import { FENCED_AFTER_US } from '../../src/revocation/cases/standing.js';
import { deriveKey, type KeyType } from '../../src/protocol/keys.js';
import { MATERIAL } from './simulation.js';

const ORDERED = 1_000_000_000;
const ALICE = 'a1'.repeat(16);
const IDP = 'https://idp.example';
const keyOf = (type: KeyType, issuer: string, value: string): string =>
  formatHex(deriveKey(MATERIAL.hasher, MATERIAL.guardKey, type, issuer, value));

const allowed: Allowed = {
  log: 'decisions/0/g1',
  index: 4n,
  appendedUs: ORDERED + FENCED_AFTER_US + 1,
  decidedUs: ORDERED + FENCED_AFTER_US + 1,
  producer: 'gateway',
  point: 'gateway',
  instance: undefined,
  seq: undefined,
  facts: [
    { issuer: IDP, jti: 'j', agents: ['bot'], tool: 'deploy' },
    { issuer: IDP, sessionId: 's' },
  ],
  persons: [ALICE],
  issuedAtUs: undefined,
};
const forbidden: Forbidden = { order: 'o', seq: 7, lastPartUs: ORDERED, cutoffUs: undefined };

describe('an allow', () => {
  const persons = new Map([[ALICE, { issuer: IDP, id: 'alice' }]]);
  const judge = (more: Partial<Allowed> = {}, by: Partial<Forbidden> = {}, key = keyOf('agent', '', 'bot')): number => {
    const one = { ...allowed, ...more };
    return contradictionsOf(one, keysOfAllowed(MATERIAL, one, persons), new Map([[key, [{ ...forbidden, ...by }]]]))
      .length;
  };

  it.each([
    ['token', IDP, 'j'],
    ['agent', '', 'bot'],
    ['tool', '', 'deploy'],
    ['session', IDP, 's'],
    ['session', '', 's'],
    ['principal', IDP, 'alice'],
  ] as const)('contradicts an order on its %s (issuer %j)', (type, issuer, value) => {
    expect(judge({}, {}, keyOf(type, issuer, value))).toBe(1);
    expect(judge({}, {}, keyOf(type, issuer, `${value}2`))).toBe(0);
  });

  it('counts from when no lease from before the order is left, by the earlier of both clocks', () => {
    const early = ORDERED + FENCED_AFTER_US;
    expect(judge({ decidedUs: early })).toBe(0);
    expect(judge({ appendedUs: early })).toBe(0);
    expect(judge({ decidedUs: early + 1, appendedUs: early + 1 })).toBe(1);
  });

  it('counts earlier where its guard says that its table held the order, but not in the moment between', () => {
    const soon = { decidedUs: ORDERED + 5_000_001, appendedUs: ORDERED + 9_000_000 };
    expect(judge({ ...soon, seq: 7 })).toBe(1);
    expect(judge({ ...soon, seq: 6 })).toBe(0);
    expect(judge(soon)).toBe(0);
    expect(judge({ ...soon, seq: 7, decidedUs: ORDERED + 5_000_000 })).toBe(0);
  });

  it('contradicts a cutoff only by a token that is known to be older', () => {
    const by = { cutoffUs: 500 };
    expect(judge({ issuedAtUs: 500 }, by)).toBe(1);
    expect(judge({ issuedAtUs: 501 }, by)).toBe(0);
    expect(judge({ issuedAtUs: undefined }, by)).toBe(0);
  });

  it('contradicts each order once, by whatever number of keys', () => {
    const keys = keysOfAllowed(MATERIAL, allowed, persons);
    const both = new Map([
      [keyOf('agent', '', 'bot'), [forbidden]],
      [keyOf('tool', '', 'deploy'), [forbidden, { ...forbidden, order: 'p' }]],
    ]);
    expect(contradictionsOf(allowed, keys, both).map((one) => one.forbidden.order)).toEqual(['o', 'p']);
  });

  it('says nothing of a person whom nobody can name any more', () => {
    const keys = keysOfAllowed(MATERIAL, allowed, new Map());
    expect([...keys.values()]).not.toContain('principal');
  });
});
