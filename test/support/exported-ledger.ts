/** What a folder of exported tiles holds, read without the code that wrote it: no search, no database. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBundle } from '../../src/core/bundle.js';
import { parseCheckpoint, type Checkpoint } from '../../src/core/checkpoint.js';
import { parseEntry, type Entry } from '../../src/core/entry.js';
import { parseNote } from '../../src/core/note.js';
import { bundleAt, formatBundlePath } from '../../src/core/tile.js';
import { builtInSchemas, decodeRecord, type DecodedRecord } from '../../src/events/index.js';

export interface ExportedEntry {
  readonly log: string;
  readonly index: bigint;
  readonly entry: Entry;
  /** Of entries that hold a record. */
  readonly record?: DecodedRecord;
}

/** `decisions/0/g1` and its like: every log in the folder. */
export async function listLogs(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((file) => /^[a-z]+\/\d+\/g\d+\/checkpoint$/.test(file))
    .map((file) => file.replace(/\/checkpoint$/, ''))
    .sort();
}

export async function readCheckpoint(folder: string, log: string): Promise<Checkpoint> {
  return parseCheckpoint(parseNote(await readFile(join(folder, log, 'checkpoint'), 'utf8')).text);
}

/** `log size root` of every log: what two ledgers with the same content agree on. */
export async function readHeads(folder: string): Promise<string[]> {
  const logs = await listLogs(folder);
  const heads = await Promise.all(logs.map((log) => readCheckpoint(folder, log)));
  return heads.map(({ size, root }, i) => `${logs[i]} ${size} ${Buffer.from(root).toString('base64')}`);
}

export async function* readEntries(folder: string): AsyncGenerator<ExportedEntry> {
  const schemas = builtInSchemas();
  for (const log of await listLogs(folder)) {
    const { size } = await readCheckpoint(folder, log);
    for (let index = 0n; index < size;) {
      const bundle = bundleAt(index, size);
      const bytes = await readFile(join(folder, log, formatBundlePath(bundle)));
      for (const raw of parseBundle(bytes, bundle.width)) {
        const entry = parseEntry(raw);
        yield {
          log,
          index: index++,
          entry,
          ...(entry.kind === 'record' ? { record: decodeRecord(entry.record, schemas) } : {}),
        };
      }
    }
  }
}
