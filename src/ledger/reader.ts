import { parseCheckpoint } from '../core/checkpoint.js';
import { KeelsonError } from '../core/error.js';
import { parseEntryHeader } from '../core/entry.js';
import type { Hasher } from '../core/hasher.js';
import { hashLeaf } from '../core/merkle.js';
import { parseNote } from '../core/note.js';
import { checkInclusion, proveConsistency, proveInclusion, type TreeHead } from '../core/proof.js';
import { formatReceipt } from '../core/receipt.js';
import type { TileReader } from '../core/subtree.js';
import { TILE_HEIGHT, TILE_WIDTH, type BundleId, type TileId } from '../core/tile.js';
import type { Database } from '../platform/database.js';
import { KeyIndex } from './key-index.js';
import { parseLogPath, type Log } from './log.js';
import { entriesOf, readPages } from './page-reader.js';
import type { LedgerStore, Publication } from './store.js';
import { KeptTiles, StoredTiles } from './tile-reader.js';
import type { LedgerWatch } from './watch.js';

/** How long somebody who waits trusts the watch before looking into the database, where other processes write too. */
const LOOK_MS = 50;
/** How long a receipt may wait for the checkpoint that covers its entry. */
const PUBLICATION_WAIT_MS = 2000;

export interface LedgerReaderOptions {
  readonly database: Database;
  readonly store: LedgerStore;
  readonly hasher: Hasher;
  readonly watch: LedgerWatch;
}

/** Where a log is committed to. */
export interface LogHead extends TreeHead {
  readonly nextOffset: bigint;
}

/** An inclusion proof, from leaf to root, and the signed checkpoint it leads to. */
export interface Inclusion {
  readonly size: bigint;
  readonly proof: readonly Uint8Array[];
  readonly note: string;
}

export interface ProvedEntry {
  readonly index: bigint;
  readonly entry: Uint8Array;
  /** From leaf to root. */
  readonly proof: readonly Uint8Array[];
}

/** Entries of a log and the one signed checkpoint that their proofs lead to. */
export interface Inclusions {
  readonly size: bigint;
  readonly note: string;
  readonly entries: readonly ProvedEntry[];
}

/**
 * Reads of the ledger, for any process: everything comes out of the database, nothing leans on the sequencer, and only
 * what is committed is seen. Every method that takes a log rejects with `database_unavailable` where that is so.
 */
export class LedgerReader {
  readonly #options: LedgerReaderOptions;
  readonly #logs = new Map<string, Log>();
  readonly #keys = new Map<number, KeyIndex>();

  constructor(options: LedgerReaderOptions) {
    this.#options = options;
  }

  /** Every log there is, by path. */
  async logs(): Promise<Log[]> {
    const { rows } = await this.#options.database.query<{ id: number; path: string; origin: string }>(
      'select id, path, origin from keelson.log order by topic, partition, generation',
    );
    const logs = rows.map(({ id, path, origin }): Log => ({ id, path, origin, at: parseLogPath(path) }));
    for (const log of logs) this.#logs.set(log.path, log);
    return logs;
  }

  /** @throws KeelsonError `not_found`. */
  async log(path: string): Promise<Log> {
    if (!this.#logs.has(path)) await this.logs();
    const log = this.#logs.get(path);
    if (!log) throw new KeelsonError('not_found', `there is no log ${path}`);
    return log;
  }

  async head(log: Log): Promise<LogHead> {
    const { rows } = await this.#options.database.query<{ size: bigint; root: Buffer; next_offset: bigint }>(
      `select h.size, c.root, h.next_offset from keelson.head h
       join keelson.checkpoint c on c.log = h.log and c.size = h.size where h.log = $1`,
      [log.id],
    );
    const row = rows[0];
    if (!row) throw new KeelsonError('tampered', `${log.path} has no head`, { log: log.path });
    return { size: row.size, root: row.root, nextOffset: row.next_offset };
  }

  /** The newest signed checkpoint. */
  async publication(log: Log): Promise<Publication | undefined> {
    return this.#options.store.newestPublication(log);
  }

  /**
   * A signed checkpoint of `size` entries or more; waits a little for one that is on its way.
   * @throws KeelsonError `out_of_range` where the log is shorter; `not_ready` where signing is behind or held back.
   */
  async publicationOf(log: Log, size: bigint, waitMs = PUBLICATION_WAIT_MS): Promise<Publication> {
    const deadlineMs = performance.now() + waitMs;
    for (;;) {
      const publication = await this.publication(log);
      if (publication && publication.size >= size) return publication;
      await this.#requireSize(log, size);
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        throw new KeelsonError('not_ready', `no checkpoint of ${size} entries is signed yet`, { retryAfterS: 1 });
      }
      await this.#options.watch.changed(Math.min(leftMs, LOOK_MS));
    }
  }

  /** Entries `[from, to)`. @throws KeelsonError `out_of_range`, `tampered`. */
  async entries(log: Log, from: bigint, to: bigint): Promise<Uint8Array[]> {
    if (from < 0n || to < from) throw new KeelsonError('out_of_range', `no entries ${from} to ${to}`);
    await this.#requireSize(log, to);
    return entriesOf(log.path, await readPages(this.#options.database.pool, log.id, from, to), from, to);
  }

  /** One entry's bytes. @throws KeelsonError `out_of_range`, `tampered`. */
  async entry(log: Log, index: bigint): Promise<Uint8Array> {
    return (await this.entries(log, index, index + 1n))[0]!;
  }

  /** A bundle's bytes, full or partial. @throws KeelsonError `out_of_range`. */
  async bundle(log: Log, { index, width }: BundleId): Promise<Uint8Array[]> {
    const from = index * BigInt(TILE_WIDTH);
    return this.entries(log, from, from + BigInt(width));
  }

  /** A tile's bytes, full or partial. @throws KeelsonError `out_of_range`. */
  async tile(log: Log, tile: TileId): Promise<Uint8Array> {
    const first = tile.index * BigInt(TILE_WIDTH);
    const leaves = (first + BigInt(tile.width)) << BigInt(tile.level * TILE_HEIGHT);
    const { size } = await this.#requireSize(log, leaves);
    const isFull = first + BigInt(TILE_WIDTH) <= size >> BigInt(tile.level * TILE_HEIGHT);
    const [bytes] = await this.#tiles(log).readTiles([isFull ? { ...tile, width: TILE_WIDTH } : tile]);
    return bytes!.subarray(0, tile.width * 32);
  }

  /**
   * That `entry`, at `index`, is in the newest signed checkpoint: checked before it is handed out.
   * @throws KeelsonError `out_of_range`, `not_ready`, `tampered`.
   */
  async inclusion(log: Log, index: bigint, entry: Uint8Array): Promise<Inclusion> {
    const published = await this.publicationOf(log, index + 1n);
    const proof = await this.#prove(log, index, entry, published, this.#tiles(log));
    return { size: published.size, note: published.note, proof };
  }

  async #prove(
    log: Log,
    index: bigint,
    entry: Uint8Array,
    { size, note }: Publication,
    tiles: TileReader,
  ): Promise<Uint8Array[]> {
    const { hasher } = this.#options;
    const proof = await proveInclusion(hasher, index, size, tiles);
    try {
      checkInclusion(hasher, index, hashLeaf(hasher, entry), proof, parseCheckpoint(parseNote(note).text));
    } catch (cause) {
      const message = `${log.path}: entry ${index} is not what was signed`;
      throw new KeelsonError('tampered', message, { log: log.path, index, cause });
    }
    return proof;
  }

  /**
   * Entries with their proofs, all of them in one signed checkpoint of `size` entries or more: checked before they are handed out.
   * @param indexes in any order; each is answered once, in ascending order.
   * @throws KeelsonError `out_of_range`, `not_ready`, `tampered`.
   */
  async inclusions(log: Log, indexes: Iterable<bigint>, size: bigint): Promise<Inclusions> {
    const sorted = [...new Set(indexes)].sort((a, b) => (a < b ? -1 : 1));
    const least = (sorted.at(-1) ?? -1n) + 1n;
    const published = await this.publicationOf(log, least > size ? least : size);
    const tiles = new KeptTiles(this.#tiles(log));
    const entries: ProvedEntry[] = [];
    for (const index of sorted) {
      const entry = await this.entry(log, index);
      entries.push({ index, entry, proof: await this.#prove(log, index, entry, published, tiles) });
    }
    return { note: published.note, size: published.size, entries };
  }

  /** That the log of `to` entries continues the one of `from`. @throws KeelsonError `out_of_range`. */
  async consistency(log: Log, from: bigint, to: bigint): Promise<Uint8Array[]> {
    await this.#requireSize(log, to);
    return proveConsistency(this.#options.hasher, from, to, this.#tiles(log));
  }

  /** A C2SP tlog-proof that carries its entry. @throws KeelsonError `out_of_range`, `not_ready`, `tampered`. */
  async receipt(log: Log, index: bigint): Promise<string> {
    const entry = await this.entry(log, index);
    const { note, proof } = await this.inclusion(log, index, entry);
    return formatReceipt({ entry, index, proof, checkpoint: note });
  }

  /** The newest entry that claims a dedupe key, within the weeks kept. */
  async findKey(log: Log, key: Uint8Array): Promise<bigint | undefined> {
    let keys = this.#keys.get(log.id);
    if (!keys) this.#keys.set(log.id, (keys = new KeyIndex(this.#options.store, log)));
    return keys.find(key);
  }

  /**
   * The entries that the message at `offset` became, by place in its pack. Empty where it became none: all of it repeats.
   * The caller knows that the log is past that offset.
   */
  async entriesAt(log: Log, offset: bigint): Promise<Map<number, { index: bigint; entry: Uint8Array }>> {
    const { rows } = await this.#options.database.query<{ first_index: bigint; count: number; entries: Buffer }>(
      // Of the batch that took the offset: pages whose first entry is of that offset, and the one before them.
      // A page's first entry has its offset at byte 16: two of its length, then docs/record.md, "Entry".
      `with batch as (
         select prev_size, size from keelson.checkpoint where log = $1 and next_offset > $2 and size > 0
         order by next_offset limit 1)
       select p.first_index, p.count, p.entries from batch, keelson.page p
       where p.log = $1 and p.first_index >= coalesce((
           select first_index from keelson.page
           where log = $1 and first_index >= batch.prev_size and first_index < batch.size and substr(entries, 17, 8) < $3
           order by first_index desc limit 1), batch.prev_size)
         and p.first_index < batch.size and substr(p.entries, 17, 8) <= $3
       order by p.first_index`,
      [log.id, offset, offsetBytes(offset)],
    );
    const found = new Map<number, { index: bigint; entry: Uint8Array }>();
    for (const row of rows) {
      const page = { firstIndex: row.first_index, count: row.count, entries: row.entries };
      const entries = entriesOf(log.path, [page], page.firstIndex, page.firstIndex + BigInt(page.count));
      for (const [i, entry] of entries.entries()) {
        const header = parseEntryHeader(entry);
        if (header.offset === offset) found.set(header.place, { index: page.firstIndex + BigInt(i), entry });
      }
    }
    return found;
  }

  /** Resolves with the head once it is past `offset`, or with undefined when the time is over. */
  async untilTaken(log: Log, offset: bigint, timeoutMs: number): Promise<LogHead | undefined> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const head = await this.head(log);
      if (head.nextOffset > offset) return head;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return undefined;
      await this.#options.watch.changed(Math.min(leftMs, LOOK_MS));
    }
  }

  #tiles(log: Log): StoredTiles {
    return new StoredTiles(this.#options.database.pool, this.#options.hasher, log);
  }

  async #requireSize(log: Log, size: bigint): Promise<LogHead> {
    const head = await this.head(log);
    if (head.size < size) {
      throw new KeelsonError('out_of_range', `${log.path} has ${head.size} entries`, { log: log.path });
    }
    return head;
  }
}

function offsetBytes(offset: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(offset);
  return bytes;
}
