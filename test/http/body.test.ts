import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeBody, readWire } from '../../src/http/body.js';
import { MemoryGate } from '../../src/http/gate.js';

const wide = (): MemoryGate => new MemoryGate(1 << 30);
const stream = (...chunks: string[]): Readable =>
  Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );

describe('readWire', () => {
  test('a body up to the limit comes back whole', async () => {
    const wire = await readWire(stream('abc', 'de'), { maxBytes: 5, oversize: 'refuse' }, wide().open());
    expect(wire).toEqual({ whole: true, bytes: Buffer.from('abcde') });
    expect(await readWire(stream(), { maxBytes: 5, oversize: 'refuse' }, wide().open())).toEqual({
      whole: true,
      bytes: Buffer.alloc(0),
    });
  });

  test('one byte more is refused, or sampled with the digest of all of it', async () => {
    const limits = { maxBytes: 5, oversize: 'refuse' } as const;
    await expect(readWire(stream('abc', 'def'), limits, wide().open())).rejects.toMatchObject({ code: 'too_large' });
    const wire = await readWire(stream('abc', 'def', 'ghi'), { maxBytes: 5, oversize: 4 }, wide().open());
    const sha256 = createHash('sha256').update('abcdefghi').digest();
    expect(wire).toEqual({ whole: false, prefix: Buffer.from('abcd'), sha256, lengthBytes: 9 });
  });

  test('pieces of every size come together in order', async () => {
    const pieces = Array.from({ length: 3000 }, (_, i) =>
      String.fromCharCode(97 + (i % 26)).repeat(1 + ((i * 7919) % 1500)),
    );
    const all = Buffer.from(pieces.join(''));
    const wire = await readWire(stream(...pieces), { maxBytes: all.length, oversize: 'refuse' }, wide().open());
    expect(wire.whole && wire.bytes.equals(all)).toBe(true);
    const sampled = await readWire(stream(...pieces), { maxBytes: all.length - 1, oversize: 5000 }, wide().open());
    expect(sampled).toMatchObject({ whole: false, prefix: all.subarray(0, 5000), lengthBytes: all.length });
  });

  test('small pieces are copied together, and none of them is kept', async () => {
    const piece = Buffer.alloc(1);
    const source = Readable.from(
      (function* () {
        for (let i = 0; i < 200_000; i++) {
          piece[0] = i % 251;
          yield piece;
        }
      })(),
      { objectMode: true, highWaterMark: 1 },
    );
    const wire = await readWire(source, { maxBytes: 1 << 20, oversize: 'refuse' }, wide().open());
    expect(wire.whole && wire.bytes.length).toBe(200_000);
    // A kept piece would show the last byte that went through it.
    expect(wire.whole && new Set(wire.bytes.subarray(0, 199_000)).size).toBe(251);
  });

  test('a client that breaks off is malformed_request', async () => {
    const source = new PassThrough();
    source.write('abc');
    const reading = readWire(source, { maxBytes: 5, oversize: 'refuse' }, wide().open());
    source.destroy(new Error('aborted'));
    await expect(reading).rejects.toMatchObject({ code: 'malformed_request' });
  });

  test('what is held is counted, refused past the gate, and given back', async () => {
    const gate = new MemoryGate(10);
    const first = gate.open();
    await readWire(stream('12345678'), { maxBytes: 100, oversize: 'refuse' }, first);
    expect(gate.heldBytes).toBe(8);
    const second = gate.open();
    await expect(readWire(stream('12', '3'), { maxBytes: 100, oversize: 'refuse' }, second)).rejects.toMatchObject({
      code: 'overloaded',
    });
    second.release();
    expect(gate.heldBytes).toBe(8);
    first.release();
    first.release();
    expect(gate.heldBytes).toBe(0);
  });
});

describe('decodeBody', () => {
  const text = Buffer.from('[1,2,3]'.repeat(100));

  test.each([
    [undefined, text],
    ['identity', text],
    ['gzip', gzipSync(text)],
    ['X-GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
  ])('%s', async (coding, wire) => {
    expect(await decodeBody(wire, coding, text.length, wide().open())).toEqual(text);
  });

  test.each([
    ['an unknown coding', 'br', text],
    ['two codings', 'gzip, gzip', gzipSync(gzipSync(text))],
    ['not gzip', 'gzip', text],
    ['cut gzip', 'gzip', gzipSync(text).subarray(0, 20)],
    ['nothing', 'gzip', Buffer.alloc(0)],
  ])('%s is bad_encoding', async (_name, coding, wire) => {
    await expect(decodeBody(wire, coding, 10_000, wide().open())).rejects.toMatchObject({ code: 'bad_encoding' });
  });

  test('a bomb stops at the cap, and costs no more than the cap', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const gate = wide();
    const hold = gate.open();
    await expect(decodeBody(bomb, 'gzip', 1024 * 1024, hold)).rejects.toMatchObject({ code: 'too_large' });
    expect(gate.heldBytes).toBeLessThanOrEqual(1024 * 1024);
    await expect(decodeBody(text, undefined, 10, wide().open())).rejects.toMatchObject({ code: 'too_large' });
    await expect(decodeBody(bomb, 'gzip', 1 << 30, new MemoryGate(1024 * 1024).open())).rejects.toMatchObject({
      code: 'overloaded',
    });
  });
});
