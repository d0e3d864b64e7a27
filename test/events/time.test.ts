import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTimestamp, parseTimestamp } from '../../src/events/index.js';

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
