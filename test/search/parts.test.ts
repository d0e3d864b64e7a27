import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseMerge, type PartSize } from '../../src/search/parts.js';

const rule = { smallRows: 10, fan: 4, maxRows: 1000 };
const parts = (...rows: number[]): PartSize[] => rows.map((count, i) => ({ id: i + 1, rows: count }));

describe('chooseMerge', () => {
  it.each([
    ['too few of a size', [10, 10, 10], undefined],
    ['four small neighbours', [10, 10, 10, 10], [1, 2, 3, 4]],
    ['small ones beside a big one', [500, 10, 10, 10, 10], [2, 3, 4, 5]],
    ['the smallest size first', [100, 100, 100, 100, 10, 10, 10, 10], [5, 6, 7, 8]],
    ['not one that is as big as the rest', [100, 10, 10, 10], undefined],
    ['never past the most', [400, 400, 400, 400], undefined],
    ['as many as fit', [240, 240, 240, 240, 240], [1, 2, 3, 4]],
    ['nothing of nothing', [], undefined],
  ] as const)('%s', (_, rows, chosen) => {
    expect(chooseMerge(parts(...rows), rule)).toEqual(chosen);
  });

  it('keeps parts few, and rewrites a row a few times only', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 5, max: 40 }), { minLength: 1, maxLength: 300 }), (arrivals) => {
        let held: PartSize[] = [];
        let rewritten = 0;
        let id = 0;
        const all = arrivals.reduce((sum, rows) => sum + rows, 0);
        for (const rows of arrivals) {
          held.push({ id: ++id, rows });
          for (let chosen; (chosen = chooseMerge(held, rule)) !== undefined;) {
            const merged = held.filter((part) => chosen.includes(part.id));
            const total = merged.reduce((sum, part) => sum + part.rows, 0);
            expect(total).toBeLessThanOrEqual(rule.maxRows);
            rewritten += total;
            const at = held.indexOf(merged[0]!);
            held = [...held.slice(0, at), { id: ++id, rows: total }, ...held.slice(at + merged.length)];
          }
        }
        expect(held.reduce((sum, part) => sum + part.rows, 0)).toBe(all);
        // Four levels from 10 to 1,000, each with at most a few parts that wait for neighbours, and whole ones of at least a quarter.
        expect(held.length).toBeLessThanOrEqual(4 * rule.fan + Math.ceil(all / (rule.maxRows / rule.fan)) * 2);
        expect(rewritten).toBeLessThanOrEqual(all * Math.log2(rule.maxRows));
      }),
    );
  });
});
