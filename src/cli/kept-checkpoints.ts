/** A file of signed checkpoints that somebody keeps: notes (C2SP signed-note) one after the other, an empty line between. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { TileSource } from '../verify/source.js';
import { CommandError, EXIT } from './exit.js';

/** One note: its text, an empty line, signature lines. */
const NOTE = /(?:[^\n]+\n)+\n(?:\u2014 [^\n]+\n)+/gy;

/** The notes of a file that `keepCheckpoints` wrote, or of a single `…/checkpoint`. @throws CommandError `usage`. */
export async function readKeptCheckpoints(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new CommandError(EXIT.usage, `${path} can't be read: ${cause.message}`, { cause });
  });
  const notes: string[] = [];
  for (let at = 0; at < text.length;) {
    NOTE.lastIndex = at;
    const [note] = NOTE.exec(text) ?? [];
    if (note === undefined) throw new CommandError(EXIT.usage, `${path} holds no signed checkpoints`);
    notes.push(note);
    at += note.length;
    if (text[at] === '\n') at++;
  }
  return notes;
}

/** Replaces the file at once: a crash leaves the old or the new one. */
export async function keepCheckpoints(path: string, notes: Iterable<string>): Promise<void> {
  await writeFile(`${path}.new`, [...notes].join('\n'));
  await rename(`${path}.new`, path);
}

/** A source that remembers the checkpoints which are read through it, by path. */
export function rememberCheckpoints(source: TileSource): { source: TileSource; notes: Map<string, string> } {
  const notes = new Map<string, string>();
  return {
    notes,
    source: {
      async read(path, maxBytes) {
        const bytes = await source.read(path, maxBytes);
        if (bytes !== undefined && path.endsWith('/checkpoint')) notes.set(path, Buffer.from(bytes).toString('utf8'));
        return bytes;
      },
    },
  };
}
