import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes the names inside `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Puts `content` at `path`, whole or not at all, readable by its owner only (0600), durable when it resolves. A crash leaves
 * the old file or the new one, and at worst a `.tmp` beside it.
 */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await withDraft(path, content, (draft) => rename(draft, path));
}

/**
 * As `writeDurably`, but never replaces: of many at once, one makes the file. Answers whether this call did; either way there is
 * a whole file when it resolves.
 */
export async function makeDurably(path: string, content: string | Uint8Array): Promise<boolean> {
  let made = true;
  await withDraft(path, content, async (draft) => {
    try {
      await link(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      made = false;
    }
  });
  return made;
}

async function withDraft(
  path: string,
  content: string | Uint8Array,
  place: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await place(draft);
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(dirname(path));
}
