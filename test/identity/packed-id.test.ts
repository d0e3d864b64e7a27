import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Nodes } from '../../src/identity/nodes.js';
import { FORM, packed, packId, unpackId } from '../../src/identity/packed-id.js';

const UUID = '0198c2f3-7c1e-7d6c-a1d0-00000000002a';
const DIGEST = '0123456789abcdef'.repeat(4);
const scratch = Buffer.alloc(1024);

/** Texts that are nearly of one of the forms: one character is another. */
const nearly = fc
  .tuple(fc.constantFrom(UUID, DIGEST), fc.nat(63), fc.constantFrom('0', 'f', 'g', 'F', '-', 'é', '\u0000'))
  .map(([id, at, other]) => id.slice(0, at % id.length) + other + id.slice((at % id.length) + 1));
const anyId = fc.oneof(
  fc.constantFrom(UUID, DIGEST, UUID.toUpperCase()),
  nearly,
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.uuid(),
);

describe('a packed id', () => {
  it('is the id again', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        packId(id, scratch);
        expect(unpackId(packed.form, scratch.subarray(0, packed.length))).toBe(id);
      }),
    );
  });

  it('is short where it is a UUID or a digest', () => {
    packId(UUID, scratch);
    expect(packed).toEqual({ form: FORM.uuid, length: 16 });
    packId(DIGEST, scratch);
    expect(packed).toEqual({ form: FORM.digest, length: 32 });
  });
});

describe('nodes', () => {
  it('are told apart by every character of their ids, also by ids whose packed bytes are the same', () => {
    fc.assert(
      fc.property(fc.array(anyId, { maxLength: 30 }), (ids) => {
        const nodes = new Nodes();
        packId(UUID, scratch);
        const all = [...new Set([...ids, UUID, Buffer.from(scratch.subarray(0, 16)).toString('latin1')])];
        const made = all.map((id) => nodes.intern('token', 'as', id));
        expect(new Set(made).size).toBe(all.length);
        all.forEach((id, i) => {
          expect(nodes.find('token', 'as', id)).toBe(made[i]);
          expect(nodes.id(made[i]!)).toBe(id);
          expect(nodes.kind(made[i]!)).toBe('token');
        });
        for (const node of made) nodes.remove(node);
        for (const id of all) expect(nodes.find('token', 'as', id)).toBe(-1);
      }),
    );
  });
});
