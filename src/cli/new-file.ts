/** Files that a command writes for its user: only for them, and never over one that is there. */
import { open, type FileHandle } from 'node:fs/promises';
import { CommandError, EXIT } from './exit.js';

/** @throws CommandError `usage` where the file exists, or can't be made. */
export async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    throw new CommandError(EXIT.usage, `${path} can't be made: ${(cause as Error).message}`, { cause });
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
