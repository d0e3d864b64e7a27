import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { HASH_BYTES, hashLeaf } from '../core/merkle.js';
import type { TileReader } from '../core/subtree.js';
import { formatTilePath, TILE_WIDTH, type TileId } from '../core/tile.js';
import type { Log } from './log.js';
import { entriesOf, readPages, type Queryable } from './page-reader.js';

/**
 * A log's tiles out of the database: full ones as stored, partial ones made of at most 255 entries (level 0) or of the
 * stored roots of the level below. Any tile of any committed size can be had, so nothing here leans on the sequencer.
 */
export class StoredTiles implements TileReader {
  constructor(
    private readonly db: Queryable,
    private readonly hasher: Hasher,
    private readonly log: Log,
  ) {}

  /** @throws KeelsonError `out_of_range` for a tile that is not there. */
  async readTiles(tiles: readonly TileId[]): Promise<Uint8Array[]> {
    const full = await this.#readFull(tiles.filter((tile) => tile.width === TILE_WIDTH));
    const bytes: Uint8Array[] = [];
    for (const tile of tiles) {
      const stored = full.get(`${tile.level}/${tile.index}`);
      if (stored) bytes.push(stored);
      else if (tile.width === TILE_WIDTH) throw missing(this.log, tile);
      else bytes.push(tile.level === 0 ? await this.#hashEntries(tile) : await this.#joinRoots(tile));
    }
    return bytes;
  }

  async #readFull(tiles: readonly TileId[]): Promise<Map<string, Uint8Array>> {
    if (tiles.length === 0) return new Map();
    const { rows } = await this.db.query<{ level: number; number: bigint; hashes: Buffer }>({
      name: 'ledger-tiles',
      text: `select t.level, t.number, t.hashes from unnest($2::smallint[], $3::bigint[]) as wanted(level, number)
             join keelson.tile t on t.log = $1 and t.level = wanted.level and t.number = wanted.number`,
      values: [this.log.id, tiles.map(({ level }) => level), tiles.map(({ index }) => index)],
    });
    return new Map(rows.map((row) => [`${row.level}/${row.number}`, row.hashes]));
  }

  async #hashEntries(tile: TileId): Promise<Uint8Array> {
    const from = tile.index * BigInt(TILE_WIDTH);
    const to = from + BigInt(tile.width);
    const pages = await readPages(this.db, this.log.id, from, to);
    if (pages.length === 0) throw missing(this.log, tile);
    const entries = entriesOf(this.log.path, pages, from, to);
    return join(entries.map((entry) => hashLeaf(this.hasher, entry)));
  }

  async #joinRoots(tile: TileId): Promise<Uint8Array> {
    const from = tile.index * BigInt(TILE_WIDTH);
    const { rows } = await this.db.query<{ root: Buffer }>({
      name: 'ledger-tile-roots',
      text: `select root from keelson.tile where log = $1 and level = $2 and number >= $3 and number < $4 order by number`,
      values: [this.log.id, tile.level - 1, from, from + BigInt(tile.width)],
    });
    if (rows.length !== tile.width) throw missing(this.log, tile);
    return join(rows.map(({ root }) => root));
  }
}

/** Tiles that were read once, for several proofs of one tree. */
export class KeptTiles implements TileReader {
  readonly #kept = new Map<string, Uint8Array>();

  constructor(private readonly from: TileReader) {}

  async readTiles(tiles: readonly TileId[]): Promise<Uint8Array[]> {
    const missing = tiles.filter((tile) => !this.#kept.has(formatTilePath(tile)));
    const read = missing.length === 0 ? [] : await this.from.readTiles(missing);
    missing.forEach((tile, i) => this.#kept.set(formatTilePath(tile), read[i]!));
    return tiles.map((tile) => this.#kept.get(formatTilePath(tile))!);
  }
}

function join(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  hashes.forEach((hash, i) => bytes.set(hash, i * HASH_BYTES));
  return bytes;
}

const missing = (log: Log, tile: TileId): KeelsonError =>
  new KeelsonError('out_of_range', `${log.path} has no tile ${tile.level}/${tile.index}, ${tile.width} wide`, {
    log: log.path,
  });
