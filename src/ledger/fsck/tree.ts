import { Frontier, type FullTile } from '../../core/frontier.js';
import { HASH_BYTES, hashLeaf } from '../../core/merkle.js';
import type { Hasher } from '../../core/hasher.js';
import { tileHash, tileRoot, TILE_WIDTH } from '../../core/tile.js';
import type { Log } from '../log.js';
import type { Group, LogCheck } from './entries.js';
import type { LogFindings, Snapshot } from './options.js';
import { Rows } from './rows.js';

interface CheckpointRow {
  readonly size: bigint;
  readonly root: Buffer;
  readonly prev_size: bigint;
  readonly prev_root: Buffer;
  readonly next_offset: bigint;
}

interface StoredTile {
  readonly hashes: Buffer;
  readonly root: Buffer;
}

/** The tree over the entries: every full tile and its root, every checkpoint, and that each continues the one before it. */
export class TreeCheck implements LogCheck {
  readonly #frontier: Frontier;
  readonly #checkpoints: Rows<CheckpointRow>;
  #begun = false;
  #previous: CheckpointRow | undefined;
  #tiles = 0n;
  #lastOffset = -1n;
  /** The last checkpoint had another root: why was said. */
  #rootsDiffer = false;
  /** Entries below it hash to what an intact tile holds. */
  #tiledTo = 0n;

  constructor(
    private readonly snapshot: Snapshot,
    private readonly log: Log,
    private readonly hasher: Hasher,
    private readonly found: LogFindings,
  ) {
    this.#frontier = new Frontier(hasher);
    this.#checkpoints = new Rows(
      snapshot,
      log,
      'size',
      'select size, root, prev_size, prev_root, next_offset from keelson.checkpoint',
    );
  }

  async take({ first, entries }: Group): Promise<void> {
    await this.#begin();
    const leaves = await this.#compareTile(
      first,
      entries.map(({ bytes }) => hashLeaf(this.hasher, bytes)),
    );
    for (const [i, leaf] of leaves.entries()) {
      const offset = entries[i]!.entry?.offset;
      const index = first + BigInt(i);
      if (offset !== undefined && offset < (this.#previous?.next_offset ?? 0n)) {
        const reason = `checkpoint ${this.#previous?.size} says that offset ${offset} was taken before entry ${index}`;
        this.found.add('checkpoint', index, reason);
      }
      if (offset !== undefined && offset > this.#lastOffset) this.#lastOffset = offset;
      this.#frontier.appendHashes(leaf);
      for (const tile of this.#frontier.takeTiles()) await this.#checkTile(tile);
      await this.#checkCheckpoint();
    }
  }

  async finish(): Promise<void> {
    await this.#begin();
    const rest = await this.#checkpoints.peek();
    if (rest) {
      const { size } = this.#frontier;
      this.found.add('checkpoint', size, `checkpoint ${rest.size} counts more entries than there are`);
    }
    const { rows } = await this.snapshot.query<{ count: bigint }>(
      'select count(*) as count from keelson.tile where log = $1',
      [this.log.id],
    );
    const surplus = rows[0]!.count - this.#tiles;
    if (surplus > 0n) this.found.add('tile', this.#frontier.size, `${surplus} tiles are not of this log`);
  }

  /** The leaf hashes to go on with: those of the entries or, where few entries differ from a whole tile, the tile's. */
  async #compareTile(first: bigint, leaves: Uint8Array[]): Promise<Uint8Array[]> {
    if (leaves.length < TILE_WIDTH) return leaves;
    const name = `tile 0/${first / BigInt(TILE_WIDTH)}`;
    const stored = await this.#readTile(0, first / BigInt(TILE_WIDTH));
    if (!stored) {
      this.found.add('tile', first, `${name} is missing`);
      return leaves;
    }
    const differing = leaves.flatMap((leaf, i) => (Buffer.compare(leaf, tileHash(stored.hashes, i)) === 0 ? [] : [i]));
    if (Buffer.compare(tileRoot(this.hasher, stored.hashes), stored.root) !== 0) {
      this.found.add('tile', first, `${name} does not hash to its root`);
      return leaves;
    }
    // Nobody changes most entries of a tile and leaves the tile; another tile in its place looks like that.
    if (differing.length > TILE_WIDTH / 2) return leaves;
    this.#tiledTo = first + BigInt(TILE_WIDTH);
    for (const i of differing) {
      const index = first + BigInt(i);
      this.found.add('entry', index, `entry ${index} is not the one that was hashed into ${name}`);
    }
    // The tile is whole: what follows is judged by what was signed, not by what was changed.
    return leaves.map((_, i) => tileHash(stored.hashes, i));
  }

  async #checkTile(tile: FullTile): Promise<void> {
    this.#tiles++;
    const stored = await this.#readTile(tile.level, tile.index);
    const first = (tile.index * BigInt(TILE_WIDTH)) << BigInt(8 * tile.level);
    const name = `tile ${tile.level}/${tile.index}`;
    if (!stored) {
      if (tile.level > 0) this.found.add('tile', first, `${name} is missing`);
    } else if (Buffer.compare(stored.hashes, tile.hashes) !== 0) {
      const at = stored.hashes.findIndex((byte, i) => byte !== tile.hashes[i]);
      const place = Math.floor(at / HASH_BYTES);
      this.found.add('tile', first, `${name} has another hash at place ${place} than what it stands for`);
    } else if (Buffer.compare(stored.root, tile.root) !== 0) {
      this.found.add('tile', first, `${name} has another root`);
    }
  }

  /** The checkpoint of nothing, from which the chain hangs. */
  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    const first = await this.#checkpoints.peek();
    if (first?.size === 0n) this.#previous = await this.#checkpoints.next();
    if (first?.size !== 0n || Buffer.compare(first.root, this.#frontier.root()) !== 0)
      this.found.add('checkpoint', 0n, 'the log does not begin with the checkpoint of nothing');
  }

  /** Where a checkpoint of this very size exists: its root, its offset, and that it continues the one before it. */
  async #checkCheckpoint(): Promise<void> {
    const checkpoint = await this.#checkpoints.peek();
    if (!checkpoint || checkpoint.size > this.#frontier.size) return;
    await this.#checkpoints.next();
    const { size, root, prev_size, prev_root, next_offset } = checkpoint;
    const previous = this.#previous;
    if (previous && (prev_size !== previous.size || Buffer.compare(prev_root, previous.root) !== 0))
      this.found.add('checkpoint', size, `checkpoint ${size} does not continue ${previous.size}`);
    if (next_offset <= this.#lastOffset) {
      const reason = `checkpoint ${size} ends before offset ${next_offset}, its entries with ${this.#lastOffset}`;
      this.found.add('checkpoint', size, reason);
    }
    const same = Buffer.compare(root, this.#frontier.root()) === 0;
    // Once an entry is another one, so is every later root: the first says where.
    if (!same && !this.#rootsDiffer) {
      const from = prev_size > this.#tiledTo ? prev_size : this.#tiledTo;
      const reason = `entries ${from} to ${size - 1n}, with those before, do not hash to the root of checkpoint ${size}`;
      this.found.add('checkpoint', from, reason);
    }
    this.#rootsDiffer = !same;
    this.#previous = checkpoint;
  }

  async #readTile(level: number, index: bigint): Promise<StoredTile | undefined> {
    const { rows } = await this.snapshot.query<StoredTile & Record<string, unknown>>(
      'select hashes, root from keelson.tile where log = $1 and level = $2 and number = $3',
      [this.log.id, level, index],
    );
    return rows[0];
  }
}
