import { describe, expect, it } from 'vitest';
import { WireReader, WireWriter } from '../../src/protocol/wire.js';

const malformed = expect.objectContaining({ name: 'KeelsonError', code: 'malformed_message' }) as unknown;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a writer', () => {
  it('writes numbers big-endian, texts behind their length', () => {
    const writer = new WireWriter('KXX1').uint8(0xfe).uint16(0xfedc).uint32(0xfedcba98);
    expect(writer.length).toBe(11);
    writer.uint64(Number.MAX_SAFE_INTEGER).uint64(0).text('é');
    expect(hex(writer.finish())).toBe('4b585831fefedcfedcba98001fffffffffffff0000000000000000' + '00000002c3a9');
    expect(new WireWriter().finish()).toHaveLength(0);
  });

  it('holds any number of bytes', () => {
    for (let count = 240; count < 530; count++) {
      const bytes = Uint8Array.from({ length: count }, (_, i) => i);
      expect(hex(new WireWriter().bytes(bytes).uint8(9).finish())).toBe(`${hex(bytes)}09`);
      expect(hex(new WireWriter().bytes(bytes).uint16(9).finish())).toBe(`${hex(bytes)}0009`);
      expect(hex(new WireWriter().bytes(bytes).uint32(9).finish())).toBe(`${hex(bytes)}00000009`);
      expect(hex(new WireWriter().bytes(bytes).uint64(9).finish())).toBe(`${hex(bytes)}0000000000000009`);
    }
    const large = new Uint8Array(5000).fill(7);
    expect(new WireWriter('KXX1').bytes(large).finish().subarray(4)).toEqual(large);
  });

  it('gives what it wrote, whatever it writes later', () => {
    const writer = new WireWriter().uint8(1);
    const bytes = writer.finish();
    bytes[0] = 7;
    expect([...writer.uint8(2).finish()]).toEqual([1, 2]);
  });

  it.each([-1, 1.5, NaN, Infinity, 2 ** 53])('does not write %d', (value) => {
    expect(() => new WireWriter().uint64(value)).toThrow();
  });
});

describe('a reader', () => {
  const bytes = new WireWriter('KXX1').uint8(0xfe).uint16(0xfedc).uint32(0xfedcba98).uint64(7).text('é').finish();

  it('reads what was written, and where it is', () => {
    const reader = new WireReader(bytes, 'KXX1');
    expect(reader.at).toBe(4);
    expect([reader.uint8(), reader.uint16(), reader.uint32(), reader.uint64()]).toEqual([0xfe, 0xfedc, 0xfedcba98, 7]);
    expect(reader.text(2)).toBe('é');
    reader.end();
    expect(reader.at).toBe(bytes.length);
  });

  it('refuses what is not all there, and stays where it was', () => {
    const reader = new WireReader(Buffer.from('KXX1ab'), 'KXX1');
    for (const read of [() => reader.uint32(), () => reader.uint64(), () => reader.bytes(3), () => reader.text(9)]) {
      expect(read).toThrow(malformed);
    }
    expect(() => reader.end()).toThrow(malformed);
    expect(reader.uint16()).toBe(0x6162);
    expect(() => reader.uint8()).toThrow(malformed);
    expect(() => reader.uint16()).toThrow(malformed);
    reader.end();
  });

  it('refuses another magic, in any of its letters', () => {
    for (const magic of ['XXX1', 'KYX1', 'KXY1', 'KXX2', '', 'KX', 'KXX']) {
      expect(() => new WireReader(Buffer.from(magic), 'KXX1'), magic).toThrow(malformed);
    }
  });

  it('refuses numbers that are not exact, and texts that are too long or no UTF-8', () => {
    const read = (writer: WireWriter): WireReader => new WireReader(writer.finish(), 'KXX1');
    const most = new WireWriter('KXX1').uint64(Number.MAX_SAFE_INTEGER);
    expect(read(most).uint64()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => read(new WireWriter('KXX1').uint32(0x00200000).uint32(0)).uint64()).toThrow(malformed);
    expect(() => read(new WireWriter('KXX1').text('é')).text(1)).toThrow(malformed);
    expect(read(new WireWriter('KXX1').text('')).text(0)).toBe('');
    expect(() => read(new WireWriter('KXX1').uint32(1).uint8(0xff)).text(9)).toThrow(malformed);
  });
});
