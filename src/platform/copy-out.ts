/**
 * Rows as binary values, by COPY … TO STDOUT. The driver reads results as text: bytes come as hexadecimal digits, twice as many, and its
 * binary results pass through UTF-8. What is read in megabytes (pages, packs) is read this way, at a third of the cost.
 */
import type { Connection, Submittable } from 'pg';

/** A row's columns in PostgreSQL's binary form: `int8` is 8 bytes, big-endian. Views of memory that is the row's own. */
export type BinaryRow = readonly (Buffer | null)[];

/** What runs a statement: a pool, or a connection. */
export interface CopyOutClient {
  query(query: Submittable, values: undefined, done: (error: Error | undefined, rows: BinaryRow[]) => void): unknown;
}

/**
 * Runs a query and answers its rows. COPY takes no parameters: what stands in the text must be numbers of ours.
 * @param timeoutMs after which the connection is given up
 */
export function copyOut(db: CopyOutClient, query: string, timeoutMs?: number): Promise<BinaryRow[]> {
  return new Promise((resolve, reject) => {
    db.query(new CopyOut(`copy (${query}) to stdout (format binary)`, timeoutMs), undefined, (error, rows) =>
      error ? reject(error) : resolve(rows),
    );
  });
}

/** `PGCOPY\n\377\r\n\0`, flags, length of the header extension. */
const HEADER_BYTES = 19;

class CopyOut implements Submittable {
  /** Set by the driver, which also wraps it to keep time. */
  callback: (error: Error | undefined, rows?: BinaryRow[]) => void = undefined as never;
  readonly query_timeout: number | undefined;
  readonly #rows: BinaryRow[] = [];
  #begun = false;

  constructor(
    private readonly text: string,
    timeoutMs: number | undefined,
  ) {
    this.query_timeout = timeoutMs;
  }

  submit(connection: Connection): void {
    connection.query(this.text);
  }

  /** One message a row (PostgreSQL, "COPY Operations"), the header before the first. The driver uses its memory again: it is copied. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    const row = parseRow(Buffer.from(chunk), this.#begun ? 0 : HEADER_BYTES);
    this.#begun = true;
    if (row !== undefined) this.#rows.push(row);
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.#settle(error);
  }

  handleReadyForQuery(): void {
    this.#settle(undefined);
  }

  /** The first outcome counts: a server that refused says it is ready afterwards. */
  #settle(error: Error | undefined): void {
    const { callback } = this;
    this.callback = () => undefined;
    callback(error, this.#rows);
  }
}

/** Count of columns, then length and bytes of each; a count of −1 is the end. */
function parseRow(bytes: Buffer, start: number): BinaryRow | undefined {
  const count = bytes.readInt16BE(start);
  if (count < 0) return undefined;
  const row: (Buffer | null)[] = [];
  for (let i = 0, at = start + 2; i < count; i++) {
    const length = bytes.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : bytes.subarray(at, (at += length)));
  }
  return row;
}
