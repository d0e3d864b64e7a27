import { expect, test } from 'vitest';
import { Lru } from '../../src/vault/lru.js';

test('holds the capacity, and no more', () => {
  const lru = new Lru<number>(100);
  for (let i = 0; i < 1_000; i++) lru.set(`${i}`, i);
  expect(Array.from({ length: 1_000 }, (_, i) => lru.get(`${i}`)).filter((value) => value !== undefined)).toEqual(
    Array.from({ length: 100 }, (_, i) => 900 + i),
  );
});

test('what is used stays, what is not goes, whatever comes', () => {
  const lru = new Lru<number>(100);
  lru.set('used', -1);
  lru.set('unused', -2);
  for (let i = 0; i < 10_000; i++) {
    lru.set(`${i}`, i);
    expect(lru.get(`${i}`)).toBe(i);
    // Three quarters of the capacity may come between two uses.
    if (i % 73 === 0) expect(lru.get('used')).toBe(-1);
  }
  expect(lru.get('unused')).toBeUndefined();
});

test('a value that is set again is the new one', () => {
  const lru = new Lru<number>(1);
  lru.set('a', 1);
  lru.set('a', 2);
  expect(lru.get('a')).toBe(2);
  lru.set('b', 3);
  expect(lru.get('a')).toBeUndefined();
  expect(lru.get('b')).toBe(3);
});
