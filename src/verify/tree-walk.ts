/**
 * Walks a log's tiles from the signed root down to the leaves, so that each tile is checked against a hash that is already
 * known to be right and what is wrong is blamed on exactly the tile it is in. In memory: a tile for each level, and the few
 * bundles that are read ahead.
 */
import { equalBytes } from '../core/bytes.js';
import { Frontier } from '../core/frontier.js';
import type { Hasher } from '../core/hasher.js';
import { HASH_BYTES } from '../core/merkle.js';
import type { TreeHead } from '../core/proof.js';
import {
  formatTilePath,
  partialTiles,
  TILE_BYTES,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileHash,
  tileRoot,
  type BundleId,
  type TileId,
} from '../core/tile.js';
import { hashBundle, type BundleRead } from './entry-check.js';
import type { Findings } from './finding.js';
import type { LogFiles } from './log-files.js';

/** Tiles with their bundles that are on their way while one is being checked. */
const READ_AHEAD = 4;

/** A bundle and the leaf hashes that the signed tree has for its entries. */
export interface Leaves {
  readonly bundle: BundleId;
  readonly read: BundleRead | undefined;
  readonly hashes: Uint8Array;
}

export interface WalkOptions {
  /** Sizes whose roots are wanted, see `rootAt`; none beyond the tree's. */
  readonly oldSizes?: readonly bigint[];
  /** Leaves out what lies wholly before this size, but the very first bundle. */
  readonly skipBefore?: bigint;
}

export class TreeWalk {
  readonly #hasher: Hasher;
  readonly #files: LogFiles;
  readonly #head: TreeHead;
  readonly #findings: Findings;
  readonly #oldSizes: readonly bigint[];
  readonly #skipBefore: bigint;
  /** By old size and level: the tiles that the old tree ended in. */
  readonly #oldPartials: ReadonlyMap<bigint, Uint8Array[]>;
  /** False once a tile had to be taken as it was, for want of a right one. */
  #certain = true;

  constructor(hasher: Hasher, files: LogFiles, head: TreeHead, findings: Findings, options: WalkOptions = {}) {
    this.#hasher = hasher;
    this.#files = files;
    this.#head = head;
    this.#findings = findings;
    this.#oldSizes = options.oldSizes ?? [];
    this.#skipBefore = options.skipBefore ?? 0n;
    this.#oldPartials = new Map(this.#oldSizes.map((size) => [size, []]));
  }

  /** The bundles of the log in order. What is wrong with tiles is added to the findings on the way. */
  async *leaves(): AsyncGenerator<Leaves> {
    const tiles = partialTiles(this.#head.size);
    const edge = await this.#readEdge(tiles);
    for (const [i, tile] of [...tiles.entries()].reverse()) {
      const hashes = edge[i];
      if (hashes === undefined) continue;
      this.#keepOldPartials(tile, hashes);
      if (tile.level > 0) yield* this.#descend(tile, hashes);
      else yield { bundle: tile, read: await this.#files.readBundle(tile), hashes };
    }
  }

  /** After the walk: the root of the first `size` leaves, one of `oldSizes`; undefined where tiles it needs were not right. */
  rootAt(size: bigint): Uint8Array | undefined {
    if (!this.#certain) return undefined;
    return Frontier.restore(this.#hasher, size, this.#oldPartials.get(size) ?? []).root();
  }

  async *#descend(parent: TileId, hashes: Uint8Array): AsyncGenerator<Leaves> {
    const level = parent.level - 1;
    const children: { tile: TileId; expected: Uint8Array }[] = [];
    for (let place = 0; place < parent.width; place++) {
      const tile = { level, index: parent.index * 256n + BigInt(place), width: TILE_WIDTH };
      if (!this.#isSkipped(tile)) children.push({ tile, expected: tileHash(hashes, place) });
    }
    const read = async ({ tile }: { tile: TileId }): Promise<[Uint8Array | undefined, BundleRead | undefined]> =>
      Promise.all([this.#files.readTile(tile), level === 0 ? this.#files.readBundle(tile) : undefined]);
    for await (const [{ tile, expected }, [bytes, bundle]] of readAhead(children, read)) {
      // Whoever signs a size and makes up tiles as they are asked for could keep a verifier busy for ever.
      if (this.#findings.areEnough) return void (this.#certain = false);
      const own = await this.#settleTile(tile, expected, bytes, bundle);
      if (own === undefined) continue;
      this.#keepOldPartials(tile, own);
      if (level > 0) yield* this.#descend(tile, own);
      else yield { bundle: tile, read: bundle, hashes: own };
    }
  }

  /**
   * The hashes of a full tile whose root must be `expected`: those stored, or, where these are not right, those made out of
   * what lies below. Where neither is right, what there is, so that the search goes on; undefined where nothing is.
   */
  async #settleTile(
    tile: TileId,
    expected: Uint8Array,
    stored: Uint8Array | undefined,
    bundle: BundleRead | undefined,
  ): Promise<Uint8Array | undefined> {
    const fits = (hashes: Uint8Array | undefined): boolean =>
      hashes?.length === TILE_BYTES && equalBytes(tileRoot(this.#hasher, hashes), expected);
    if (fits(stored)) return stored;
    const rebuilt = await this.#rebuildTile(tile, bundle);
    const isOnlyTile = fits(rebuilt);
    this.#reportTile(tile, stored, isOnlyTile ? rebuilt : undefined);
    if (!isOnlyTile) this.#certain = false;
    return isOnlyTile ? rebuilt : (stored ?? rebuilt);
  }

  /** The partial tiles that together give the signed root, as far as they can be had; in the order of `tiles`. */
  async #readEdge(tiles: readonly TileId[]): Promise<(Uint8Array | undefined)[]> {
    const stored = await Promise.all(tiles.map((tile) => this.#files.readTile(tile)));
    if (this.#isEdge(tiles, stored)) return stored;
    const rebuilt: (Uint8Array | undefined)[] = [];
    for (const tile of tiles) {
      rebuilt.push(await this.#rebuildTile(tile, tile.level === 0 ? await this.#files.readBundle(tile) : undefined));
    }
    for (let choice = 1; choice < 1 << tiles.length; choice++) {
      const chosen = tiles.map((_, i) => (choice & (1 << i) ? rebuilt[i] : stored[i]));
      if (!this.#isEdge(tiles, chosen)) continue;
      tiles.forEach((tile, i) => {
        if (chosen[i] !== stored[i]) this.#reportTile(tile, stored[i], chosen[i]);
      });
      return chosen;
    }
    this.#certain = false;
    tiles.forEach((tile, i) => {
      if (stored[i] === undefined) this.#reportTile(tile, undefined, undefined);
    });
    const message = 'neither the tiles at the right edge nor what lies below them lead to the signed root';
    this.#findings.add('root_changed', message);
    return tiles.map((_, i) => stored[i] ?? rebuilt[i]);
  }

  #isEdge(tiles: readonly TileId[], hashes: readonly (Uint8Array | undefined)[]): boolean {
    const partials: Uint8Array[] = [];
    for (const [i, tile] of tiles.entries()) {
      const bytes = hashes[i];
      if (bytes?.length !== tile.width * HASH_BYTES) return false;
      partials[tile.level] = bytes;
    }
    return equalBytes(Frontier.restore(this.#hasher, this.#head.size, partials).root(), this.#head.root);
  }

  /** A tile's hashes out of what lies below it: its entries, or the tiles one level down. */
  async #rebuildTile(tile: TileId, bundle: BundleRead | undefined): Promise<Uint8Array | undefined> {
    if (tile.level === 0) {
      const hashes = bundle && hashBundle(this.#hasher, bundle.bytes, tile.width);
      return hashes?.length === tile.width * HASH_BYTES ? hashes : undefined;
    }
    const hashes = new Uint8Array(tile.width * HASH_BYTES);
    for (let place = 0; place < tile.width; place++) {
      const child = { level: tile.level - 1, index: tile.index * 256n + BigInt(place), width: TILE_WIDTH };
      const bytes = await this.#files.readTile(child);
      if (bytes === undefined) return undefined;
      hashes.set(tileRoot(this.#hasher, bytes), place * HASH_BYTES);
    }
    return hashes;
  }

  #reportTile(tile: TileId, stored: Uint8Array | undefined, right: Uint8Array | undefined): void {
    const path = formatTilePath(tile);
    let place = 0;
    if (stored && right) while (equalBytes(tileHash(stored, place), tileHash(right, place))) place++;
    const index = (tile.index * 256n + BigInt(place)) << BigInt(tile.level * TILE_HEIGHT);
    const below = right ? 'what lies below it is right' : 'nor does what lies below it';
    if (stored === undefined) {
      this.#findings.add('tile_missing', `${path} is not there, or not whole`, { index, tile: path });
    } else {
      const message = `${path} does not give the hash that the signed root needs; ${below}`;
      this.#findings.add('tile_changed', message, { index, tile: path });
    }
  }

  /** `tile` is right: keeps what of it is at the right edge of an old tree. */
  #keepOldPartials(tile: TileId, hashes: Uint8Array): void {
    for (const [size, partials] of this.#oldPartials) {
      const count = size >> BigInt(tile.level * TILE_HEIGHT);
      const width = Number(count & 255n);
      if (width > 0 && count >> 8n === tile.index) partials[tile.level] = hashes.slice(0, width * HASH_BYTES);
    }
  }

  #isSkipped(tile: TileId): boolean {
    const leaves = BigInt((tile.level + 1) * TILE_HEIGHT);
    const [start, end] = [tile.index << leaves, (tile.index + 1n) << leaves];
    const holdsAnEdge = this.#oldSizes.some((size) => start < size && size < end);
    return start > 0n && end <= this.#skipBefore && !holdsAnEdge;
  }
}

/** Each item with what was read for it, in order; the next few are being read meanwhile. */
async function* readAhead<T, R>(items: readonly T[], read: (item: T) => Promise<R>): AsyncGenerator<[T, R]> {
  const pending: Promise<R>[] = [];
  for (let next = 0, at = 0; at < items.length; at++) {
    while (next < items.length && next < at + READ_AHEAD) {
      const reading = read(items[next++]!);
      reading.catch(() => undefined); // it is awaited below, unless the walk ends before
      pending.push(reading);
    }
    yield [items[at]!, await pending.shift()!];
  }
}
