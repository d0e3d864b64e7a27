import { ENTRY_HEADER_BYTES, parseEntry, type Entry } from '../core/entry.js';
import { Frontier, type FullTile } from '../core/frontier.js';
import { HASH_BYTES, hashLeaf } from '../core/merkle.js';
import { tileHash, tileRoot, TILE_WIDTH } from '../core/tile.js';
import type { FsckFinding, FsckOptions } from './fsck-options.js';
import { DEDUPE_AT } from './log-records.js';
import type { Log } from './log.js';
import { splitStored } from './page-reader.js';
import { SLOT_BYTES, slotHasKey, slotIsClaimed, slotTimeUs } from './slots.js';

const PAGES_READ = 500;
const ROWS_READ = 1000;

interface HeadRow {
  size: bigint;
  next_offset: bigint;
  last_offset: bigint | null;
}

interface CheckpointRow {
  size: bigint;
  root: Buffer;
  prev_size: bigint;
  prev_root: Buffer;
}

/** Pages, entries, tiles, checkpoints, duplicate keys and the head of one log. */
export async function* checkEntries(options: FsckOptions, log: Log): AsyncGenerator<FsckFinding, void, undefined> {
  const { rows } = await options.database.query<HeadRow & Record<string, unknown>>(
    'select size, next_offset, last_offset from keelson.head where log = $1',
    [log.id],
  );
  const head = rows[0];
  if (!head) return yield { log: log.path, what: 'head', reason: 'the log has no head' };
  const walk = new Walk(options, log, head);
  let tile: Uint8Array[] = [];
  for await (const step of walk.entries()) {
    if ('reason' in step) {
      yield step;
      continue;
    }
    tile.push(step.bytes);
    if (tile.length < TILE_WIDTH) continue;
    yield* walk.take(tile);
    tile = [];
    options.onProgress?.({ log: log.path, done: walk.size, size: head.size });
  }
  yield* walk.take(tile);
  yield* walk.finish();
  options.onProgress?.({ log: log.path, done: walk.size, size: head.size });
}

class Walk {
  readonly #frontier: Frontier;
  readonly #checkpoints: Cursor<CheckpointRow>;
  readonly #slots: Cursor<{ first_index: bigint; count: number; slots: Buffer }>;
  #slotRow: { first_index: bigint; count: number; slots: Buffer } | undefined;
  #checkpoint: CheckpointRow | undefined;
  #previous: CheckpointRow | undefined;
  #rootsDiffer = false;
  /** Entries below it hash to what an intact tile holds. */
  #tiledTo = 0n;
  #place = { offset: -1n, place: -1 };
  #tiles = 0n;

  constructor(
    private readonly options: FsckOptions,
    private readonly log: Log,
    private readonly head: HeadRow,
  ) {
    this.#frontier = new Frontier(options.hasher);
    this.#checkpoints = new Cursor(
      options,
      'size',
      `select size, root, prev_size, prev_root from keelson.checkpoint`,
      log,
    );
    this.#slots = new Cursor(options, 'first_index', `select first_index, count, slots from keelson.dedupe`, log);
  }

  get size(): bigint {
    return this.#frontier.size;
  }

  /** Every entry in order; findings where pages do not follow one another. Ends at the first gap. */
  async *entries(): AsyncGenerator<{ bytes: Uint8Array } | FsckFinding, void, undefined> {
    let next = 0n;
    for (;;) {
      const { rows } = await this.options.database.query<{ first_index: bigint; count: number; entries: Buffer }>(
        `select first_index, count, entries from keelson.page where log = $1 and first_index >= $2
         order by first_index limit ${PAGES_READ}`,
        [this.log.id, next],
      );
      for (const row of rows) {
        const page = { firstIndex: row.first_index, count: row.count, entries: row.entries };
        if (page.firstIndex !== next)
          return yield this.#found('page', next, `entries ${next} to ${page.firstIndex - 1n} are missing`);
        let entries: Uint8Array[];
        try {
          entries = splitStored(this.log.path, page);
        } catch (error) {
          return yield this.#found('page', next, (error as Error).message);
        }
        for (const bytes of entries) {
          yield* this.#checkEntry(next, bytes);
          yield { bytes };
          next++;
        }
      }
      if (rows.length < PAGES_READ) break;
    }
    if (next < this.head.size) yield this.#found('page', next, `entries ${next} to ${this.head.size - 1n} are missing`);
    if (next > this.head.size)
      yield this.#found('head', this.head.size, `the head says ${this.head.size} entries, there are ${next}`);
  }

  /** Hashes up to 256 entries, which begin at a tile's edge, and compares with tile and checkpoints. */
  async *take(entries: readonly Uint8Array[]): AsyncGenerator<FsckFinding, void, undefined> {
    const { hasher } = this.options;
    const first = this.size;
    let leaves = entries.map((entry) => hashLeaf(hasher, entry));
    if (entries.length === TILE_WIDTH) {
      const stored = await this.#readTile(0, first / BigInt(TILE_WIDTH));
      if (!stored) yield this.#found('tile', first, `tile 0/${first / 256n} is missing`);
      else {
        const differing = leaves.flatMap((leaf, i) =>
          Buffer.compare(leaf, tileHash(stored.hashes, i)) === 0 ? [] : [i],
        );
        const intact = Buffer.compare(tileRoot(hasher, stored.hashes), stored.root) === 0;
        if (!intact) yield this.#found('tile', first, `tile 0/${first / 256n} does not hash to its root`);
        else if (differing.length > 0) {
          for (const i of differing) {
            const index = first + BigInt(i);
            yield this.#found(
              'entry',
              index,
              `entry ${index} is not the one that was hashed into tile 0/${first / 256n}`,
            );
          }
          // The tile is whole: what follows is judged by what was signed, not by what was changed.
          leaves = leaves.map((_, i) => tileHash(stored.hashes, i));
        }
        if (intact) this.#tiledTo = first + BigInt(TILE_WIDTH);
      }
    }
    for (const leaf of leaves) {
      this.#frontier.appendHashes(leaf);
      for (const tile of this.#frontier.takeTiles()) yield* this.#checkTile(tile);
      yield* this.#checkCheckpoint();
    }
  }

  async *finish(): AsyncGenerator<FsckFinding, void, undefined> {
    const rest = this.#checkpoint ?? (await this.#checkpoints.next());
    if (rest && rest.size > this.size) {
      yield this.#found('checkpoint', this.size, `checkpoint ${rest.size} counts more entries than there are`);
    }
    const { rows } = await this.options.database.query<{ count: bigint; newest: bigint | null }>(
      `select (select count(*) from keelson.tile where log = $1) as count,
              (select max(size) from keelson.checkpoint where log = $1) as newest`,
      [this.log.id],
    );
    const { count, newest } = rows[0]!;
    if (count > this.#tiles) yield this.#found('tile', this.size, `${count - this.#tiles} tiles are not of this log`);
    if (newest !== this.head.size) {
      yield this.#found(
        'head',
        this.head.size,
        `the head is at ${this.head.size}, the newest checkpoint at ${newest ?? 'none'}`,
      );
    }
    if (this.#place.offset >= this.head.next_offset || this.#place.offset > (this.head.last_offset ?? -1n)) {
      yield this.#found(
        'head',
        this.size,
        `the last entry is of offset ${this.#place.offset}, beyond where the head stands`,
      );
    }
    yield* this.#checkEventLog();
  }

  async *#checkEntry(index: bigint, bytes: Uint8Array): AsyncGenerator<FsckFinding, void, undefined> {
    let entry: Entry;
    try {
      entry = parseEntry(bytes);
    } catch (error) {
      return yield this.#found('entry', index, (error as Error).message);
    }
    const { offset, place } = entry;
    const last = this.#place;
    if (entry.partition !== this.log.at.partition)
      yield this.#found('entry', index, `it is of partition ${entry.partition}`);
    if (offset < last.offset || (offset === last.offset && place <= last.place)) {
      yield this.#found('entry', index, `offset ${offset}/${place} follows ${last.offset}/${last.place}`);
    }
    this.#place = { offset, place };
    yield* this.#checkSlot(index, entry, bytes);
  }

  /** The entry's duplicate key, unless its week was dropped. */
  async *#checkSlot(index: bigint, entry: Entry, bytes: Uint8Array): AsyncGenerator<FsckFinding, void, undefined> {
    while (!this.#slotRow || this.#slotRow.first_index + BigInt(this.#slotRow.count) <= index) {
      const next = await this.#slots.next();
      if (!next) break;
      this.#slotRow = next;
    }
    const row = this.#slotRow;
    if (!row || index < row.first_index || index >= row.first_index + BigInt(row.count)) return;
    const at = Number(index - row.first_index) * SLOT_BYTES;
    const slot = row.slots.subarray(at, at + SLOT_BYTES);
    const right =
      entry.kind === 'record'
        ? slotHasKey(slot, bytes, ENTRY_HEADER_BYTES + DEDUPE_AT) && slotTimeUs(slot) === entry.appendedAtUs
        : !slotIsClaimed(slot, 0);
    if (!right) yield this.#found('dedupe', index, `the duplicate key kept for entry ${index} is another one’s`);
  }

  async *#checkTile(tile: FullTile): AsyncGenerator<FsckFinding, void, undefined> {
    this.#tiles++;
    const stored = await this.#readTile(tile.level, tile.index);
    const first = (tile.index * BigInt(TILE_WIDTH)) << BigInt(8 * tile.level);
    const name = `tile ${tile.level}/${tile.index}`;
    if (!stored) {
      if (tile.level > 0) yield this.#found('tile', first, `${name} is missing`);
      return;
    }
    if (Buffer.compare(stored.hashes, tile.hashes) !== 0) {
      const at = stored.hashes.findIndex((byte, i) => byte !== tile.hashes[i]);
      yield this.#found(
        'tile',
        first,
        `${name} has another hash at place ${Math.floor(at / HASH_BYTES)} than what it stands for`,
      );
    } else if (Buffer.compare(stored.root, tile.root) !== 0)
      yield this.#found('tile', first, `${name} has another root`);
  }

  /** Where a checkpoint of this very size exists: its root, and that it continues the one before it. */
  async *#checkCheckpoint(): AsyncGenerator<FsckFinding, void, undefined> {
    if (!this.#previous) {
      this.#previous = await this.#checkpoints.next();
      const empty = new Frontier(this.options.hasher).root();
      if (this.#previous?.size !== 0n || Buffer.compare(this.#previous.root, empty) !== 0) {
        yield this.#found('checkpoint', 0n, 'the log does not begin with the checkpoint of nothing');
      }
    }
    this.#checkpoint ??= await this.#checkpoints.next();
    const checkpoint = this.#checkpoint;
    if (!checkpoint || checkpoint.size > this.size) return;
    const previous = this.#previous;
    if (
      previous &&
      (checkpoint.prev_size !== previous.size || Buffer.compare(checkpoint.prev_root, previous.root) !== 0)
    ) {
      yield this.#found(
        'checkpoint',
        checkpoint.size,
        `checkpoint ${checkpoint.size} does not continue ${previous.size}`,
      );
    }
    const same = Buffer.compare(checkpoint.root, this.#frontier.root()) === 0;
    // Once an entry is another one, so is every later root: the first says where.
    if (!same && !this.#rootsDiffer) {
      const from = checkpoint.prev_size > this.#tiledTo ? checkpoint.prev_size : this.#tiledTo;
      const reason = `entries ${from} to ${checkpoint.size - 1n}, with those before, do not hash to the root of checkpoint ${checkpoint.size}`;
      yield this.#found('checkpoint', from, reason);
    }
    this.#rootsDiffer = !same;
    this.#previous = checkpoint;
    this.#checkpoint = undefined;
  }

  async *#checkEventLog(): AsyncGenerator<FsckFinding, void, undefined> {
    const { eventLog, hasher, database } = this.options;
    if (!eventLog || this.head.last_offset === null) return;
    const message = await eventLog.read(this.log.at, this.head.last_offset);
    const { rows } = await database.query<{ last_hash: Buffer }>('select last_hash from keelson.head where log = $1', [
      this.log.id,
    ]);
    if (!message) return;
    const hash = new Uint8Array(HASH_BYTES);
    hasher.sha256(message.pack, hash, 0);
    if (Buffer.compare(hash, rows[0]!.last_hash) !== 0) {
      yield this.#found(
        'head',
        this.size,
        `another message stands at offset ${this.head.last_offset} of the event log`,
      );
    }
  }

  async #readTile(level: number, index: bigint): Promise<{ hashes: Buffer; root: Buffer } | undefined> {
    const { rows } = await this.options.database.query<{ hashes: Buffer; root: Buffer }>(
      'select hashes, root from keelson.tile where log = $1 and level = $2 and number = $3',
      [this.log.id, level, index],
    );
    return rows[0];
  }

  #found(what: FsckFinding['what'], index: bigint, reason: string): FsckFinding {
    return { log: this.log.path, what, index, reason };
  }
}

/** The rows of one log, in order of a bigint column, read in pieces. */
class Cursor<Row> {
  #rows: Row[] = [];
  #after = -1n;
  #ended = false;

  constructor(
    private readonly options: FsckOptions,
    private readonly column: string,
    private readonly select: string,
    private readonly log: Log,
  ) {}

  async next(): Promise<Row | undefined> {
    if (this.#rows.length === 0 && !this.#ended) {
      const { rows } = await this.options.database.query<Row & Record<string, unknown>>(
        `${this.select} where log = $1 and ${this.column} > $2 order by ${this.column} limit ${ROWS_READ}`,
        [this.log.id, this.#after],
      );
      this.#rows = rows;
      this.#ended = rows.length < ROWS_READ;
      this.#after = (rows.at(-1)?.[this.column] as bigint | undefined) ?? this.#after;
    }
    return this.#rows.shift();
  }
}
