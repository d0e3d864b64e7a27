import { describe, expect, test } from 'vitest';
import { parsePreferWait } from '../../src/intake/prefer.js';
import { formatUuidV7, makeUuidV7 } from '../../src/intake/uuid.js';

describe('UUIDv7', () => {
  test('the vector of RFC 9562, A.6', () => {
    // unix_ts_ms 017F22E279B0, rand_a CC3, rand_b 18C4DC0C0C07398F
    const random = Buffer.from('0cc318c4dc0c0c07398f', 'hex');
    expect(formatUuidV7(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  test('version and variant stand whatever the random bits are', () => {
    expect(formatUuidV7(0, Buffer.alloc(10, 0xff))).toBe('00000000-0000-7fff-bfff-ffffffffffff');
    expect(formatUuidV7(2 ** 48 - 1, Buffer.alloc(10))).toBe('ffffffff-ffff-7000-8000-000000000000');
  });

  test('fresh ones differ, also past the end of a pool, and sort by time', () => {
    const ids = Array.from({ length: 2_000 }, (_, i) => makeUuidV7(1_000_000 + i));
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
  });
});

describe('Prefer: wait', () => {
  test.each([
    ['wait=10', 10],
    ['WAIT = 10', 10],
    ['respond-async, wait=5', 5],
    ['wait="7"; foo=bar', 7],
    [['return=minimal', 'wait=3'], 3],
    ['wait=1, wait=2', 1],
    ['wait', undefined],
    ['wait=ten, wait=2', undefined],
    ['wait=-1', undefined],
    ['await=10', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j', (header, seconds) => expect(parsePreferWait(header)).toBe(seconds));
});
