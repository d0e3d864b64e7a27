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

/** Rows of a table as COPY takes them, one piece a transaction: encoded, and put together, off the clock. */
export class CopyPieces {
  readonly pieces: Buffer[] = [];
  #rows: Buffer[] = [];

  constructor(
    readonly into: string,
    private readonly perTransaction = 1000,
  ) {}

  add(row: Buffer): void {
    this.#rows.push(row);
    if (this.#rows.length === this.perTransaction) this.finish();
  }

  finish(): void {
    if (this.#rows.length > 0) this.pieces.push(Buffer.concat([HEADER, ...this.#rows, TRAILER]));
    this.#rows = [];
  }
}

/** The baseline: raw COPY on one connection; the n-th pieces of all tables in one transaction, each by its own COPY. */
export async function copyPieces(database: BenchDatabase, tables: readonly CopyPieces[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    for (let n = 0; n < tables[0]!.pieces.length; n++) {
      await client.query('begin');
      for (const { into, pieces } of tables) {
        const stream = client.query(copyFrom(`copy ${into} from stdin (format binary)`));
        stream.end(pieces[n]);
        await once(stream, 'finish');
      }
      await client.query('commit');
    }
  } finally {
    await client.end();
  }
}
