import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, equalBytes, formatBase64, formatHex, parseBase64, parseDecimal } from '../../src/core/bytes.js';

describe('bytes as text', () => {
  it('are what Node makes of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(formatBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(formatHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(parseBase64(formatBase64(bytes))).toEqual(bytes);
      }),
    );
  });

  it('parse only where they are what the bytes format to', () => {
    const anyText = fc.string({ unit: fc.constantFrom(...'ABwxyz0189+/=-_ \n\u00e9'), maxLength: 9 });
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = parseBase64(text);
        const canonical = Buffer.from(text, 'base64').toString('base64') === text;
        expect(bytes === undefined ? undefined : formatBase64(bytes)).toBe(canonical ? text : undefined);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['=', '==', '====', 'A===', 'AA=A', 'AB==', 'AAB=', 'AA', 'AAAAA', 'AA==AA==', 'A-==', 'AAA\n'])(
    '%j is no base64',
    (text) => {
      expect(parseBase64(text)).toBeUndefined();
    },
  );

  it('are UTF-8 or nothing', () => {
    expect(decodeUtf8(Buffer.from('\ufeffünï'))).toBe('\ufeffünï');
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined();
    }
  });

  it('are equal byte for byte', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  });
});

describe('decimals', () => {
  it.each([
    ['0', 0n],
    ['10', 10n],
    ['9223372036854775807', (1n << 63n) - 1n],
  ])('%s is read', (text, value) => {
    expect(parseDecimal(text)).toBe(value);
  });
  it.each(['', '00', '01', '-1', '+1', '1.0', '1e3', '0x1', ' 1', '1\n', '١', '9223372036854775808', '9'.repeat(30)])(
    '%j is not',
    (text) => {
      expect(parseDecimal(text)).toBeUndefined();
    },
  );
});
