import { describe, expect, test } from 'vitest';
import { Turns } from '../../src/intake/turns.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  test('what fits begins at once; the rest waits, first come, first served, a budget a turn', async () => {
    const turns = new Turns(100);
    const begun: string[] = [];
    const begin = (name: string, weight: number): void => {
      const turn = turns.take(weight);
      if (turn === undefined) begun.push(name);
      else void turn.then(() => begun.push(name));
    };
    begin('a', 60);
    begin('b', 40);
    begin('c', 1);
    begin('d', 60);
    begin('e', 60);
    expect(begun).toEqual(['a', 'b']);
    await nextTurn();
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
    // Small as it is, it does not overtake.
    begin('f', 1);
    await nextTurn();
    expect(begun).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('more than a budget takes a turn for itself', async () => {
    const turns = new Turns(100);
    expect(turns.take(1)).toBeUndefined();
    const large = turns.take(1_000)!;
    let small = false;
    void turns.take(1)!.then(() => (small = true));
    await large;
    expect(small).toBe(false);
    await nextTurn();
    expect(small).toBe(true);
  });

  test('after a turn without work the budget is there again', async () => {
    const turns = new Turns(100);
    for (let i = 0; i < 3; i++) {
      expect(turns.take(100)).toBeUndefined();
      await nextTurn();
    }
  });
});
