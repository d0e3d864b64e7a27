import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { describe, expect, it } from 'vitest';
import { thingKey, type NameKind, type ThingKind } from '../../src/search/keys.js';
import { NameTable } from '../../src/search/name-table.js';
import { Dictionary } from '../../src/search/names.js';
import { Tally } from '../../src/search/tally.js';
import { ThingKeys } from '../../src/search/thing-keys.js';

/** The table `name`, as far as a dictionary sees it. */
function nameTable(): ClientBase {
  const ids = new Map<string, number>();
  const query = async (_: string, [keys]: [string[]]): Promise<unknown> => {
    for (const key of keys) if (!ids.has(key)) ids.set(key, ids.size + 1);
    // In an order of the database's own.
    return { rows: keys.toSorted().map((key) => ({ key, id: ids.get(key) })) };
  };
  return { query } as unknown as ClientBase;
}

const kinds: NameKind[] = ['agent', 'tool', 'principal'];
const name = fc.oneof(
  fc.nat({ max: 30 }).map((n) => Buffer.from(`name-${n}`)),
  fc.nat({ max: 5 }).map((n) => Buffer.from('é'.repeat(60 + n))),
  fc.nat({ max: 5 }).map((n) => Buffer.from('long'.repeat(40 + n))),
  // Not UTF-8: read as the text `a�`, which is another way to write it.
  fc.constantFrom(Buffer.from('61ff', 'hex'), Buffer.from('61fe', 'hex'), Buffer.from('a\ufffd')),
);

describe('Dictionary', () => {
  it('gives each name one integer, however little it remembers', async () => {
    const batches = fc.array(fc.array(fc.tuple(fc.constantFrom(...kinds), name), { maxLength: 40 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(batches, fc.constantFrom(2, 5, 1000), async (lots, limit) => {
        const dictionary = new Dictionary('schema', limit);
        const tx = nameTable();
        const given = new Map<string, number>();
        for (const lot of lots) {
          const found = lot.map(([kind, bytes]) => {
            const amid = Buffer.concat([randomBytes(3), bytes, randomBytes(3)]);
            return dictionary.idOf(kind, amid, 3, 3 + bytes.length);
          });
          const ids = await dictionary.resolve(tx);
          lot.forEach(([kind, bytes], i) => {
            const id = found[i]! < 0 ? ids[-1 - found[i]!]! : found[i]!;
            const text = `${kind} ${kind === 'principal' ? bytes.toString('hex') : bytes.toString()}`;
            expect(id).toBe(given.get(text) ?? id);
            given.set(text, id);
          });
        }
        expect(new Set(given.values()).size).toBe(given.size);
      }),
    );
  });

  it('says the same of a name until it is resolved, also where the name was nearly forgotten', async () => {
    const dictionary = new Dictionary('schema', 4);
    const tx = nameTable();
    const idOf = (text: string): number => dictionary.idOf('agent', Buffer.from(text), 0, text.length);
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      idOf(text);
      await dictionary.resolve(tx);
    }
    for (const text of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const first = idOf(text);
      for (const other of ['a', 'b', 'c', 'd', 'e', 'f']) idOf(other);
      expect(idOf(text)).toBe(first);
    }
  });

  it('remembers', async () => {
    const dictionary = new Dictionary('schema', 1000);
    const names = Array.from({ length: 500 }, () => Buffer.from(randomBytes(20).toString('hex')));
    const first = names.map((bytes) => dictionary.idOf('agent', bytes, 0, bytes.length));
    const ids = await dictionary.resolve(nameTable());
    names.forEach((bytes, i) => expect(dictionary.idOf('agent', bytes, 0, bytes.length)).toBe(ids[-1 - first[i]!]));
  });
});

describe('NameTable', () => {
  it('tells names apart that have one hash, and forgets those it has no place for', () => {
    const table = new NameTable(100);
    const names = Array.from({ length: 60 }, (_, i) => Buffer.from(`name-${i}`));
    names.forEach((bytes, i) => table.add(7, 1, bytes, 0, bytes.length, i + 1));
    const found = names.map((bytes) => table.find(7, 1, bytes, 0, bytes.length));
    found.forEach((id, i) => expect([0, i + 1]).toContain(id));
    expect(found.filter((id) => id > 0).length).toBe(24);
    expect(table.find(7, 2, names[0]!, 0, names[0]!.length)).toBe(0);
  });

  it('holds no more than its limit', () => {
    const table = new NameTable(3);
    for (let i = 1; i < 10; i++) table.add(i, 1, Buffer.of(i), 0, 1, i);
    const held = Array.from({ length: 9 }, (_, i) => table.find(i + 1, 1, Buffer.of(i + 1), 0, 1));
    expect(held).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 0]);
  });
});

it('ThingKeys writes the key of every thing, seen before or not', () => {
  const keys = new ThingKeys();
  const thing = fc.tuple(
    fc.constantFrom<ThingKind>('token', 'session', 'task'),
    fc.oneof(fc.uuid(), fc.string({ unit: 'binary', maxLength: 60 }), fc.nat({ max: 20 }).map(String)),
  );
  fc.assert(
    fc.property(fc.array(thing, { maxLength: 50 }), (things) => {
      for (const [kind, text] of [...things, ...things]) {
        const bytes = Buffer.from(`-${text}`);
        const out = Buffer.alloc(20);
        keys.write(out, 2, kind, bytes, 1, bytes.length);
        expect(out.subarray(2, 18)).toEqual(thingKey(kind, text));
        expect([out[1], out[18]]).toEqual([0, 0]);
      }
    }),
  );
});

it('Tally counts as a map does', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.nat({ max: 3000 }))), (ranges) => {
      const tally = new Tally();
      const counts = new Map<number, number>();
      for (const [first, length] of ranges) {
        for (let id = first; id < Math.min(first + length, 2 ** 31); id++) {
          tally.add(id);
          counts.set(id, (counts.get(id) ?? 0) + 1);
        }
      }
      const told = tally.entries();
      expect(new Map(told.ids.map((id, i) => [id, told.counts[i]]))).toEqual(counts);
      expect(told.ids.length).toBe(counts.size);
    }),
  );
});
