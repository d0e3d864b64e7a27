/** Tiles in a folder, as `keelson export-tiles` lays them out. Node only: a browser doesn't load this file. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { KeelsonError } from '../core/error.js';
import type { TileSource } from './source.js';

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

/** `folder` holds a folder for each log: `<folder>/decisions/0/g1/checkpoint`. */
export function openFolderSource(folder: string): TileSource {
  return {
    async read(path, maxBytes) {
      let file;
      try {
        file = await open(join(folder, ...path.split('/')), 'r');
        const { size } = await file.stat();
        if (size > maxBytes) throw new KeelsonError('too_large', `${path} is larger than ${maxBytes} bytes`);
        return await file.readFile();
      } catch (error) {
        if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
        throw error;
      } finally {
        await file?.close();
      }
    },
  };
}
