import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hmac, putMac, putMacPrefixed, setMacKey, takeMac, toBytes } from '../../src/vault/mac.js';

const key = fc.uint8Array({ maxLength: 64 });
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'binary-ascii', maxLength: 80 }),
  fc.nat(40_000).map((length) => 'aé€😀'.repeat(length / 5)),
);
const part = fc.oneof(text, fc.uint8Array({ maxLength: 2_000 }));

test('what one key says of several messages is what an Hmac object says', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.array(fc.array(part, { maxLength: 3 }), { maxLength: 3 }))), (uses) => {
      for (const [macKey, messages] of uses) {
        setMacKey(macKey);
        for (const parts of messages) {
          const reference = createHmac('sha256', macKey);
          for (const one of parts) {
            putMac(one);
            putMacPrefixed(one);
            const bytes = Buffer.from(one as string);
            const length = Buffer.alloc(4);
            length.writeUInt32BE(bytes.length);
            reference.update(bytes).update(length).update(bytes);
          }
          expect(toBytes(takeMac()).toString('hex')).toBe(reference.digest('hex'));
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('a digest is a key for the next', () => {
  const first = createHmac('sha256', 'a').update('b').digest();
  setMacKey(Buffer.from('a'));
  putMac('b');
  setMacKey(takeMac());
  putMac('c');
  expect(toBytes(takeMac())).toEqual(createHmac('sha256', first).update('c').digest());
});

test('what an error left unfinished is not in the next message', () => {
  putMac('left over'.repeat(10_000));
  expect(hmac(Buffer.from('key'), 'message')).toEqual(createHmac('sha256', 'key').update('message').digest());
  expect(() => hmac(new Uint8Array(65), '')).toThrow('64');
});
