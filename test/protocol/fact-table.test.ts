/** Facts, their bytes, and what a table says of them. */
import { describe, expect, it } from 'vitest';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { FACT_BYTES, flagsOf, parseFact, writeFact, type Fact } from '../../src/protocol/fact.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { seed } from '../guard/support.js';

/** That of 0 stands where a table begins. */
const keyOf = (n: number): Uint8Array => (n === 0 ? new Uint8Array(16) : seed(`key ${n}`).slice(0, 16));
const bytesOf = (key: Uint8Array, flags: number, value: bigint): Uint8Array => {
  const bytes = Buffer.alloc(FACT_BYTES);
  bytes.set(key);
  bytes[16] = flags;
  bytes.writeBigInt64BE(value, 17);
  return new Uint8Array(bytes);
};
const sha256 = (...parts: Uint8Array[]): Uint8Array => {
  const digest = new Uint8Array(32);
  hasher.sha256(Buffer.concat(parts), digest, 0);
  return digest;
};
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

describe('a fact', () => {
  const key = keyOf(1);
  const facts: [Fact, number, bigint][] = [
    [{ key, blocked: false, cutoffUs: undefined }, 0, 0n],
    [{ key, blocked: true, cutoffUs: undefined }, 1, 0n],
    [{ key, blocked: false, cutoffUs: 0 }, 2, 0n],
    [{ key, blocked: true, cutoffUs: -5 }, 3, -5n],
    [{ key, blocked: false, cutoffUs: undefined, stalenessUs: 15_000_000 }, 4, 15_000_000n],
    [{ key, blocked: false, cutoffUs: undefined, stalenessUs: 0 }, 4, 0n],
  ];

  it.each(facts)('%j is flags %d, value %d', (fact, flags, value) => {
    expect(flagsOf(fact)).toBe(flags);
    const bytes = Buffer.alloc(FACT_BYTES + 2);
    writeFact(bytes, 1, Buffer.concat([Buffer.of(9), key]), 1, flags, Number(value));
    expect(new Uint8Array(bytes.subarray(1, -1))).toEqual(bytesOf(key, flags, value));
    expect([bytes[0], bytes.at(-1)]).toEqual([0, 0]);
    expect(parseFact(bytesOf(key, flags, value))).toEqual(fact);
  });

  it.each([
    ['other flags', bytesOf(key, 5, 0n)],
    ['more flags', bytesOf(key, 8, 0n)],
    ['a value without its flag', bytesOf(key, 1, 1n)],
    ['a value that is not exact', bytesOf(key, 2, 2n ** 53n)],
    ['a value that is not exact below', bytesOf(key, 2, -(2n ** 53n))],
    ['a staleness below zero', bytesOf(key, 4, -1n)],
    ['a byte too few', bytesOf(key, 1, 0n).subarray(0, -1)],
  ])('is none with %s', (_, bytes) => {
    expect(parseFact(bytes)).toBeUndefined();
  });
});

describe('a table', () => {
  it('counts what changes, chains it, sums what stands, and says of each key what was said last', () => {
    const table = new FactTable(hasher);
    const model = new Map<number, { flags: number; value: bigint; seq: number }>();
    let chain: Uint8Array = new Uint8Array(32);
    let seq = 0;
    for (let i = 0; i < 1500; i++) {
      const dice = seed(`step ${i}`);
      let drawn = 0;
      const draw = (below: number): number => dice[drawn++]! % below;
      const n = draw(40);
      const key = keyOf(n);
      const values = [0, 1, -1, 2 ** 31, -(2 ** 40) - 3, 1_790_000_000_000_001];
      const blocked = draw(2) === 0;
      const cutoffUs = draw(3) === 0 ? undefined : values[draw(values.length)];
      const stalenessUs = draw(5) === 0 ? draw(3) * 2 ** 33 : undefined;
      const fact: Fact =
        stalenessUs === undefined
          ? { key, blocked, cutoffUs }
          : { key, blocked: false, cutoffUs: undefined, stalenessUs };
      const [flags, value] = [flagsOf(fact), BigInt(stalenessUs ?? cutoffUs ?? 0)];
      const changes = (model.get(n)?.flags ?? 0) !== flags || (model.get(n)?.value ?? 0n) !== value;
      const bytes =
        stalenessUs === undefined && draw(2) === 0
          ? table.put(Buffer.concat([Buffer.alloc(3), key]), 3, blocked, cutoffUs)
          : table.putFact(fact);
      if (changes) {
        expect(bytes && new Uint8Array(bytes)).toEqual(bytesOf(key, flags, value));
        chain = sha256(chain, bytesOf(key, flags, value));
        seq++;
        if (flags === 0) model.delete(n);
        else model.set(n, { flags, value, seq });
      } else expect(bytes).toBeUndefined();
      expect(table.seq).toBe(seq);
      expect(table.size).toBe(model.size);
      if (i % 100 !== 99) continue;
      let sum = 0n;
      for (const [n, { flags, value }] of model) sum += numberOf(sha256(bytesOf(keyOf(n), flags, value)));
      const { chainHash, stateHash } = table.head();
      expect(chainHash).toEqual(chain);
      expect(numberOf(stateHash)).toBe(sum % (1n << 256n));
      for (let n = 0; n < 40; n++) {
        const said = model.get(n);
        const slot = table.find(keyOf(n));
        expect(slot >= 0).toBe(said !== undefined);
        if (said === undefined) continue;
        expect(table.isBlocked(slot)).toBe((said.flags & 1) !== 0);
        expect(table.cutoffUs(slot)).toBe((said.flags & 2) !== 0 ? Number(said.value) : -Infinity);
        expect(table.stalenessUs(slot)).toBe((said.flags & 4) !== 0 ? Number(said.value) : undefined);
        expect(table.seqAt(slot)).toBe(said.seq);
      }
      const all = [...model].map(([n, { flags, value }]) => parseFact(bytesOf(keyOf(n), flags, value))!);
      expect([...table.facts()]).toStrictEqual(all.sort((a, b) => Buffer.compare(a.key, b.key)));
    }
  });

  it('forgets nothing that it does not know, and gives heads in fresh memory', () => {
    const table = new FactTable(hasher);
    expect(table.put(keyOf(1), 0, false, undefined)).toBeUndefined();
    expect(table.head()).toEqual({ seq: 0, chainHash: new Uint8Array(32), stateHash: new Uint8Array(32) });
    table.head().chainHash.fill(7);
    table.put(keyOf(0), 0, true, undefined);
    expect(table.head().chainHash).toEqual(sha256(new Uint8Array(32), bytesOf(keyOf(0), 1, 0n)));
    expect(table.put(keyOf(1), 0, false, undefined)).toBeUndefined();
    expect(table.byteLength).toBeGreaterThan(0);
  });

  it('that is restored goes on at any seq', () => {
    const head = { seq: 2 ** 33 + 5, chainHash: seed('chain') };
    const facts = [{ key: keyOf(1), blocked: true, cutoffUs: 7 }];
    const table = FactTable.restore(hasher, head, facts, 1);
    expect(table.head()).toEqual({ ...head, stateHash: sha256(bytesOf(keyOf(1), 3, 7n)) });
    expect([...table.facts()]).toEqual(facts);
    expect(table.seqAt(table.find(keyOf(1)))).toBe(2 ** 33 + 5);
    table.put(keyOf(2), 0, true, undefined);
    const slot = table.find(keyOf(2));
    expect([table.seqAt(slot), table.isBlocked(slot), table.cutoffUs(slot)]).toEqual([2 ** 33 + 6, true, -Infinity]);
    table.put(keyOf(2), 0, false, 9);
    const later = table.find(keyOf(2));
    expect([table.seqAt(later), table.isBlocked(later), table.cutoffUs(later)]).toEqual([2 ** 33 + 7, false, 9]);
  });

  it('that is restored knows of each fact when it changed, where that is said', () => {
    const facts = [
      { key: keyOf(1), blocked: true, cutoffUs: undefined, seq: 3 },
      { key: keyOf(2), blocked: true, cutoffUs: undefined },
      { key: keyOf(3), blocked: true, cutoffUs: undefined, seq: 2 ** 33 + 1 },
    ];
    for (const order of [facts, facts.toReversed()]) {
      const table = FactTable.restore(hasher, { seq: 2 ** 33 + 5, chainHash: seed('chain') }, order, 3);
      expect(facts.map(({ key }) => table.seqAt(table.find(key)))).toEqual([3, 2 ** 33 + 5, 2 ** 33 + 1]);
      expect(table.seq).toBe(2 ** 33 + 5);
    }
  });

  it('is copied in pieces as it was when they were asked for', () => {
    for (const count of [0, 1, 3, 4, 5]) {
      const table = new FactTable(hasher);
      for (let n = 0; n < count; n++) table.put(keyOf(n), 0, n % 2 === 0, n === 0 ? undefined : n * -(2 ** 33) + 5);
      if (count > 4) table.putFact({ key: keyOf(4), blocked: false, cutoffUs: undefined, stalenessUs: 2 ** 34 + 1 });
      const facts = [...table.facts()].map((fact) =>
        bytesOf(fact.key, flagsOf(fact), BigInt(fact.stalenessUs ?? fact.cutoffUs ?? 0)),
      );
      const pieces = table.copyFacts(2);
      for (let n = 0; n < 9; n++) table.put(keyOf(n), 0, true, 1);
      const expected: Uint8Array[] = [];
      for (let i = 0; i < count; i += 2) expected.push(new Uint8Array(Buffer.concat(facts.slice(i, i + 2))));
      // All taken before any is looked at: none is written over by the next.
      expect([...pieces]).toEqual(expected);
    }
  });
});
