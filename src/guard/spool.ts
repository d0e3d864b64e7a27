/**
 * Lines that wait to be sent, in files: written as soon as they are taken, so that a process that is killed loses none, and bounded, so that
 * a server that is away for long costs no more than that. (A machine that loses its power may lose the last seconds.)
 *
 * A file is sent from its beginning and removed when it was sent whole. After a restart some lines are sent again; they carry their ids.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface SpoolOptions {
  readonly folder: string;
  readonly maxBytes: number;
}

/** Lines of one file, and what to do once they are all sent. */
export interface Segment {
  readonly lines: readonly string[];
  done(): void;
}

const SEGMENT_BYTES = 1 << 20;
const NAME = /^(\d{16})\.spool$/;

interface Closed {
  readonly path: string;
  bytes: number;
  lines: number;
}

export class Spool {
  readonly #folder: string;
  readonly #maxBytes: number;
  /** Files that are full, or were left by those before, oldest first. */
  readonly #full: Closed[] = [];
  #open: (Closed & { readonly file: number }) | undefined;
  #number = 0;
  #bytes = 0;
  #lines = 0;

  /** @throws Error where the folder can't be used. */
  constructor({ folder, maxBytes }: SpoolOptions) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder).sort()) {
      const number = NAME.exec(name)?.[1];
      if (number === undefined) continue;
      const path = join(folder, name);
      const data = readFileSync(path);
      const [bytes, lines] = [data.length, countLines(data)];
      this.#full.push({ path, bytes, lines });
      this.#bytes += bytes;
      this.#lines += lines;
      this.#number = Number(number);
    }
  }

  /** Lines that wait. */
  get lines(): number {
    return this.#lines;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a line, without a line feed; false where it can't: the bound is reached, or the disk does not take it. */
  add(line: string): boolean {
    const data = Buffer.from(`${line}\n`);
    if (this.#bytes + data.length > this.#maxBytes) return false;
    try {
      this.#open ??= this.#begin();
      const { file } = this.#open;
      for (let at = 0; at < data.length;) at += writeSync(file, data, at);
    } catch {
      // What was written of the line ends without a line feed: the file is closed, and its end not read.
      this.#end();
      return false;
    }
    this.#bytes += data.length;
    this.#lines++;
    this.#open.bytes += data.length;
    this.#open.lines++;
    if (this.#open.bytes >= SEGMENT_BYTES) this.#end();
    return true;
  }

  /** The oldest lines; undefined: nothing waits. What is open is closed for it. */
  take(): Segment | undefined {
    if (this.#full.length === 0) this.#end();
    const first = this.#full[0];
    if (first === undefined) return undefined;
    const text = readFileSync(first.path, 'utf8');
    return {
      lines: text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1),
      done: () => {
        rmSync(first.path, { force: true });
        this.#bytes -= first.bytes;
        this.#lines -= first.lines;
        this.#full.shift();
      },
    };
  }

  close(): void {
    this.#end();
  }

  #begin(): Closed & { readonly file: number } {
    const path = join(this.#folder, `${String(++this.#number).padStart(16, '0')}.spool`);
    return { path, file: openSync(path, 'wx', 0o600), bytes: 0, lines: 0 };
  }

  #end(): void {
    if (this.#open === undefined) return;
    const { path, file, bytes, lines } = this.#open;
    this.#open = undefined;
    try {
      closeSync(file);
    } catch {
      // Nothing is left to be written.
    }
    this.#full.push({ path, bytes, lines });
  }
}

function countLines(data: Uint8Array): number {
  let lines = 0;
  for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) lines++;
  return lines;
}
