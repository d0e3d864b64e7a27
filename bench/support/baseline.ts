/**
 * What the ledger is measured against: rows by raw binary COPY, encoded off the clock, 1,000 rows a transaction, one connection.
 */
import type { BenchDatabase } from './cluster.js';
import { copyRows, encodeRow, float8, int2, int8, text, timestamptz } from './raw-copy.js';
import { describeDecision } from './records.js';

/** An entry is a record behind a header of this many bytes. */
const HEADER = Buffer.alloc(24);
const APPENDED_US = 1_790_000_000_000_000n;

export interface BaselineRows {
  readonly entries: readonly Buffer[];
  readonly search: readonly Buffer[];
}

export function encodeBaseline(records: readonly Buffer[]): BaselineRows {
  const log = int2(1);
  return {
    entries: records.map((record, index) => encodeRow([log, int8(BigInt(index)), Buffer.concat([HEADER, record])])),
    search: records.map((_, index) => {
      const it = describeDecision(index);
      return encodeRow([
        log,
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
      ]);
    }),
  };
}

/** One row per entry, primary key. */
export async function copyEntries(database: BenchDatabase, { entries }: BaselineRows): Promise<void> {
  await copyRows(database, [{ into: 'entry', row: (index) => entries[index]! }], entries.length);
}

/** The same, and in each transaction the rows of a search table with a unique event id and six live btrees. */
export async function copySearchable(database: BenchDatabase, { entries, search }: BaselineRows): Promise<void> {
  const tables = [
    { into: 'entry', row: (index: number) => entries[index]! },
    { into: 'search', row: (index: number) => search[index]! },
  ];
  await copyRows(database, tables, entries.length);
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
