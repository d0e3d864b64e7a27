/**
 * Copies a ledger's files into a folder, laid out as they are served (C2SP tlog-tiles). Full tiles never change, so those
 * that are there are not read again; a log's checkpoint is written last, so a folder never shows a tree it does not hold.
 */
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KeelsonError } from '../core/error.js';
import { parseCheckpoint } from '../core/checkpoint.js';
import { parseNote } from '../core/note.js';
import { formatBundlePath, formatTilePath, tileAt, TILE_WIDTH } from '../core/tile.js';
import type { TileSource } from '../verify/source.js';

/** Greater than any bundle: 256 entries of 65,535 bytes, each with its length. */
const MAX_FILE_BYTES = 17_000_000;
const READERS = 8;

interface File {
  readonly path: string;
  readonly full: boolean;
}

export interface ExportedLog {
  readonly log: string;
  readonly size: bigint;
  /** Files that were written; the others were there. */
  readonly written: number;
}

/**
 * Brings the copy of one log in `folder` to the checkpoint that the source shows now.
 * @throws KeelsonError `not_found` where the source lacks a file that its checkpoint needs, and whatever it rejects with.
 */
export async function exportLog(
  source: TileSource,
  log: string,
  folder: string,
  onProgress: (done: number, total: number) => void,
): Promise<ExportedLog> {
  const note = await read(source, `${log}/checkpoint`);
  const { size } = parseCheckpoint(parseNote(Buffer.from(note).toString('utf8')).text);
  const total = countFiles(size);
  let done = 0;
  let written = 0;
  const files = filesOf(size);
  const copy = async (): Promise<void> => {
    for (const { path, full } of files) {
      const target = join(folder, log, path);
      if (!full || !(await exists(target))) {
        await put(target, await read(source, `${log}/${path}`));
        written++;
      }
      onProgress(++done, total);
    }
  };
  await Promise.all(Array.from({ length: READERS }, copy));
  await put(join(folder, log, 'checkpoint'), note);
  return { log, size, written };
}

/** Every tile and bundle of a tree of `size` entries, each as wide as it is in that tree. */
function* filesOf(size: bigint): Generator<File> {
  for (let level = 0, count = size; count > 0n; level++, count >>= 8n) {
    for (let at = 0n; at < count; at += 256n) {
      const tile = tileAt(level, at, size);
      const full = tile.width === TILE_WIDTH;
      yield { path: formatTilePath(tile), full };
      if (level === 0) yield { path: formatBundlePath(tile), full };
    }
  }
}

function countFiles(size: bigint): number {
  let files = (size + 255n) >> 8n;
  for (let count = size; count > 0n; count >>= 8n) files += (count + 255n) >> 8n;
  return Number(files);
}

async function read(source: TileSource, path: string): Promise<Uint8Array> {
  const bytes = await source.read(path, MAX_FILE_BYTES);
  if (bytes === undefined) throw new KeelsonError('not_found', `the server has no ${path}`);
  return bytes;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Whole or not at all: an interrupted export leaves no half file that a later one would take for a tile. */
async function put(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
}
