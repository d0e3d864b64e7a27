/** Files that a command writes for its user: only for them, and never over one that is there. */
import { open, type FileHandle } from 'node:fs/promises';
import { CommandError, EXIT } from './exit.js';

/** @throws CommandError `usage` where the file exists, or can't be made. */
export async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const why = isThere ? 'is there already, and is not written over' : `can't be made: ${(cause as Error).message}`;
    throw new CommandError(EXIT.usage, `${path} ${why}`, { cause });
  }
}

/** @throws CommandError `usage` where the file exists, or can't be made. */
export async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  const file = await openNew(path);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}
