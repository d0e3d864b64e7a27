import type { PoolClient } from 'pg';
import { KeelsonError } from '../core/error.js';
import type { Log } from './log.js';
import { readPages } from './page-reader.js';
import type { Page } from './page.js';
import type { CommittedBatch } from './pipeline.js';
import type { FoldBatch } from './projection.js';

/** Committed batches kept as hints, bytes; beyond it they are forgotten and read back from the ledger. */
const HINT_BYTES_MAX = 32 * 1024 * 1024;

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
  const pages = await readPages(db, log.id, from, to);
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
    if (batch.to === batch.from) return;
    const hints = this.#batches.get(batch.log.id) ?? [];
    hints.push(batch);
    this.#batches.set(batch.log.id, hints);
    this.#bytes += bytesOf(batch);
    if (this.#bytes > HINT_BYTES_MAX) this.clear();
  }

  /** The batch of `log` that begins at `from`; batches before it are forgotten. */
  take(log: Log, from: bigint): FoldBatch | undefined {
    const hints = this.#batches.get(log.id) ?? [];
    while (hints.length > 0) {
      if (hints[0]!.from > from) return undefined;
      const hint = hints.shift()!;
      this.#bytes -= bytesOf(hint);
      if (hint.from === from) return hint;
    }
    return undefined;
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
