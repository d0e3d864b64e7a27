/** The files of one log at a source: its checkpoint, tiles and entry bundles, of any size that the log ever had. */
import { decodeUtf8 } from '../core/bytes.js';
import { MAX_ENTRY_BYTES } from '../core/bundle.js';
import { KeelsonError } from '../core/error.js';
import { HASH_BYTES } from '../core/merkle.js';
import { formatBundlePath, formatTilePath, TILE_BYTES, TILE_WIDTH, type BundleId, type TileId } from '../core/tile.js';
import type { TileSource } from './source.js';

const MAX_NOTE_BYTES = 1_000_000;

export class LogFiles {
  readonly #source: TileSource;
  readonly #log: string;

  constructor(source: TileSource, log: string) {
    this.#source = source;
    this.#log = log;
  }

  /** The signed note; undefined where there is none. @throws KeelsonError `malformed_note`: no UTF-8, or far too long. */
  async readCheckpoint(): Promise<string | undefined> {
    const bytes = await this.#read('checkpoint', MAX_NOTE_BYTES);
    if (bytes === undefined) return undefined;
    const note = bytes === 'too large' ? undefined : decodeUtf8(bytes);
    if (note === undefined) throw new KeelsonError('malformed_note', 'the checkpoint is no UTF-8, or has no end');
    return note;
  }

  /** The tile's bytes, cut from the full one where the partial one is gone; undefined unless they are width · 32. */
  async readTile(tile: TileId): Promise<Uint8Array | undefined> {
    const bytes = await this.#read(formatTilePath(tile), TILE_BYTES);
    if (bytes instanceof Uint8Array) return bytes.length === tile.width * HASH_BYTES ? bytes : undefined;
    if (bytes !== undefined || tile.width === TILE_WIDTH) return undefined;
    const full = await this.#read(formatTilePath({ ...tile, width: TILE_WIDTH }), TILE_BYTES);
    return full instanceof Uint8Array && full.length === TILE_BYTES
      ? full.slice(0, tile.width * HASH_BYTES)
      : undefined;
  }

  /**
   * The bundle's bytes; undefined where there is none, or more than a bundle can hold. A full bundle in a partial one's place is handed over whole: the
   * caller, who splits it, takes the first `width`.
   */
  async readBundle(bundle: BundleId): Promise<{ bytes: Uint8Array; full: boolean } | undefined> {
    const bytes = await this.#read(formatBundlePath(bundle), maxBundleBytes(bundle.width));
    if (bytes instanceof Uint8Array) return { bytes, full: bundle.width === TILE_WIDTH };
    if (bytes !== undefined || bundle.width === TILE_WIDTH) return undefined;
    const full = await this.#read(formatBundlePath({ ...bundle, width: TILE_WIDTH }), maxBundleBytes(TILE_WIDTH));
    return full instanceof Uint8Array ? { bytes: full, full: true } : undefined;
  }

  /** A file that is larger than it can be says something about the ledger, unlike a source that won't answer. */
  async #read(path: string, maxBytes: number): Promise<Uint8Array | 'too large' | undefined> {
    try {
      return await this.#source.read(`${this.#log}/${path}`, maxBytes);
    } catch (error) {
      if (error instanceof KeelsonError && error.code === 'too_large') return 'too large';
      throw error;
    }
  }
}

const maxBundleBytes = (width: number): number => width * (2 + MAX_ENTRY_BYTES);
