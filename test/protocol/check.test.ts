import { describe, expect, it } from 'vitest';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { checkToken } from '../../src/protocol/check.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import { deriveCanaryKey, deriveKey } from '../../src/protocol/keys.js';
import type { Change } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';

const guardKey = Buffer.alloc(32, 7);
const canary = deriveCanaryKey(hasher, guardKey);
const user = deriveKey(hasher, guardKey, 'principal', 'iss', 'user');
const agent = deriveKey(hasher, guardKey, 'agent', '', 'agent');
const other = deriveKey(hasher, guardKey, 'tool', '', 'shell');
const order = (n: number): string => String(n).padStart(32, '0');
const NOW = 1_800_000_000_000_000;
const SKEW = 5_000_000;

function tableOf(...parts: Change[][]): RevocationTable {
  const table = new RevocationTable(hasher, canary);
  parts.forEach((changes, i) => table.apply(BigInt(i), { term: 1n, changes }));
  return table;
}
const check = (table: RevocationTable, keys: Uint8Array[], issuedAtUs: number | undefined) =>
  checkToken(table, keys, issuedAtUs, NOW, SKEW);

describe('checkToken', () => {
  it('refuses a token of a blocked key, by the order that is open longest', () => {
    const table = tableOf([
      { change: 'block', order: order(1), keys: user },
      { change: 'block', order: order(2), keys: user },
    ]);
    const refused = { revoked: true, reason: 'blocked', key: user, order: order(1), seq: 1 };
    expect(check(table, [agent, user], NOW)).toEqual(refused);
    expect(check(table, [agent, user], undefined)).toEqual(refused);
    expect(check(table, [agent, other], NOW)).toEqual({ revoked: false });
    expect(check(table, [], undefined)).toEqual({ revoked: false });
  });

  it('refuses under a cutoff what was issued up to it plus skew, and what does not say when', () => {
    const table = tableOf([{ change: 'cutoff', atUs: NOW - 60_000_000, keys: user }]);
    const cutoff = { revoked: true, reason: 'cutoff', key: user, seq: 1 };
    expect(check(table, [user], NOW - 60_000_000 + SKEW)).toEqual(cutoff);
    expect(check(table, [user], NOW - 60_000_000 + SKEW + 1)).toEqual({ revoked: false });
    expect(check(table, [user], undefined)).toEqual({ ...cutoff, reason: 'no_issue_time' });
    expect(check(table, [user], NaN)).toEqual({ ...cutoff, reason: 'no_issue_time' });
    expect(check(table, [user], -Infinity)).toEqual(cutoff);
  });

  it('refuses what was issued further ahead than clocks differ, always', () => {
    const table = tableOf([{ change: 'cutoff', atUs: 0, keys: user }]);
    const future = { revoked: true, reason: 'issued_in_future', seq: 2 };
    expect(check(table, [user], NOW + SKEW)).toEqual({ revoked: false });
    expect(check(table, [user], NOW + SKEW + 1)).toEqual(future);
    expect(check(table, [], Infinity)).toEqual(future);
    expect(check(table, [], NaN)).toEqual(future);
  });

  it('tells a block before a cutoff', () => {
    const table = tableOf([
      { change: 'cutoff', atUs: NOW, keys: user },
      { change: 'block', order: order(3), keys: agent },
    ]);
    expect(check(table, [user, agent], NOW)).toEqual({
      revoked: true,
      reason: 'blocked',
      key: agent,
      order: order(3),
      seq: 2,
    });
  });

  it('names of several keys the first, and an order only where it is known', () => {
    const table = tableOf([
      { change: 'cutoff', atUs: 5, keys: Buffer.concat([agent, user]) },
      { change: 'block', order: order(1), keys: other },
    ]);
    expect(check(table, [user, agent], 5)).toMatchObject({ reason: 'cutoff', key: user });
    expect(checkToken(table.facts, [other], 5, NOW, SKEW)).toStrictEqual({
      revoked: true,
      reason: 'blocked',
      key: other,
      seq: 3,
    });
  });

  it('refuses the canary as it stood before the last part', () => {
    const table = tableOf([], [], []);
    expect(table.parts).toBe(3);
    expect(checkToken(table, [canary], 3, NOW, 0)).toMatchObject({ revoked: true, reason: 'cutoff', seq: 3 });
    expect(checkToken(table, [canary], 4, NOW, 0)).toEqual({ revoked: false });
  });
});

describe('RevocationTable', () => {
  it('unblocks when the last order is lifted, and leaves a cutoff', () => {
    const table = tableOf(
      [
        { change: 'block', order: order(1), keys: user },
        { change: 'block', order: order(2), keys: user },
      ],
      [{ change: 'lift', order: order(1), atUs: NOW - 20_000_000, keys: user }],
    );
    expect(check(table, [user], NOW)).toMatchObject({ reason: 'blocked', order: order(2) });
    table.apply(9n, { term: 1n, changes: [{ change: 'lift', order: order(2), atUs: NOW - 30_000_000, keys: user }] });
    expect(check(table, [user], NOW)).toEqual({ revoked: false });
    expect(check(table, [user], NOW - 20_000_000)).toMatchObject({ reason: 'cutoff' });
    expect(table.orders.of(user)).toEqual([]);
  });

  it('lifts only what is open: another order moves neither block nor cutoff', () => {
    const table = tableOf(
      [{ change: 'block', order: order(1), keys: user }],
      [{ change: 'lift', order: order(2), atUs: NOW, keys: Buffer.concat([user, agent]) }],
    );
    expect(table.orders.of(user)).toEqual([order(1)]);
    expect(table.facts.size).toBe(2);
    expect(check(table, [agent], 0)).toEqual({ revoked: false });
  });

  it('ignores lower terms and redelivered records, and counts what changes', () => {
    const table = new RevocationTable(hasher, canary);
    const block: Change[] = [{ change: 'block', order: order(1), keys: user }];
    const none = new Uint8Array(0);
    expect(table.apply(4n, { term: 2n, changes: undefined })).toEqual({ facts: none, stateHashes: none, seq: 0 });
    expect(table.apply(5n, { term: 1n, changes: block })).toBeUndefined();
    expect(check(table, [user], NOW)).toEqual({ revoked: false });
    expect(table.apply(6n, { term: 2n, changes: block })).toMatchObject({ seq: 2 });
    expect(table.apply(6n, { term: 2n, changes: block })).toBeUndefined();
    expect(table.apply(7n, { term: 3n, changes: block })).toMatchObject({ seq: 3 });
    expect([table.term, table.index, table.parts]).toEqual([3n, 7n, 2]);
  });

  it('forgets a key with its orders; the canary it forgets and blocks for nobody', () => {
    const keys = Buffer.concat([user, canary]);
    const table = tableOf([{ change: 'block', order: order(1), keys }], [{ change: 'expire', keys }]);
    expect(table.orders.size).toBe(0);
    expect([table.facts.size, table.parts]).toEqual([1, 2]);
    expect(check(table, [user], undefined)).toEqual({ revoked: false });
  });
});

describe('staleness in the table', () => {
  const key = deriveKey(hasher, guardKey, 'staleness', '', 'deploy');

  it('is said and taken back, by no part', () => {
    const table = tableOf([{ change: 'block', order: order(1), keys: user }]);
    const said = table.setStaleness(1n, key, 15_000_000)!;
    expect([said.seq, said.facts.length, said.stateHashes]).toEqual([3, FACT_BYTES, table.head().stateHash]);
    expect(table.facts.stalenessUs(table.find(key))).toBe(15_000_000);
    expect(table.setStaleness(1n, key, 1)).toBeUndefined();
    expect(table.setStaleness(2n, key, 15_000_000)).toMatchObject({ seq: 3, facts: new Uint8Array(0) });
    expect(table.setStaleness(3n, key, undefined)).toMatchObject({ seq: 4 });
    expect([table.find(key), table.index, table.parts]).toEqual([-1, 3n, 1]);
  });
});

it('what a record changed is all there, with the state after each', () => {
  const [table, beside] = [tableOf(), tableOf()];
  const applied = table.apply(0n, {
    term: 0n,
    changes: [{ change: 'block', order: order(1), keys: Buffer.concat([user, agent]) }],
  })!;
  const facts = [
    beside.facts.put(user, 0, true, undefined)!.slice(),
    beside.facts.put(agent, 0, true, undefined)!.slice(),
    beside.facts.put(canary, 0, false, 1)!.slice(),
  ];
  expect(Buffer.from(applied.facts)).toEqual(Buffer.concat(facts));
  expect(applied.seq).toBe(3);
  expect(applied.stateHashes).toHaveLength(3 * 32);
  expect(applied.stateHashes.slice(-32)).toEqual(beside.head().stateHash);
  expect([table.index, table.term, tableOf().index, tableOf().parts]).toEqual([0n, 0n, -1n, 0]);
});

it('cutoffs only rise, whether the key is blocked or not', () => {
  const table = tableOf(
    [{ change: 'cutoff', atUs: 50, keys: user }],
    [{ change: 'cutoff', atUs: 40, keys: user }],
    [{ change: 'block', order: order(1), keys: user }],
    [{ change: 'cutoff', atUs: 60, keys: user }],
  );
  const slot = table.find(user);
  expect([table.cutoffUs(slot), table.isBlocked(slot), table.orderOf(user)]).toEqual([60, true, order(1)]);
  table.apply(9n, { term: 1n, changes: [{ change: 'lift', order: order(1), atUs: 55, keys: user }] });
  expect([table.cutoffUs(table.find(user)), table.isBlocked(table.find(user))]).toEqual([60, false]);
  expect(table.orderOf(user)).toBeUndefined();
});

it('what stands in the first slot is known, and of nothing else', () => {
  const first = new Uint8Array(16).fill(0xff, 12);
  const second = Uint8Array.from(first).fill(0x80, 0, 1);
  const table = tableOf([{ change: 'cutoff', atUs: 50, keys: first }], [{ change: 'cutoff', atUs: 40, keys: first }]);
  expect([table.find(first), table.cutoffUs(0)]).toEqual([0, 50]);
  table.apply(9n, { term: 1n, changes: [{ change: 'cutoff', atUs: 7, keys: second }] });
  expect(table.cutoffUs(table.find(second))).toBe(7);
});
