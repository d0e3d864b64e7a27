import type { Hasher } from '../../src/core/hasher.js';
import { Frontier } from '../../src/core/frontier.js';
import { emptyRoot, hashNode } from '../../src/core/merkle.js';
import type { TileReader } from '../../src/core/subtree.js';
import { formatTilePath, partialTiles, TILE_BYTES, type TileId } from '../../src/core/tile.js';

/** MTH of RFC 9162 §2.1.1, word for word: the oracle that everything else is held to. */
export function referenceRoot(hasher: Hasher, leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot(hasher);
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return hashNode(hasher, referenceRoot(hasher, leaves.slice(0, split)), referenceRoot(hasher, leaves.slice(split)));
}

/** A log's tiles in memory, as a ledger would store them: full ones kept, partial ones made for the size asked for. */
export class TileStore implements TileReader {
  readonly frontier: Frontier;
  readonly full = new Map<string, Uint8Array>();
  /** The paths of every tile that was read. */
  readonly read: string[] = [];

  constructor(hasher: Hasher) {
    this.frontier = new Frontier(hasher);
  }

  append(leaf: Uint8Array): void {
    this.frontier.appendHashes(leaf);
    for (const { level, index, hashes } of this.frontier.takeTiles()) this.full.set(`${level}/${index}`, hashes);
  }

  /** Every tile of the tree as it stands, full and partial, by path. */
  files(): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const tile of partialTiles(this.frontier.size)) {
      files.set(formatTilePath(tile), this.frontier.partialTile(tile.level));
    }
    for (const [key, hashes] of this.full) {
      const [level, index] = key.split('/');
      files.set(formatTilePath({ level: Number(level), index: BigInt(index!), width: 256 }), hashes);
    }
    return files;
  }

  async readTiles(tiles: readonly TileId[]): Promise<Uint8Array[]> {
    return tiles.map((tile) => {
      this.read.push(formatTilePath(tile));
      const bytes = this.full.get(`${tile.level}/${tile.index}`) ?? this.frontier.partialTile(tile.level);
      if (bytes.length < tile.width * 32 || bytes.length > TILE_BYTES) throw new Error(`no ${formatTilePath(tile)}`);
      return bytes.slice(0, tile.width * 32);
    });
  }
}
