import { describe, expect, test } from 'vitest';
import { StaleCache } from '../../src/access/stale-cache.js';
import { isTokenText, makeToken } from '../../src/access/token.js';
import { KeelsonError } from '../../src/core/error.js';

describe('token text', () => {
  test('every changed character fails the checksum or the form', () => {
    const token = makeToken();
    expect(token).toMatch(/^kls_[0-9A-Za-z]{49}$/);
    expect(isTokenText(token)).toBe(true);
    for (let i = 0; i < token.length; i++) {
      const changed = token.slice(0, i) + (token[i] === 'a' ? 'b' : 'a') + token.slice(i + 1);
      expect(isTokenText(changed), changed).toBe(false);
    }
    expect(isTokenText(`${token}0`)).toBe(false);
    expect(makeToken()).not.toBe(token);
  });
});

describe('stale cache', () => {
  let nowMs = 0;
  let load: (key: string) => Promise<string | undefined> = async () => undefined;
  const open = (maxEntries = 10): StaleCache<string> => {
    nowMs = 0;
    return new StaleCache({
      clock: { nowUs: () => 0n, monotonicMs: () => nowMs },
      load: (key) => load(key),
      freshMs: 10,
      graceMs: 1_000,
      patienceMs: 20,
      maxEntries,
    });
  };

  test('many callers ask once; what is not there is not remembered', async () => {
    const cache = open();
    let asked = 0;
    load = async () => {
      asked++;
      return asked === 1 ? undefined : 'v';
    };
    expect(await Promise.all([cache.get('k'), cache.get('k'), cache.get('k')])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(asked).toBe(1);
    expect(await cache.get('k')).toBe('v');
    expect(cache.get('k')).toBe('v');
    expect(asked).toBe(2);
  });

  test('a database that hangs does not hold up what is known, and is not asked by every caller', async () => {
    const cache = open();
    load = async () => 'old';
    await cache.get('k');
    let asked = 0;
    load = () => {
      asked++;
      return new Promise(() => undefined);
    };
    nowMs = 10;
    expect(await cache.get('k')).toBe('old');
    expect(cache.get('k')).toBe('old');
    expect(asked).toBe(1);
  });

  test('an error that is no outage is not covered up', async () => {
    const cache = open();
    load = async () => 'old';
    await cache.get('k');
    load = () => Promise.reject(new Error('a bug'));
    nowMs = 10;
    await expect(cache.get('k')).rejects.toThrow('a bug');
    load = () => Promise.reject(new KeelsonError('timeout', 'slow'));
    expect(await cache.get('k')).toBe('old');
  });

  test('what was deleted while it was being loaded is not put back', async () => {
    const cache = open();
    let finish: (value: string) => void = () => undefined;
    load = () => new Promise((resolve) => (finish = resolve));
    const first = cache.get('k');
    cache.delete('k');
    finish('before the change');
    await first;
    load = async () => 'after';
    expect(await cache.get('k')).toBe('after');
  });

  test('is bounded', async () => {
    const cache = open(2);
    load = async (key) => key;
    for (const key of ['a', 'b', 'c']) await cache.get(key);
    expect(cache.get('a')).toBeInstanceOf(Promise);
    expect(cache.get('c')).toBe('c');
  });
});
