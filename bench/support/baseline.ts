/**
 * What the ledger is measured against: rows by raw binary COPY, encoded off the clock, 1,000 rows a transaction, one connection.
 */
import type { BenchDatabase } from './cluster.js';
import { CopyPieces, copyPieces, encodeRow, float8, int2, int8, text, timestamptz } from './raw-copy.js';
import { describeDecision } from './records.js';

/** An entry is a record behind a header of this many bytes. */
const HEADER = Buffer.alloc(24);
const APPENDED_US = 1_790_000_000_000_000n;

/** The rows of both tables, a transaction's worth a piece: a heap full of small buffers would slow down whoever is measured. */
export class BaselineRows {
  readonly entries = new CopyPieces('entry');
  readonly search = new CopyPieces('search');
  readonly #log = int2(1);

  add(index: number, record: Buffer): void {
    const it = describeDecision(index);
    this.entries.add(encodeRow([this.#log, int8(BigInt(index)), Buffer.concat([HEADER, record])]));
    this.search.add(
      encodeRow([
        this.#log,
        int8(BigInt(index)),
        timestamptz(APPENDED_US + BigInt(index)),
        timestamptz(BigInt(it.occurredAtMs) * 1000n),
        text(it.id),
        text('decision.made'),
        text(it.decision),
        text(it.agent),
        it.pseudonym,
        text(it.tool),
        text(it.policyVersion),
        text(it.token),
        text(it.session),
        float8(it.risk),
      ]),
    );
  }

  finish(): void {
    this.entries.finish();
    this.search.finish();
  }

  /** One row per entry, primary key. */
  async copyEntries(database: BenchDatabase): Promise<void> {
    await copyPieces(database, [this.entries]);
  }

  /** The same, and in each transaction the rows of a search table with a unique event id and six live btrees. */
  async copySearchable(database: BenchDatabase): Promise<void> {
    await copyPieces(database, [this.entries, this.search]);
  }
}

export async function createBaselineTables(database: BenchDatabase): Promise<void> {
  await database.query(`
    create table entry (log smallint, index bigint, bytes bytea, primary key (log, index));
    create table search (
      log smallint, index bigint, appended_at timestamptz, occurred_at timestamptz, event text unique, type text, decision text,
      agent text, principal bytea, tool text, policy text, token text, session text, risk double precision
    );
    create index on search (appended_at);
    create index on search (agent);
    create index on search (principal);
    create index on search (tool);
    create index on search (token);
    create index on search (session)`);
}
