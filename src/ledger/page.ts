/** One row of the ledger: the entries `firstIndex` … `firstIndex + count − 1` of a log, each `uint16 length ‖ bytes`. */
export interface Page {
  readonly firstIndex: bigint;
  readonly count: number;
  readonly entries: Uint8Array;
}

/** A page's bytes stay inline in its row up to this many. A longer single entry has a page of its own. */
export const PAGE_BYTES_MAX = 8100;

/** The entries of a page in order, as views into it. A page that does not split into `count` entries is a broken invariant. */
export function* splitPage(page: Page): Generator<Uint8Array, void, undefined> {
  const { entries } = page;
  let at = 0;
  for (let left = page.count; left > 0; left--) {
    if (at + 2 > entries.length) throw new Error(`page ${page.firstIndex}: ends inside an entry`);
    const end = at + 2 + ((entries[at]! << 8) | entries[at + 1]!);
    if (end > entries.length) throw new Error(`page ${page.firstIndex}: ends inside an entry`);
    yield entries.subarray(at + 2, end);
    at = end;
  }
  if (at !== entries.length) throw new Error(`page ${page.firstIndex}: bytes after its last entry`);
}
