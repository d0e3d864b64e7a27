import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { portableHasher } from '../../src/core/portable.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { flagsOf, parseFact, writeFact } from '../../src/protocol/fact.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { decodeSnapshot, encodeSnapshot, encodeSnapshotPieces } from '../../src/protocol/snapshot.js';

const failure = expect.objectContaining({ name: 'KeelsonError', code: 'malformed_snapshot' }) as unknown;
const keyOf = (n: number): Uint8Array => new Uint8Array(createHash('sha256').update(`${n}`).digest().subarray(0, 16));

function tableOf(count: number, backwards = false): FactTable {
  const table = new FactTable(hasher);
  for (let i = 0; i < count; i++) {
    const n = backwards ? count - 1 - i : i;
    table.put(keyOf(n), 0, n % 3 !== 0, n % 3 === 1 ? undefined : n * 1_000_000_007 - 4_000_000_000);
  }
  return table;
}

describe('a snapshot', () => {
  it.each([0, 1, 2, 1000])('of %i facts goes on as the table does, by any hasher', (count) => {
    const table = tableOf(count);
    const bytes = encodeSnapshot(table);
    for (const by of [hasher, portableHasher]) {
      const copy = decodeSnapshot(by, bytes);
      expect([...copy.facts()]).toEqual([...table.facts()]);
      expect(encodeSnapshot(copy)).toEqual(bytes);
      expect(copy.head()).toEqual(table.head());
      expect(count === 0 || copy.seqAt(copy.find(keyOf(0)))).toBe(count === 0 || count);
    }
    const copy = decodeSnapshot(hasher, bytes);
    for (const one of [table, copy]) {
      one.put(keyOf(0), 0, false, undefined);
      one.put(keyOf(5000), 0, true, 3);
    }
    expect(encodeSnapshot(copy)).toEqual(encodeSnapshot(table));
  });

  it('has the same facts and state hash whatever the order they came in', () => {
    const [one, other] = [tableOf(300), tableOf(300, true)];
    expect(formatHex(one.head().stateHash)).toBe(formatHex(other.head().stateHash));
    expect(formatHex(one.head().chainHash)).not.toBe(formatHex(other.head().chainHash));
    expect([...one.facts()]).toEqual([...other.facts()]);
  });

  it('comes in pieces of up to 2048 facts, as the table was when they were asked for', () => {
    const table = tableOf(4100);
    const bytes = encodeSnapshot(table);
    const pieces = encodeSnapshotPieces(table);
    table.put(keyOf(0), 0, false, undefined);
    const all = [...pieces];
    expect(all.map(({ length }) => length)).toEqual([84, 2048 * 25, 2048 * 25, 4 * 25]);
    expect(Buffer.concat(all).equals(bytes)).toBe(true);
  });

  it('is refused cut short, made longer, or with any bit flipped but those of seq and chain hash', () => {
    const bytes = encodeSnapshot(tableOf(3));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSnapshot(hasher, bytes.subarray(0, length))).toThrow(failure);
    }
    expect(() => decodeSnapshot(hasher, Buffer.concat([bytes, Buffer.of(0)]))).toThrow(failure);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      if (bit >= 4 * 8 && bit < 44 * 8) continue;
      const bad = bytes.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeSnapshot(hasher, bad), `bit ${bit}`).toThrow(failure);
    }
  });

  it('is refused with a number of changes that is not exact', () => {
    const bytes = encodeSnapshot(tableOf(3));
    new DataView(bytes.buffer).setBigUint64(4, 2n ** 53n);
    expect(() => decodeSnapshot(hasher, bytes)).toThrow(failure);
    new DataView(bytes.buffer).setBigUint64(4, 2n ** 53n - 1n);
    expect(decodeSnapshot(hasher, bytes).seq).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('is refused with a fact twice, out of order, or that says nothing, although the hash be of them', () => {
    const bytes = encodeSnapshot(tableOf(2));
    const [first, second] = [bytes.slice(84, 109), bytes.slice(109)];
    const empty = second.slice();
    empty.fill(0, 16);
    for (const [facts, hashed] of [
      [
        [second, first],
        [second, first],
      ],
      [
        [first, first],
        [first, first],
      ],
      [
        [first, empty],
        [first, empty],
      ],
      [[first, empty], [first]],
    ] as const) {
      let sum = 0n;
      for (const fact of hashed) sum += BigInt(`0x${createHash('sha256').update(fact).digest('hex')}`);
      const stateHash = Buffer.from((sum % (1n << 256n)).toString(16).padStart(64, '0'), 'hex');
      const bad = Buffer.concat([bytes.subarray(0, 44), stateHash, bytes.subarray(76, 84), ...facts]);
      expect(() => decodeSnapshot(hasher, bad)).toThrow(failure);
    }
  });
});

describe('a fact', () => {
  it.each([0, 1, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
    'holds the cutoff %i exactly, in bytes and in the table',
    (cutoffUs) => {
      const bytes = new Uint8Array(30);
      writeFact(bytes, 5, keyOf(1), 0, flagsOf({ blocked: true, cutoffUs }), cutoffUs ?? 0);
      expect(new DataView(bytes.buffer).getBigInt64(22)).toBe(BigInt(cutoffUs));
      expect(parseFact(bytes, 5)).toEqual({ key: keyOf(1), blocked: true, cutoffUs });
      const table = new FactTable(hasher);
      table.put(keyOf(1), 0, false, cutoffUs);
      expect(table.cutoffUs(table.find(keyOf(1)))).toBe(cutoffUs);
    },
  );
});
