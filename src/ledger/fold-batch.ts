import type { PoolClient } from 'pg';
import { KeelsonError } from '../core/error.js';
import type { Log } from './log.js';
import { copyPages } from './page-reader.js';
import type { Page } from './page.js';
import type { CommittedBatch } from './pipeline.js';
import type { FoldBatch } from './projection.js';

/** Committed batches kept as hints, bytes; what comes beyond it is read back from the ledger. */
const HINT_BYTES_MAX = 64 * 1024 * 1024;
/** Batches that follow one another are folded as one up to so many bytes: a transaction has its price, whatever it holds. */
const FOLD_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Entries `[from, to)` of a log as a projection folds them, the outer pages cut to size.
 * @throws KeelsonError `tampered` where there are none.
 */
export async function readFoldBatch(
  db: Pick<PoolClient, 'query'>,
  log: Log,
  from: bigint,
  to: bigint,
): Promise<FoldBatch> {
  const pages = await copyPages(db, log.id, from, to);
  const first = pages.at(0);
  const last = pages.at(-1);
  if (!first || !last)
    throw new KeelsonError('tampered', `${log.path}: entry ${from} is missing`, { log: log.path, index: from });
  return { log, from, to, pages: pages.map((page) => cutPage(page, from, to)) };
}

function cutPage(page: Page, from: bigint, to: bigint): Page {
  const end = page.firstIndex + BigInt(page.count);
  if (page.firstIndex >= from && end <= to) return page;
  const first = page.firstIndex < from ? from : page.firstIndex;
  const skip = Number(first - page.firstIndex);
  const count = Number((end < to ? end : to) - first);
  const bounds = [0];
  for (let at = 0, i = 0; i < skip + count; i++) {
    at += 2 + ((page.entries[at]! << 8) | page.entries[at + 1]!);
    bounds.push(at);
  }
  return { firstIndex: first, count, entries: page.entries.subarray(bounds[skip], bounds[skip + count]) };
}

/** Batches that this process committed, as far as they are not folded yet. They may be forgotten at any time. */
export class Hints {
  readonly #batches = new Map<number, CommittedBatch[]>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  add(batch: CommittedBatch): void {
    const bytes = bytesOf(batch);
    // The oldest are wanted first, so they stay.
    if (batch.to === batch.from || this.#bytes + bytes > HINT_BYTES_MAX) return;
    const hints = this.#batches.get(batch.log.id) ?? [];
    hints.push(batch);
    this.#batches.set(batch.log.id, hints);
    this.#bytes += bytes;
  }

  /** What of `log` begins at `from`, as far as batches follow one another; one alone if `small`. Batches before it are forgotten. */
  take(log: Log, from: bigint, small = false): FoldBatch | undefined {
    const hints = this.#batches.get(log.id) ?? [];
    let taken: FoldBatch | undefined;
    let bytes = 0;
    while (hints.length > 0 && hints[0]!.from <= (taken?.to ?? from)) {
      const next = bytesOf(hints[0]!);
      if (taken !== undefined && (small || bytes + next > FOLD_BYTES_MAX)) break;
      const hint = hints.shift()!;
      this.#bytes -= next;
      if (hint.from !== (taken?.to ?? from)) continue;
      bytes += next;
      taken = taken === undefined ? hint : { ...taken, to: hint.to, pages: [...taken.pages, ...hint.pages] };
    }
    return taken;
  }

  /** Where the first batch of `log` begins. */
  firstOf(log: Log): bigint | undefined {
    return this.#batches.get(log.id)?.[0]?.from;
  }

  clear(): void {
    this.#batches.clear();
    this.#bytes = 0;
  }
}

const bytesOf = (batch: FoldBatch): number => batch.pages.reduce((sum, { entries }) => sum + entries.length, 0);
