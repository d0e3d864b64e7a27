import { expect, it } from 'vitest';
import { Lookup } from '../../src/feed/lookup.js';

interface Load {
  readonly keys: readonly string[];
  answer(found: Record<string, number>): Promise<void>;
  fail(error: Error): Promise<void>;
}

function makeLookup(maxKnown = 10_000) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const loads: Load[] = [];
  const lookup = new Lookup<number>({
    clock,
    freshMs: 1_000,
    maxKnown,
    load: (keys) =>
      new Promise((resolve, reject) => {
        const settle = async (act: () => void): Promise<void> => {
          act();
          await new Promise(setImmediate);
        };
        loads.push({
          keys,
          answer: (found) => settle(() => resolve(new Map(Object.entries(found)))),
          fail: (error) => settle(() => reject(error)),
        });
      }),
  });
  return { clock, loads, lookup };
}

it('whoever asks while it loads waits for one load of all of them', async () => {
  const { loads, lookup } = makeLookup();
  const asked = ['a', 'b', 'c', 'b'].map(async (key) => lookup.get(key));
  expect(loads.map(({ keys }) => keys)).toEqual([['a']]);
  await loads[0]!.answer({ a: 1 });
  expect(loads.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c']]);
  await loads[1]!.answer({ b: 2 });
  expect(await Promise.all(asked)).toEqual([1, 2, undefined, 2]);
});

it('a flood of names that are not there costs one small load at a time, and nobody their turn', async () => {
  const { clock, loads, lookup } = makeLookup(100);
  void lookup.get('good');
  await loads[0]!.answer({ good: 1 });
  for (let i = 0; i < 5_000; i++) void lookup.get(`made up ${i}`);
  clock.nowMs = 2_000;
  const again = lookup.get('good');
  expect(loads).toHaveLength(2);
  await loads[1]!.answer({});
  expect(loads[2]!.keys).toHaveLength(1_000);
  expect(loads[2]!.keys[0]).toBe('good');
  await loads[2]!.answer({ good: 2 });
  expect(await again).toBe(2);
  for (let at = 3; at < loads.length; at++) await loads[at]!.answer({});
  // What is not there pushed out nothing, and is not asked for twice.
  expect([lookup.get('good'), lookup.get('made up 4999')]).toEqual([2, undefined]);
  expect(loads).toHaveLength(7);
});

it('refuses where too many wait', () => {
  const { lookup } = makeLookup();
  for (let i = 0; i < 20_001; i++) void lookup.get(`${i}`);
  expect(() => lookup.get('one more')).toThrow(expect.objectContaining({ code: 'overloaded' }));
});

it('an answer is good for a while, until it is forgotten; a failure is for those who waited', async () => {
  const { clock, loads, lookup } = makeLookup();
  const failed = lookup.get('a');
  const told = expect(failed).rejects.toThrow('down');
  await loads[0]!.fail(new Error('down'));
  await told;
  void lookup.get('a');
  await loads[1]!.answer({ a: 1 });
  clock.nowMs = 999;
  expect(lookup.get('a')).toBe(1);
  lookup.forget('a');
  void lookup.get('a');
  await loads[2]!.answer({});
  expect(lookup.get('a')).toBeUndefined();
  clock.nowMs = 2_000;
  void lookup.get('a');
  expect(loads).toHaveLength(4);
});
