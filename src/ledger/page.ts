/** One row of the ledger: the entries `firstIndex` … `firstIndex + count − 1` of a log, each `uint16 length ‖ bytes`. */
export interface Page {
  readonly firstIndex: bigint;
  readonly count: number;
  readonly entries: Uint8Array;
}

/** A page's bytes stay inline in its row up to this many. A longer single entry has a page of its own. */
export const PAGE_BYTES_MAX = 8100;

/** Where the entries of a page stand in `page.entries`, in order. A page that does not split into `count` entries is a broken invariant. */
export function walkPage(page: Page, visit: (start: number, end: number) => void): void {
  const { entries } = page;
  let at = 0;
  for (let left = page.count; left > 0; left--) {
    if (at + 2 > entries.length) throw new Error(`page ${page.firstIndex}: ends inside an entry`);
    const end = at + 2 + ((entries[at]! << 8) | entries[at + 1]!);
    if (end > entries.length) throw new Error(`page ${page.firstIndex}: ends inside an entry`);
    visit(at + 2, end);
    at = end;
  }
  if (at !== entries.length) throw new Error(`page ${page.firstIndex}: bytes after its last entry`);
}

/** The entries of a page in order, as views into it. */
export function splitPage(page: Page): Uint8Array[] {
  const entries: Uint8Array[] = [];
  walkPage(page, (start, end) => entries.push(page.entries.subarray(start, end)));
  return entries;
}
