/** Waiting for hits: what makes polling a search cheap. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readPositions } from './catalogue.js';
import type { Filter } from './filter.js';
import { search, type Continuation, type Page, type SearchOptions } from './search.js';

/** How often a waiting search looks whether anything was folded: one small statement. */
const LOOK_MS = 25;

/**
 * A page of a search upwards, once it has a hit, or after `waitMs`. Looks at what was folded meanwhile only, so waiting costs the same
 * however big the ledger is.
 *
 * @param signal ends the waiting early: the caller has gone.
 */
export async function searchWaiting(
  options: SearchOptions,
  filter: Filter,
  limit: number,
  begin: Continuation | undefined,
  waitMs: number,
  signal: AbortSignal,
): Promise<Page> {
  const deadlineMs = performance.now() + waitMs;
  for (let from = begin; ;) {
    const page = await search(options, filter, 'asc', limit, from);
    if (page.hits.length > 0) return page;
    from = page.next;
    do {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || signal.aborted) return page;
      await sleep(Math.min(LOOK_MS, leftMs));
    } while (!(await hasGrown(options, page)));
  }
}

async function hasGrown({ database }: SearchOptions, { asOf }: Page): Promise<boolean> {
  const sizes = new Map(asOf.map(({ id, size }) => [id, size]));
  return (await readPositions(database)).some(({ id, size }) => size !== sizes.get(id));
}
