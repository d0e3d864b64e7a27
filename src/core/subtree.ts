/**
 * From tree to tiles: which stored hashes the hash of a range of leaves is made of. Proofs are planned here without
 * reading anything, then the tiles fetched in one call, then the hashes assembled.
 */
import type { Hasher } from './hasher.js';
import { emptyRoot, hashNode, hashPerfect } from './merkle.js';
import { TILE_HEIGHT, tileAt, type TileId } from './tile.js';

/** Leaves `[start, end)`, one subtree of an RFC 9162 tree: a perfect one, or one at its right edge. */
export interface LeafRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** The root of the perfect subtree over the leaves from `index`·2^level on, 2^level of them. */
export interface NodeId {
  readonly level: number;
  readonly index: bigint;
}

/** Where tiles come from: a table, a folder, a server. */
export interface TileReader {
  /**
   * The bytes of each of `tiles`, in their order: width · 32, no more and no fewer.
   * Rejects where one can't be had; never hands over other bytes in its place.
   */
  readTiles(tiles: readonly TileId[]): Promise<readonly Uint8Array[]>;
}

/** The perfect subtrees that a range consists of, from left to right and falling in size. */
export function nodesOf(range: LeafRange): NodeId[] {
  const nodes: NodeId[] = [];
  let at = range.start;
  while (at < range.end) {
    const level = (range.end - at).toString(2).length - 1;
    const index = at >> BigInt(level);
    if (index << BigInt(level) !== at) throw new Error(`leaves ${range.start} to ${range.end} are no subtree`);
    nodes.push({ level, index });
    at += 1n << BigInt(level);
  }
  return nodes;
}

/** The tile of a tree of `size` leaves out of which `node` can be hashed. */
export function tileOfNode(node: NodeId, size: bigint): TileId {
  const height = node.level % TILE_HEIGHT;
  return tileAt((node.level - height) / TILE_HEIGHT, node.index << BigInt(height), size);
}

/** Hashes `node` out of the bytes of its tile (see `tileOfNode`). */
export function hashTileNode(hasher: Hasher, tile: Uint8Array, node: NodeId): Uint8Array {
  const height = node.level % TILE_HEIGHT;
  const first = Number((node.index << BigInt(height)) % 256n);
  return hashPerfect(hasher, tile, first, 1 << height);
}

/** The tiles that `hashRanges` needs, each once. */
export function tilesOfRanges(ranges: readonly LeafRange[], size: bigint): TileId[] {
  const tiles = new Map<string, TileId>();
  for (const node of ranges.flatMap(nodesOf)) {
    const tile = tileOfNode(node, size);
    tiles.set(keyOf(tile), tile);
  }
  return [...tiles.values()];
}

/** The hash of each range of leaves in a tree of `size`, with one read. An empty range hashes to the empty tree's root. */
export async function hashRanges(
  hasher: Hasher,
  ranges: readonly LeafRange[],
  size: bigint,
  reader: TileReader,
): Promise<Uint8Array[]> {
  const wanted = tilesOfRanges(ranges, size);
  const read = wanted.length === 0 ? [] : await reader.readTiles(wanted);
  const tiles = new Map<string, Uint8Array>();
  wanted.forEach((tile, i) => {
    const bytes = read[i];
    if (bytes?.length !== tile.width * 32)
      throw new Error(`a tile reader gave ${bytes?.length} bytes for ${keyOf(tile)}`);
    tiles.set(keyOf(tile), bytes);
  });
  return ranges.map((range) => {
    const hashes = nodesOf(range).map((node) => hashTileNode(hasher, tiles.get(keyOf(tileOfNode(node, size)))!, node));
    return hashes.length === 0 ? emptyRoot(hasher) : hashes.reduceRight((right, left) => hashNode(hasher, left, right));
  });
}

const keyOf = (tile: TileId): string => `${tile.level}/${tile.index}`;
