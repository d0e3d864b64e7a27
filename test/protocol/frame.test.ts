/** A frame leads a table on, or leaves it as it was; only a feed that signed what can't be is a fork. */
import { describe, expect, it } from 'vitest';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import { FactTable, type TableHead } from '../../src/protocol/fact-table.js';
import { applyFrame, type Frame } from '../../src/protocol/frame.js';
import { seed } from '../guard/support.js';

const keys = [1, 2, 3, 4, 5].map((n) => seed(`key ${n}`).slice(0, 16));
const facts: Uint8Array[] = [];
const heads: TableHead[] = [];
const truth = new FactTable(hasher);
heads.push(truth.head());
for (const key of keys) {
  facts.push(truth.put(key, 0, true, undefined)!.slice());
  heads.push(truth.head());
}
const tableAt = (seq: number): FactTable => {
  const table = new FactTable(hasher);
  for (const key of keys.slice(0, seq)) table.put(key, 0, true, undefined);
  return table;
};
const frame = (from: number, to: number, head: Partial<TableHead> = {}): Frame => ({
  from,
  facts: Buffer.concat(facts.slice(from, to)),
  head: { generation: 1, ...heads[to]!, ...head },
});
const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });

describe('a frame', () => {
  it('leads from any seq of a table to its head, by what is not there yet', () => {
    for (let seq = 0; seq <= 5; seq++) {
      for (let from = 0; from <= 5; from++) {
        for (let to = from; to <= 5; to++) {
          const table = tableAt(seq);
          if (from > seq) {
            expect(() => applyFrame(hasher, table, frame(from, to))).toThrow(failure('gap'));
            expect(table.head()).toEqual(heads[seq]);
          } else {
            expect(applyFrame(hasher, table, frame(from, to))).toEqual(keys.slice(seq, Math.max(seq, to)));
            expect(table.head()).toEqual(heads[Math.max(seq, to)]);
          }
        }
      }
    }
  });

  it('whose changes do not lead to its head leaves the table as it was', () => {
    const table = tableAt(2);
    for (let byte = 0; byte < 32; byte++) {
      const chainHash = heads[4]!.chainHash.slice();
      chainHash[byte]! ^= 1;
      expect(() => applyFrame(hasher, table, frame(0, 4, { chainHash }))).toThrow(failure('bad_proof'));
    }
    const changed = frame(0, 4);
    changed.facts[3 * FACT_BYTES]! ^= 1;
    expect(() => applyFrame(hasher, table, changed)).toThrow(failure('bad_proof'));
    expect(() => applyFrame(hasher, table, frame(0, 2, { chainHash: seed('x') }))).toThrow(failure('bad_proof'));
    expect(table.head()).toEqual(heads[2]);
  });

  it('that is signed and can not be is a fork: another state of the same changes, or a change that is none', () => {
    expect(() => applyFrame(hasher, tableAt(0), frame(0, 3, { stateHash: seed('x') }))).toThrow(failure('fork'));
    expect(() => applyFrame(hasher, tableAt(3), frame(0, 3, { stateHash: seed('x') }))).toThrow(failure('fork'));
    const link = Buffer.concat([heads[1]!.chainHash, facts[0]!]);
    const chainHash = new Uint8Array(32);
    hasher.sha256(link, chainHash, 0);
    const twice = { from: 1, facts: facts[0]!, head: { generation: 1, ...heads[2]!, chainHash } };
    expect(() => applyFrame(hasher, tableAt(1), twice)).toThrow(failure('fork'));
  });
});
