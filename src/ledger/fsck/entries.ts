import { parseEntry, type Entry } from '../../core/entry.js';
import { TILE_WIDTH } from '../../core/tile.js';
import type { Log } from '../log.js';
import { splitStored } from '../page-reader.js';
import type { Page } from '../page.js';
import type { LogFindings, Snapshot } from './options.js';

const PAGES_READ = 500;

/** An entry as stored. */
export interface StoredEntry {
  readonly bytes: Uint8Array;
  /** Undefined where the bytes are none. */
  readonly entry: Entry | undefined;
}

/** Up to 256 entries, from a tile's edge on. */
export interface Group {
  readonly first: bigint;
  readonly entries: readonly StoredEntry[];
}

/** What every group of a log is handed to, in order. */
export interface LogCheck {
  take(group: Group): Promise<void> | void;
  /** No group follows. */
  finish(): Promise<void> | void;
}

/** The entries of a log of `size`, out of its pages. Ends at the first that can't be had: behind it nothing has a place. */
export async function* readGroups(
  snapshot: Snapshot,
  log: Log,
  size: bigint,
  found: LogFindings,
): AsyncGenerator<Group, void, undefined> {
  let entries: StoredEntry[] = [];
  let next = 0n;
  for await (const page of readStoredPages(snapshot, log)) {
    const split = next < size ? splitInPlace(log, page, next, found) : undefined;
    if (split === undefined) break;
    for (const bytes of split) {
      entries.push(readEntry(bytes, next++, found));
      if (entries.length < TILE_WIDTH) continue;
      yield { first: next - BigInt(TILE_WIDTH), entries };
      entries = [];
    }
  }
  if (entries.length > 0) yield { first: next - BigInt(entries.length), entries };
  const { rows } = await snapshot.query<{ end: bigint | null }>(
    'select max(first_index + count) as end from keelson.page where log = $1',
    [log.id],
  );
  const end = rows[0]?.end ?? 0n;
  if (end < size) found.add('page', end, `entries ${end} to ${size - 1n} are missing`);
  if (end > size) found.add('head', size, `the head says ${size} entries, there are ${end}`);
}

async function* readStoredPages(snapshot: Snapshot, log: Log): AsyncGenerator<Page, void, undefined> {
  for (let after = -1n; ;) {
    const { rows } = await snapshot.query<{ first_index: bigint; count: number; entries: Buffer }>(
      `select first_index, count, entries from keelson.page where log = $1 and first_index > $2
       order by first_index limit ${PAGES_READ}`,
      [log.id, after],
    );
    for (const row of rows) yield { firstIndex: row.first_index, count: row.count, entries: row.entries };
    if (rows.length < PAGES_READ) return;
    after = rows.at(-1)!.first_index;
  }
}

/** The page's entries, where it begins at `next` and holds what it says. */
function splitInPlace(log: Log, page: Page, next: bigint, found: LogFindings): Uint8Array[] | undefined {
  const { firstIndex } = page;
  if (firstIndex > next) {
    found.add('page', next, `entries ${next} to ${firstIndex - 1n} are missing`);
    return undefined;
  }
  if (firstIndex < next) {
    found.add('page', firstIndex, `two pages hold entry ${firstIndex}`);
    return undefined;
  }
  try {
    return splitStored(log.path, page);
  } catch (error) {
    found.add('page', next, (error as Error).message);
    return undefined;
  }
}

function readEntry(bytes: Uint8Array, index: bigint, found: LogFindings): StoredEntry {
  try {
    return { bytes, entry: parseEntry(bytes) };
  } catch (error) {
    found.add('entry', index, (error as Error).message);
    return { bytes, entry: undefined };
  }
}
