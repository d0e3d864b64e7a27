import { expect, it } from 'vitest';
import { Retry } from '../../src/guard/retry.js';

it('waits longer each time, also where something was heard before it was cut off; anew after a good connection', () => {
  const retry = new Retry();
  const cutOff = (): number => retry.waitMs(150);
  expect([retry.waitMs(0), cutOff(), cutOff(), retry.waitMs(0)]).toEqual([200, 400, 800, 1_600]);
  for (let i = 0; i < 10; i++) cutOff();
  expect(cutOff()).toBe(10_000);
  expect([1_999, 2_000, 60_000].map((lastedMs) => retry.waitMs(lastedMs))).toEqual([10_000, 200, 200]);
});
