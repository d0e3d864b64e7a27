/** Which orders are open on which key, beside a model of sets. */
import { expect, it } from 'vitest';
import { OpenOrders } from '../../src/protocol/open-orders.js';
import { seed } from '../guard/support.js';

/** The first stands in a table's first slot. */
const keys = [new Uint8Array(16).fill(3, 12), ...[1, 2, 3, 4, 5].map((n) => seed(`key ${n}`).slice(0, 16))];
const bytes = Buffer.concat([Buffer.alloc(16, 0xee), ...keys]);
const at = (key: number): number => 16 + key * 16;
const ascending = [0, 1, 2, 3, 4, 5].sort((a, b) => Buffer.compare(keys[a]!, keys[b]!));

it('holds for each key what was opened and not closed, in that order, whatever comes', () => {
  const orders = new OpenOrders();
  const model = keys.map(() => new Set<string>());
  for (let i = 0; i < 4000; i++) {
    const dice = seed(`step ${i}`);
    const [key, order, what] = [dice[0]! % 6, `order ${dice[1]! % 4}`, dice[2]! % 9];
    const open = model[key]!;
    if (what < 4) {
      expect(orders.open(bytes, at(key), order)).toBe(!open.has(order));
      open.add(order);
    } else if (what < 8) {
      expect(orders.close(bytes, at(key), order)).toBe(open.delete(order));
    } else {
      orders.forget(bytes, at(key));
      open.clear();
    }
    expect(orders.has(bytes, at(key))).toBe(open.size > 0);
    expect(orders.of(bytes, at(key))).toEqual([...open]);
    expect(orders.size).toBe(model.filter(({ size }) => size > 0).length);
    if (i % 50 === 0) {
      expect([...orders.entries()]).toEqual(
        ascending.filter((key) => model[key]!.size > 0).map((key) => ({ key: keys[key], orders: [...model[key]!] })),
      );
    }
  }
});

it('closes nothing that nobody opened', () => {
  const orders = new OpenOrders();
  expect(orders.close(bytes, at(0), 'never')).toBe(false);
  orders.open(bytes, at(0), 'one');
  expect(orders.close(bytes, at(1), 'one')).toBe(false);
  expect(orders.close(bytes, at(0), 'never')).toBe(false);
  orders.forget(bytes, at(1));
  expect([orders.of(keys[0]!), orders.has(keys[0]!), orders.has(keys[1]!)]).toEqual([['one'], true, false]);
});
