import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { BenchDatabase } from './cluster.js';

/** A column of a binary COPY row: bytes as the type's binary form, or null. */
export type Column = Uint8Array | null;

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);

/** One row of binary COPY (PostgreSQL manual, COPY, "Binary Format"). */
export function encodeRow(columns: readonly Column[]): Buffer {
  const row = Buffer.allocUnsafe(2 + columns.reduce((sum, column) => sum + 4 + (column?.length ?? 0), 0));
  let at = row.writeInt16BE(columns.length, 0);
  for (const column of columns) {
    at = row.writeInt32BE(column ? column.length : -1, at);
    if (column) {
      row.set(column, at);
      at += column.length;
    }
  }
  return row;
}

export const int2 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
};

export const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

export const float8 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
};

/** Microseconds since 1970 as a binary timestamptz: Postgres counts from 2000. */
export const timestamptz = (us: bigint): Buffer => int8(us - 946_684_800_000_000n);

export const text = (value: string): Buffer => Buffer.from(value);

/**
 * The baseline: `rows` rows by binary COPY, `perTransaction` a transaction, one connection. `tables` are filled in the same transaction,
 * each by its own COPY.
 */
export async function copyRows(
  database: BenchDatabase,
  tables: readonly { readonly into: string; readonly row: (index: number) => Buffer }[],
  rows: number,
  perTransaction = 1000,
): Promise<void> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    for (let from = 0; from < rows; from += perTransaction) {
      await client.query('begin');
      for (const { into, row } of tables) {
        const chunks: Buffer[] = [HEADER];
        for (let index = from; index < Math.min(rows, from + perTransaction); index++) chunks.push(row(index));
        chunks.push(TRAILER);
        const stream = client.query(copyFrom(`copy ${into} from stdin (format binary)`));
        stream.end(Buffer.concat(chunks));
        await once(stream, 'finish');
      }
      await client.query('commit');
    }
  } finally {
    await client.end();
  }
}
