import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { KEY_WORDS, KeyMap } from '../../src/protocol/key-map.js';

/** Keys that collide: few first words, at both ends and in the middle, and few values behind them. */
const keys = fc
  .tuple(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff), fc.nat(3), fc.nat(1), fc.nat(2))
  .map(([first, low, middle, high]) => {
    const key = Buffer.alloc(16);
    key.writeUInt32BE(first);
    key.writeUInt32BE(high * 0x7fffffff, 4);
    key.writeUInt32BE(middle, 8);
    key.writeUInt32BE(low, 12);
    return key;
  });
const spread = fc.uint8Array({ minLength: 16, maxLength: 16 });

const listed = (map: KeyMap): [string, number][] =>
  [...map.slots()].map((slot) => {
    const key = new Uint8Array(16);
    map.readKey(slot, key, 0);
    return [formatHex(key), map.words[slot + KEY_WORDS]!];
  });

describe('KeyMap', () => {
  it('holds what a Map holds, in ascending order, whatever comes and goes', () => {
    const step = fc.record({ key: fc.oneof(keys, spread), remove: fc.boolean(), mark: fc.integer({ min: 1, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
        const map = new KeyMap(2);
        const model = new Map<string, number>();
        const wrong: string[] = [];
        for (const { key, remove, mark } of steps) {
          const name = formatHex(key);
          const slot = map.find(key);
          if (slot >= 0 !== model.has(name)) wrong.push(name);
          if (remove && slot >= 0) {
            map.remove(slot);
            model.delete(name);
          } else if (!remove) {
            const at = map.insert(Buffer.concat([Buffer.of(7), key]), 1, mark);
            if (slot < 0 && map.words[at + KEY_WORDS + 1] !== 0) wrong.push(name);
            if (slot < 0) model.set(name, mark);
            map.words[at + KEY_WORDS + 1] = -1;
            if (map.words[at + KEY_WORDS] !== model.get(name)) wrong.push(name);
          }
        }
        expect(wrong).toEqual([]);
        expect(map.size).toBe(model.size);
        expect(listed(map)).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
      }),
      { numRuns: 200 },
    );
  });

  it('takes any number of keys with one home, also the last one, and finds all of them', () => {
    for (const first of [0, 0xffffffff]) {
      const map = new KeyMap(3);
      const lost: number[] = [];
      const key = Buffer.alloc(16);
      key.writeUInt32BE(first);
      for (let i = 0; i < 400; i++) {
        key.writeUInt32BE((i * 7919) % 400, 12);
        map.insert(key, 0, i + 1);
      }
      for (let i = 0; i < 400; i++) {
        key.writeUInt32BE((i * 7919) % 400, 12);
        if (map.words[map.find(key) + KEY_WORDS] !== i + 1) lost.push(i);
      }
      expect(lost).toEqual([]);
      for (let i = 0; i < 400; i += 2) {
        key.writeUInt32BE(i, 12);
        map.remove(map.find(key));
      }
      for (let i = 0; i < 400; i++) {
        key.writeUInt32BE(i, 12);
        if (map.find(key) >= 0 !== (i % 2 === 1)) lost.push(i);
      }
      expect(lost).toEqual([]);
      expect(map.size).toBe(200);
    }
  });

  it("keeps the owner's words while it grows, and takes less than 48 bytes a key of 32", () => {
    const map = new KeyMap(4);
    const key = Buffer.alloc(16);
    const count = 50_000;
    const nth = (i: number): Buffer => {
      key.writeUInt32BE(Math.imul(i, 0x9e3779b1) >>> 0);
      key.writeUInt32BE(i, 4);
      return key;
    };
    for (let i = 0; i < count; i++) {
      const slot = map.insert(nth(i), 0, 1);
      map.words[slot + KEY_WORDS + 3] = i;
    }
    for (let i = 0; i < count; i++) if (map.words[map.find(nth(i)) + KEY_WORDS + 3] !== i) expect.unreachable(`${i}`);
    expect(map.byteLength / count).toBeLessThan(48);
  });

  it('has room for what is expected, and grows by an eighth when it is full to nine tenths', () => {
    const map = new KeyMap(1, 90);
    const key = Buffer.alloc(16);
    const insert = (i: number): void => {
      key.writeUInt32BE(Math.floor((i * 2 ** 32) / 91));
      map.insert(key, 0, 1);
    };
    const { words } = map;
    for (let i = 0; i < 90; i++) insert(i);
    // What is there needs no room.
    insert(89);
    expect(map.words).toBe(words);
    expect(words.length).toBe((100 + 32) * 5);
    insert(90);
    expect(map.words.length).toBe((113 + 32) * 5);
    expect(map.size).toBe(91);
  });

  it('gives back a key that was read where the next one begins', () => {
    const map = new KeyMap(1);
    const bytes = Buffer.from(Array.from({ length: 24 }, (_, i) => 0x81 + i));
    const out = new Uint8Array(24).fill(7);
    map.readKey(map.insert(bytes, 3, 1), out, 5);
    expect(formatHex(out)).toBe(`0707070707${formatHex(bytes.subarray(3, 19))}070707`);
    expect([map.find(bytes, 3) >= 0, map.find(bytes), map.find(bytes, 4)]).toEqual([true, -1, -1]);
  });
});
