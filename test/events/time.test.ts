import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTimestamp, isFormatted, parseTimestamp } from '../../src/events/time.js';

test.each([
  ['1970-01-01T00:00:00Z', 0n],
  ['2024-01-20T10:30:00Z', 1_705_746_600_000_000n],
  ['2024-01-20t12:30:00.5+02:00', 1_705_746_600_500_000n],
  ['2024-01-20T10:30:00.123456789z', 1_705_746_600_123_456n],
  ['1969-12-31T23:59:59.9999999Z', -1n],
  ['2024-02-29T00:00:00-00:00', 1_709_164_800_000_000n],
  ['2016-12-31T23:59:60Z', 1_483_228_800_000_000n],
  ['2017-01-01T00:59:60+01:00', 1_483_228_800_000_000n],
  ['0000-01-01T00:00:00Z', -62_167_219_200_000_000n],
  ['9999-12-31T23:59:59.999999Z', 253_402_300_799_999_999n],
])('%s', (text, us) => expect(parseTimestamp(text)).toBe(us));

test.each([
  '',
  '2024-01-20',
  '2024-01-20T10:30:00',
  '2024-01-20 10:30:00Z',
  '2024-1-20T10:30:00Z',
  '2024-13-01T00:00:00Z',
  '2023-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2024-04-31T00:00:00Z',
  '2024-01-00T00:00:00Z',
  '2024-01-20T24:00:00Z',
  '2024-01-20T10:60:00Z',
  '2024-01-20T10:30:60Z',
  '2024-01-20T23:59:60Z',
  '2016-12-31T23:59:61Z',
  '2024-01-20T10:30:00.Z',
  '2024-01-20T10:30:00+24:00',
  '2024-01-20T10:30:00+0200',
  '+2024-01-20T10:30:00Z',
  '２024-01-20T10:30:00Z',
])('%j is refused', (text) =>
  expect(() => parseTimestamp(text)).toThrow(expect.objectContaining({ code: 'invalid_timestamp' })),
);

test('what is formatted parses to the same microsecond, for every year there is', () => {
  const range = { min: -62_167_219_200_000_000n, max: 253_402_300_799_999_999n };
  fc.assert(
    fc.property(
      fc.oneof(
        fc.bigInt(range),
        fc.bigInt({ min: 0n, max: 2n ** 51n }).map((ms) => (ms % 10n ** 14n) * 1000n),
      ),
      (us) => {
        expect(parseTimestamp(formatTimestamp(us))).toBe(us);
        expect(BigInt(Date.parse(formatTimestamp(us)))).toBe((us - (((us % 1000n) + 1000n) % 1000n)) / 1000n);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a text in the form that is written is read as any other: to the same microsecond, or refused', () => {
  const outcome = (text: string): unknown => {
    try {
      return parseTimestamp(text);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const digits = (length: number) =>
    fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: length, maxLength: length });
  const field = (...usual: string[]) => fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...usual) }, digits(2));
  const usual = fc
    .tuple(
      digits(4),
      field('01', '02', '12'),
      field('01', '28', '29', '30', '31'),
      field('00', '23'),
      field('00', '59'),
      field('00', '59', '60'),
      fc.oneof(
        fc.constantFrom('', '.000', '.100', '.000000', '.123000'),
        digits(3).map((f) => `.${f}`),
        digits(6).map((f) => `.${f}`),
      ),
    )
    .map(
      ([year, month, day, hour, minute, second, fraction]) =>
        `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}Z`,
    );
  const spoilt = fc
    .tuple(usual, fc.nat(26), fc.constantFrom(...'0129:-./ TtZz+a\u0660'))
    .map(([text, at, unit]) => text.slice(0, at) + unit + text.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(usual, spoilt), (text) => {
      const us = outcome(text);
      // A small z takes the way of all other forms.
      if (text.endsWith('Z')) expect(us).toBe(outcome(`${text.slice(0, -1)}z`));
      if (typeof us === 'bigint') expect(isFormatted(text)).toBe(formatTimestamp(us) === text);
    }),
    { numRuns: 20_000 },
  );
});
