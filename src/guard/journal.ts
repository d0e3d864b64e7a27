/**
 * What the feed said, on disk, as it said it: so that an instance that starts again hears it once more instead of fetching the whole table.
 * It is verified again like anything that is heard, and gives no time: only a grant does. Each message is behind its length, a uint32; a
 * snapshot begins anew. Losing the file, or its end, costs a download.
 */
import { open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { writeDurably } from '../platform/durable-file.js';

export interface JournalOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly onProblem: (error: Error) => void;
}

/** What may wait for the disk. */
const MAX_WAITING_BYTES = 64 << 20;

export class Journal {
  #file: FileHandle | undefined;
  #bytes = 0;
  #waitingBytes = 0;
  #last: Promise<void> = Promise.resolve();
  /** Nothing is added any more: what is there is good, and falls behind. */
  #stopped = false;
  /** The file is gone, until one is begun anew. */
  #failed = false;

  constructor(private readonly options: JournalOptions) {}

  /**
   * Tells the messages that are there to `hear`, oldest first, until it is not content with one: what follows is cut off, as is a message
   * that was not written whole.
   */
  async replay(hear: (message: Uint8Array) => boolean): Promise<void> {
    const { path, onProblem } = this.options;
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') onProblem(new Error(`${path} can't be read`, { cause: error }));
      return new Uint8Array(0);
    });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + view.getUint32(at);
      if (end > bytes.length) break;
      if (!hear(bytes.subarray(at + 4, end))) {
        onProblem(new Error(`${path} can’t be verified from byte ${at} on, and is not used`));
        break;
      }
      at = end;
    }
    this.#bytes = at;
    this.#then(async () => {
      if (at < bytes.length) await (await this.#open()).truncate(at);
    });
  }

  /** Adds a message behind the others. */
  add(message: Uint8Array): void {
    const size = message.length + 4;
    if (this.#bytes + size > this.options.maxBytes || this.#waitingBytes + size > MAX_WAITING_BYTES) {
      this.#stopped = true;
    }
    if (this.#stopped) return;
    this.#bytes += size;
    this.#waitingBytes += size;
    const record = frame([message]);
    this.#then(async () => {
      this.#waitingBytes -= size;
      if (!this.#failed) await (await this.#open()).appendFile(record);
    });
  }

  /** Begins anew with these messages. */
  begin(messages: readonly Uint8Array[]): void {
    const bytes = frame(messages);
    this.#stopped = bytes.length > this.options.maxBytes;
    if (this.#stopped) return;
    this.#bytes = bytes.length;
    this.#then(async () => {
      await this.#file?.close();
      this.#file = undefined;
      await writeDurably(this.options.path, bytes);
      this.#failed = false;
    });
  }

  /** Resolves when all is written, as far as the disk takes it. */
  async close(): Promise<void> {
    await this.#last;
    this.#stopped = true;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #open(): Promise<FileHandle> {
    return (this.#file ??= await open(this.options.path, 'a', 0o600));
  }

  /** A disk that fails leaves nothing behind that could be taken for more than it is. */
  #then(write: () => Promise<void>): void {
    this.#last = this.#last.then(write).catch(async (error: unknown) => {
      this.#stopped = this.#failed = true;
      this.options.onProblem(new Error(`${this.options.path} can't be written: it is given up`, { cause: error }));
      await this.#file?.close().catch(() => undefined);
      this.#file = undefined;
      await rm(this.options.path, { force: true }).catch(() => undefined);
    });
  }
}

function frame(messages: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(messages.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const message of messages) {
    view.setUint32(at, message.length);
    bytes.set(message, at + 4);
    at += 4 + message.length;
  }
  return bytes;
}
