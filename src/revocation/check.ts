/** Are these token facts revoked? For parties without a guard. It says "not revoked", never "permitted". */
import type { Database } from '../platform/database.js';
import { readPositions } from '../ledger/projection-runner.js';
import { checkToken, type Verdict } from '../protocol/check.js';
import type { FactSource } from '../protocol/fact-table.js';
import { keysOfToken, type TokenFacts } from '../protocol/token-keys.js';
import type { KeyMaterial } from './state.js';
import { readFacts, type FactRow } from './store.js';

/** What rows say, as a table. */
class RowFacts implements FactSource {
  constructor(
    private readonly rows: readonly FactRow[],
    readonly seq: number,
  ) {}

  find(bytes: Uint8Array, at = 0): number {
    const key = bytes.subarray(at, at + 16);
    return this.rows.findIndex((row) => row.key.equals(key));
  }

  isBlocked(slot: number): boolean {
    return this.rows[slot]!.blocked;
  }

  cutoffUs(slot: number): number {
    const us = this.rows[slot]!.cutoff_us;
    return us === null ? -Infinity : Number(us);
  }

  seqAt(slot: number): number {
    return Number(this.rows[slot]!.seq);
  }

  orderOf(key: Uint8Array): string | undefined {
    const slot = this.find(key);
    return slot < 0 ? undefined : (this.rows[slot]!.order_name ?? undefined);
  }
}

export interface Checked {
  readonly verdict: Verdict;
  /** An order that the verdict rests on. */
  readonly order: string | undefined;
  /** Changes that the answer knows of. */
  readonly seq: number;
  readonly asOf: ReadonlyMap<string, bigint>;
}

/** Holds token facts against the table as the projection has it, in one snapshot. @throws KeelsonError `database_unavailable` */
export async function checkFacts(
  database: Database,
  { hasher, guardKey }: KeyMaterial,
  facts: TokenFacts,
  nowUs: number,
  skewUs: number,
): Promise<Checked> {
  const keys = keysOfToken(hasher, guardKey, facts);
  return database.transaction(async (tx) => {
    await tx.query('set transaction isolation level repeatable read, read only');
    const rows = await readFacts(tx, keys);
    const head = await tx.query<{ seq: bigint }>('select seq from keelson.revocation_head');
    const table = new RowFacts(rows, Number(head.rows[0]?.seq ?? 0n));
    const verdict = checkToken(table, keys, facts.issuedAtUs, nowUs, skewUs);
    const order = verdict.revoked && verdict.key !== undefined ? table.orderOf(verdict.key) : undefined;
    return { verdict, order, seq: table.seq, asOf: await readPositions(tx, 'revocation') };
  });
}
