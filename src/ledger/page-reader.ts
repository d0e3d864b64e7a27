import type { ClientBase } from 'pg';
import { KeelsonError } from '../core/error.js';
import { copyOut, type CopyOutClient } from '../platform/copy-out.js';
import { splitPage, type Page } from './page.js';

/** Anything that runs a statement: a pool, or the connection of a transaction. */
export type Queryable = Pick<ClientBase, 'query'>;

interface PageRow {
  first_index: bigint;
  count: number;
  entries: Buffer;
}

/** The pages that hold entries `[from, to)` of a log, in order; the outer ones may hold more. */
export async function readPages(db: Queryable, log: number, from: bigint, to: bigint): Promise<Page[]> {
  if (to <= from) return [];
  const { rows } = await db.query<PageRow>({
    name: 'ledger-pages',
    text: `select first_index, count, entries from keelson.page where log = $1 and first_index < $3 and first_index >=
             coalesce((select first_index from keelson.page where log = $1 and first_index <= $2
                       order by first_index desc limit 1), 0)
           order by first_index`,
    values: [log, from, to],
  });
  return rows.map((row) => ({ firstIndex: row.first_index, count: row.count, entries: row.entries }));
}

/** The same, for many pages: in binary. */
export async function copyPages(db: CopyOutClient, log: number, from: bigint, to: bigint): Promise<Page[]> {
  if (to <= from) return [];
  const rows = await copyOut(
    db,
    `select first_index, count, entries from keelson.page where log = ${log} and first_index < ${to} and first_index >=
       coalesce((select first_index from keelson.page where log = ${log} and first_index <= ${from}
                 order by first_index desc limit 1), 0)
     order by first_index`,
  );
  return rows.map(([firstIndex, count, entries]) => ({
    firstIndex: firstIndex!.readBigInt64BE(),
    count: count!.readInt32BE(),
    entries: entries!,
  }));
}

/**
 * Entries `[from, to)` out of pages that hold them.
 * @throws KeelsonError `tampered` where the pages do not hold all of them, each once.
 */
export function entriesOf(log: string, pages: readonly Page[], from: bigint, to: bigint): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let index = pages[0]?.firstIndex ?? from;
  for (const page of pages) {
    if (page.firstIndex !== index) throw missing(log, index);
    for (const entry of splitStored(log, page)) {
      if (index >= from && index < to) entries.push(entry);
      index++;
    }
  }
  if (BigInt(entries.length) !== to - from) throw missing(log, from + BigInt(entries.length));
  return entries;
}

/** The entries of a stored page. @throws KeelsonError `tampered` where its bytes don't split into its count. */
export function splitStored(log: string, page: Page): Uint8Array[] {
  try {
    return [...splitPage(page)];
  } catch (cause) {
    throw new KeelsonError('tampered', `${log}: ${(cause as Error).message}`, { log, index: page.firstIndex, cause });
  }
}

const missing = (log: string, index: bigint): KeelsonError =>
  new KeelsonError('tampered', `${log}: entry ${index} is missing from its page`, { log, index });
