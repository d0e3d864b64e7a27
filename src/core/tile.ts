/**
 * Tiles (C2SP tlog-tiles): a tree cut into pieces 256 hashes wide. Tile (L, N) holds at i the root of the 256^L leaves
 * from (N·256 + i)·256^L on. A full tile never changes; a partial one is a prefix of the full one's bytes.
 */
import { parseDecimal } from './bytes.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import { HASH_BYTES, hashPerfect } from './merkle.js';

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;
/** Bytes of a full tile. */
export const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
/** Tree levels that one tile level spans. */
export const TILE_HEIGHT = 8;

const MAX_TILE_LEVEL = 63;

/** A tile of hashes: `level` 0–63, `index` from 0, `width` 1–256 (256: full). */
export interface TileId {
  readonly level: number;
  readonly index: bigint;
  readonly width: number;
}

/** A bundle of entries: those from `index`·256 on, `width` of them, 1–256. */
export interface BundleId {
  readonly index: bigint;
  readonly width: number;
}

/** `tile/0/x001/x234/067`, and `.p/<width>` where the tile is partial. */
export const formatTilePath = (tile: TileId): string => `tile/${tile.level}/${formatPosition(tile)}`;

/** `tile/entries/x001/x234/067`, and `.p/<width>` where the bundle is partial. */
export const formatBundlePath = (bundle: BundleId): string => `tile/entries/${formatPosition(bundle)}`;

/** @throws KeelsonError `malformed_tile` for anything that `formatTilePath` doesn't write. */
export function parseTilePath(path: string): TileId {
  const match = /^tile\/(0|[1-9][0-9]?)\/(.+)$/.exec(path);
  const level = Number(match?.[1] ?? Number.NaN);
  if (match === null || level > MAX_TILE_LEVEL) throw malformedPath(path);
  return { level, ...parsePosition(match[2]!, path) };
}

/** @throws KeelsonError `malformed_tile` for anything that `formatBundlePath` doesn't write. */
export function parseBundlePath(path: string): BundleId {
  if (!path.startsWith('tile/entries/')) throw malformedPath(path);
  return parsePosition(path.slice('tile/entries/'.length), path);
}

/** The partial tiles that a tree of `size` leaves ends in, from level 0 up; levels that end in a full tile have none. */
export function partialTiles(size: bigint): TileId[] {
  const tiles: TileId[] = [];
  for (let level = 0, count = size; count > 0n; level++, count >>= 8n) {
    const width = Number(count & 255n);
    if (width > 0) tiles.push({ level, index: count >> 8n, width });
  }
  return tiles;
}

/**
 * The tile that holds position `at` of tile level `level`, as wide as it is in a tree of `size` leaves.
 * @throws KeelsonError `out_of_range` where that tree has no such hash.
 */
export function tileAt(level: number, at: bigint, size: bigint): TileId {
  const count = size >> BigInt(level * TILE_HEIGHT);
  if (at < 0n || at >= count)
    throw new KeelsonError('out_of_range', `level ${level} has no hash ${at} at size ${size}`);
  const index = at / 256n;
  const rest = count - index * 256n;
  return { level, index, width: rest < 256n ? Number(rest) : TILE_WIDTH };
}

/** The bundle that holds entry `index` of a log of `size` entries. @throws KeelsonError `out_of_range`. */
export function bundleAt(index: bigint, size: bigint): BundleId {
  const tile = tileAt(0, index, size);
  return { index: tile.index, width: tile.width };
}

/** The hash at `place` (0–255) of a tile's bytes: a view. */
export function tileHash(tile: Uint8Array, place: number): Uint8Array {
  if ((place + 1) * HASH_BYTES > tile.length) throw new Error(`the tile has no hash ${place}`);
  return tile.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
}

/** The root of a full tile: the hash that stands for it one level up. */
export function tileRoot(hasher: Hasher, tile: Uint8Array): Uint8Array {
  if (tile.length !== TILE_BYTES) throw new Error(`only a full tile has a root, not one of ${tile.length} bytes`);
  return hashPerfect(hasher, tile, 0, TILE_WIDTH);
}

function formatPosition({ index, width }: BundleId): string {
  const digits = index.toString();
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g)!;
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

function parsePosition(text: string, path: string): BundleId {
  const match = /^((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(text);
  if (match === null) throw malformedPath(path);
  const index = parseDecimal(match[1]!.replace(/[x/]/g, '').replace(/^0+(?=.)/, ''));
  const width = match[2] === undefined ? TILE_WIDTH : Number(match[2]);
  if (index === undefined || (match[2] !== undefined && width >= TILE_WIDTH)) throw malformedPath(path);
  if (formatPosition({ index, width }) !== text) throw malformedPath(path);
  return { index, width };
}

const malformedPath = (path: string): KeelsonError => new KeelsonError('malformed_tile', `not a tile path: ${path}`);
