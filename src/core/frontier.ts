/**
 * The right edge of a growing tree: takes leaves, gives the root at any moment and each tile when it becomes full.
 * Every node is hashed exactly once, straight into the place from where its parent is hashed: each slot is a preset
 * 65-byte `01 ‖ left ‖ right`, so nothing is copied or allocated per node. Memory: about 25 kB per tile level.
 *
 * Nothing here is durable. After a crash or a failed commit it is made anew by `Frontier.restore` from what was stored.
 */
import type { Hasher } from './hasher.js';
import { emptyRoot, HASH_BYTES, hashLeafInPlace } from './merkle.js';
import { TILE_BYTES, TILE_HEIGHT, TILE_WIDTH } from './tile.js';

const SLOT_BYTES = 1 + 2 * HASH_BYTES;
const SPINE = TILE_HEIGHT - 1;

/** A tile that has just become full: its 8,192 bytes, and its root, which is its hash one level up. */
export interface FullTile {
  readonly level: number;
  readonly index: bigint;
  readonly hashes: Uint8Array;
  readonly root: Uint8Array;
}

export class Frontier {
  readonly #hasher: Hasher;
  readonly #open: OpenTile[] = [];
  #size = 0;
  #full: FullTile[] = [];

  /** The tree without leaves. */
  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  /**
   * The tree of `size` leaves (below 2^53) from the partial tiles it ends in: `partials[level]` holds that level's
   * size / 256^level mod 256 hashes; levels at the end may be left out where that is none. `partialTiles` names them.
   * A wrong length is a broken invariant; wrong hashes show as another root, which the caller compares.
   */
  static restore(hasher: Hasher, size: bigint, partials: readonly Uint8Array[]): Frontier {
    if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error(`no tree of ${size} leaves`);
    const frontier = new Frontier(hasher);
    for (let level = 0, count = Number(size); count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
      const hashes = partials[level] ?? new Uint8Array(0);
      if (hashes.length !== (count % TILE_WIDTH) * HASH_BYTES) {
        throw new Error(`level ${level} of a tree of ${size} leaves does not end in ${hashes.length} bytes`);
      }
      const tile = frontier.#tile(level);
      tile.index = Math.floor(count / TILE_WIDTH);
      for (let at = 0; at < hashes.length; at += HASH_BYTES) {
        tile.pairs.set(hashes.subarray(at, at + HASH_BYTES), placeOf(tile.width));
        frontier.#settle(level);
      }
    }
    frontier.#size = Number(size);
    return frontier;
  }

  /** How many leaves. */
  get size(): bigint {
    return BigInt(this.#size);
  }

  /** Appends the entry at `buffer[start, end)`; at least one byte stands before it, borrowed while hashing. */
  appendEntry(buffer: Uint8Array, start: number, end: number): void {
    const tile = this.#tile(0);
    hashLeafInPlace(this.#hasher, buffer, start, end, tile.pairs, placeOf(tile.width));
    this.#settle(0);
    this.#size++;
  }

  /** Appends leaf hashes, 32 bytes each, one after the other. */
  appendHashes(hashes: Uint8Array): void {
    if (hashes.length % HASH_BYTES !== 0) throw new Error(`${hashes.length} bytes are not hashes`);
    const tile = this.#tile(0);
    for (let at = 0; at < hashes.length; at += HASH_BYTES) {
      tile.pairs.set(hashes.subarray(at, at + HASH_BYTES), placeOf(tile.width));
      this.#settle(0);
      this.#size++;
    }
  }

  /** The root now, in fresh memory. Costs a hash per one-bit of the size. */
  root(): Uint8Array {
    if (this.#size === 0) return emptyRoot(this.#hasher);
    const slot = new Uint8Array(SLOT_BYTES);
    slot[0] = 1;
    let found = false;
    for (const tile of this.#open) {
      for (let height = 0; height < TILE_HEIGHT; height++) {
        if ((tile.width & (1 << height)) === 0) continue;
        const left = tile.pending(height);
        if (found) {
          slot.set(left, 1);
          this.#hasher.sha256(slot, slot, 1 + HASH_BYTES);
        } else {
          slot.set(left, 1 + HASH_BYTES);
          found = true;
        }
      }
    }
    return slot.slice(1 + HASH_BYTES);
  }

  /** The tiles that became full since the last call, in the order they did: a level's tile before its parent. */
  takeTiles(): FullTile[] {
    const tiles = this.#full;
    this.#full = [];
    return tiles;
  }

  /** The bytes of the partial tile that `level` ends in; empty where it ends in a full one. */
  partialTile(level: number): Uint8Array {
    return this.#open[level]?.copyHashes() ?? new Uint8Array(0);
  }

  #tile(level: number): OpenTile {
    return (this.#open[level] ??= new OpenTile());
  }

  /** A hash has been written behind the last one of `level`: hashes every node that this completes. */
  #settle(level: number): void {
    const tile = this.#tile(level);
    let at = tile.width++;
    if ((at & 1) === 0) return;
    let node = tile.pairViews[at >> 1]!;
    for (let height = 0; height < SPINE; height++) {
      at >>= 1;
      this.#hasher.sha256(node, tile.spine, height * SLOT_BYTES + 1 + (at & 1) * HASH_BYTES);
      if ((at & 1) === 0) return;
      node = tile.spineViews[height]!;
    }
    const parent = this.#tile(level + 1);
    const place = placeOf(parent.width);
    this.#hasher.sha256(node, parent.pairs, place);
    const root = parent.pairs.slice(place, place + HASH_BYTES);
    this.#full.push({ level, index: BigInt(tile.index), hashes: tile.copyHashes(), root });
    tile.index++;
    tile.width = 0;
    this.#settle(level + 1);
  }
}

/** The tile a level is filling. `pairs` are the slots of its hashes two by two, `spine` one slot for each height within it. */
class OpenTile {
  readonly pairs = presetSlots(TILE_WIDTH / 2);
  readonly spine = presetSlots(SPINE);
  readonly pairViews = viewsOf(this.pairs);
  readonly spineViews = viewsOf(this.spine);
  width = 0;
  /** Full tiles of this level before it. */
  index = 0;

  /** The left node at `height` that waits for its right one; `width` has that bit. */
  pending(height: number): Uint8Array {
    const slots = height === 0 ? this.pairs : this.spine;
    const at = height === 0 ? placeOf(this.width - 1) : (height - 1) * SLOT_BYTES + 1;
    return slots.subarray(at, at + HASH_BYTES);
  }

  copyHashes(): Uint8Array {
    const hashes = new Uint8Array(TILE_BYTES);
    const pairs = (this.width + 1) >> 1;
    for (let i = 0; i < pairs; i++) {
      hashes.set(this.pairs.subarray(i * SLOT_BYTES + 1, (i + 1) * SLOT_BYTES), i * 2 * HASH_BYTES);
    }
    return this.width === TILE_WIDTH ? hashes : hashes.slice(0, this.width * HASH_BYTES);
  }
}

/** Where in `pairs` the hash at `position` of a tile stands. */
const placeOf = (position: number): number => (position >> 1) * SLOT_BYTES + 1 + (position & 1) * HASH_BYTES;

function presetSlots(count: number): Uint8Array {
  const slots = new Uint8Array(count * SLOT_BYTES);
  for (let i = 0; i < count; i++) slots[i * SLOT_BYTES] = 1;
  return slots;
}

const viewsOf = (slots: Uint8Array): Uint8Array[] =>
  Array.from({ length: slots.length / SLOT_BYTES }, (_, i) => slots.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
