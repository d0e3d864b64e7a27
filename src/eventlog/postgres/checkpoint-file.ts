/**
 * The ledger's memory outside the database, where the event log is inside it: a file, on another folder than the database's.
 *
 * One line per note, `<32 hex digits of SHA-256> <JSON [origin, note]>`, appended and fsynced. A crash can leave a torn last
 * line, which was never acknowledged: it is cut off at the next opening. A broken line anywhere else is nobody's accident and
 * refuses (`tampered`). When old notes outweigh the new, the file is written anew and renamed into place. One process at a
 * time may have it open.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KeelsonError } from '../../core/error.js';
import { syncFolder, writeDurably } from '../../platform/durable-file.js';
import type { CheckpointMemory } from '../port.js';

/** A file below this size is never written anew. */
const REWRITE_ABOVE_BYTES = 1024 * 1024;

export interface CheckpointFile extends CheckpointMemory {
  close(): Promise<void>;
}

/**
 * Opens the file at `path`, made (0600) where it is missing.
 * @param rewriteAboveBytes from which size on a file that is mostly old notes is written anew
 * @throws KeelsonError `tampered`
 */
export async function openCheckpointFile(
  path: string,
  rewriteAboveBytes = REWRITE_ABOVE_BYTES,
): Promise<CheckpointFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const handle = await open(path, 'a+', 0o600);
  try {
    const { notes, bytes } = parseNotes(await readFile(handle));
    await handle.truncate(bytes);
    await handle.sync();
    await syncFolder(dirname(path));
    return new NoteFile(path, handle, notes, bytes, rewriteAboveBytes);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * What the file at `path` remembers now, for a look beside the process that has it open: nothing is cut off, made or written.
 * @throws KeelsonError `tampered`
 */
export async function readCheckpointFile(path: string): Promise<CheckpointFile> {
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
  const { notes } = parseNotes(content);
  return {
    remember: () => Promise.reject(new Error('this memory of checkpoints was opened for reading')),
    recall: async (origin) => notes.get(origin),
    close: async () => undefined,
  };
}

class NoteFile implements CheckpointFile {
  readonly #pending = new Map<string, string>();
  #writing: Promise<void> = Promise.resolve();
  /** The write that will take what is pending now. */
  #next: Promise<void> | undefined;
  /** A failed write leaves unknown bytes behind: then the file is written anew, whole. */
  #torn = false;

  constructor(
    private readonly path: string,
    private handle: FileHandle,
    private readonly notes: Map<string, string>,
    private bytes: number,
    private readonly rewriteAboveBytes: number,
  ) {}

  /** Calls made while a write is under way share the next one; of several notes for one origin the last is kept. */
  remember(origin: string, note: string): Promise<void> {
    this.#pending.set(origin, note);
    if (this.#next === undefined) {
      const written = this.#writing.then(() => {
        this.#next = undefined;
        return this.#write();
      });
      this.#next = written;
      this.#writing = written.catch(() => undefined);
    }
    return this.#next;
  }

  async recall(origin: string): Promise<string | undefined> {
    return this.notes.get(origin);
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.handle.close();
  }

  async #write(): Promise<void> {
    const fresh = [...this.#pending];
    this.#pending.clear();
    const lines = Buffer.from(fresh.map(([origin, note]) => formatLine(origin, note)).join(''));
    const known = new Map([...this.notes, ...fresh]);
    const whole = Buffer.from([...known].map(([origin, note]) => formatLine(origin, note)).join(''));
    const worthwhile = this.bytes > this.rewriteAboveBytes && whole.length * 4 < this.bytes;
    if (this.#torn || worthwhile) await this.#rewrite(whole);
    else await this.#append(lines);
    for (const [origin, note] of fresh) this.notes.set(origin, note);
  }

  async #append(lines: Buffer): Promise<void> {
    try {
      await this.handle.appendFile(lines);
      await this.handle.datasync();
      this.bytes += lines.length;
    } catch (error) {
      this.#torn = true;
      throw error;
    }
  }

  async #rewrite(whole: Buffer): Promise<void> {
    await writeDurably(this.path, whole);
    const old = this.handle;
    this.handle = await open(this.path, 'a', 0o600);
    await old.close();
    this.bytes = whole.length;
    this.#torn = false;
  }
}

function formatLine(origin: string, note: string): string {
  const text = JSON.stringify([origin, note]);
  return `${digest(text)} ${text}\n`;
}

/** The newest note of each origin, and how many bytes are whole lines. */
function parseNotes(content: Buffer): { notes: Map<string, string>; bytes: number } {
  const notes = new Map<string, string>();
  let bytes = 0;
  while (bytes < content.length) {
    const end = content.indexOf(0x0a, bytes);
    if (end < 0) break;
    const line = content.toString('utf8', bytes, end);
    const text = line.slice(33);
    if (line.slice(0, 33) !== `${digest(text)} `) {
      if (end === content.length - 1) break;
      throw new KeelsonError('tampered', `the memory of checkpoints is broken at byte ${bytes}`);
    }
    const [origin, note] = JSON.parse(text) as [string, string];
    notes.set(origin, note);
    bytes = end + 1;
  }
  return { notes, bytes };
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
