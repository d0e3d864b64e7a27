/** Tiles in a folder, as `keelson export-tiles` lays them out. Node only: a browser doesn't load this file. */
import { constants, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { KeelsonError } from '../core/error.js';
import type { TileSource } from './source.js';

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO']);
/** Whoever packed the folder may have put a pipe in a tile's place: opening it must not wait for a writer. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** `folder` holds a folder for each log: `<folder>/decisions/0/g1/checkpoint`. What is no plain file isn't there. */
export function openFolderSource(folder: string): TileSource {
  return {
    async read(path, maxBytes) {
      let file;
      try {
        file = await open(join(folder, ...path.split('/')), READ);
        const stat = await file.stat();
        if (!stat.isFile()) return undefined;
        if (stat.size > maxBytes) throw new KeelsonError('too_large', `${path} is larger than ${maxBytes} bytes`);
        return await readBytes(file, stat.size);
      } catch (error) {
        if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
        throw error;
      } finally {
        await file?.close();
      }
    },
  };
}

/** The first `size` bytes, fewer where the file ends before; never more, though it grow meanwhile. */
async function readBytes(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}
