import { describe, expect, it } from 'vitest';
import { Fingerprints } from '../../src/ledger/fingerprints.js';
import { PAGE_BYTES_MAX, splitPage } from '../../src/ledger/page.js';
import { PageWriter } from '../../src/ledger/page-writer.js';

/** What a server reads out of CopyData messages: the rows of page. */
function readCopy(
  messages: readonly Uint8Array[],
): { firstIndex: bigint; count: number; log: number; entries: Buffer }[] {
  const stream = Buffer.concat(
    messages.map((message) => {
      const bytes = Buffer.from(message);
      expect(bytes.toString('latin1', 0, 1)).toBe('d');
      expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
      return bytes.subarray(5);
    }),
  );
  expect(stream.subarray(0, 11).toString('latin1')).toBe('PGCOPY\n\xff\r\n\0');
  const rows = [];
  for (let at = 19; at < stream.length;) {
    expect(stream.readInt16BE(at)).toBe(4);
    const length = stream.readInt32BE(at + 28);
    rows.push({
      firstIndex: stream.readBigInt64BE(at + 6),
      count: stream.readInt32BE(at + 18),
      log: stream.readInt16BE(at + 26),
      entries: stream.subarray(at + 32, at + 32 + length),
    });
    at += 32 + length;
  }
  return rows;
}

describe('PageWriter', () => {
  it('lays entries of every length into pages, in order, each once', () => {
    for (const expectedBytes of [100, 1_000_000]) {
      const messages: Uint8Array[] = [];
      const lengths = [
        1,
        24,
        65_535,
        8098,
        8099,
        1,
        8097,
        1,
        4000,
        4096,
        4097,
        65_535,
        65_535,
        600,
        ...new Array<number>(900).fill(613),
      ];
      const writer = new PageWriter(7, 1000, expectedBytes, (slice) => messages.push(slice));
      for (const [i, length] of lengths.entries()) {
        const at = writer.reserve(length);
        writer.buffer.fill(i & 255, at, at + length);
        if (i % 256 === 255) writer.flush();
      }
      writer.flush();
      const rows = readCopy(messages);
      expect(rows.map(({ firstIndex, count, entries }) => ({ firstIndex, count, entries }))).toEqual(
        writer.pages.map(({ firstIndex, count, entries }) => ({ firstIndex, count, entries: Buffer.from(entries) })),
      );
      let index = 1000n;
      for (const row of rows) {
        expect(row).toMatchObject({ firstIndex: index, log: 7 });
        if (row.count > 1) expect(row.entries.length).toBeLessThanOrEqual(PAGE_BYTES_MAX);
        for (const entry of splitPage(row)) {
          const i = Number(index - 1000n);
          expect(entry.length).toBe(lengths[i]);
          expect(entry.every((byte) => byte === (i & 255))).toBe(true);
          index++;
        }
      }
      expect(index).toBe(1000n + BigInt(lengths.length));
    }
  });
});

describe('Fingerprints', () => {
  it('finds every position again, newest first, and lets go of old ones when it grows', () => {
    const table = new Fingerprints(0);
    const key = (i: number): Buffer => {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt32BE(i, 4);
      return bytes;
    };
    for (let i = 0; i < 50_000; i++) table.insert(table.of(key(i), 0), i);
    for (let i = 0; i < 50_000; i += 7) expect(table.positions(table.of(key(i), 0))).toContain(i);
    table.insert(table.of(key(3), 0), 50_000);
    expect(table.positions(table.of(key(3), 0)).slice(0, 2)).toEqual([50_000, 3]);
    let absent = 0;
    for (let i = 60_000; i < 70_000; i++) if (!table.has(table.of(key(i), 0))) absent++;
    expect(absent).toBeGreaterThan(9_990);
    for (let i = 50_001; i < 120_000; i++) table.insert(table.of(key(i), 0), i, 50_000);
    expect(table.positions(table.of(key(10), 0))).not.toContain(10);
    expect(table.positions(table.of(key(3), 0))).toContain(50_000);
    expect(table.count).toBeLessThan(120_000);
  });
});
