/** What a command may touch of the process around it; a test passes its own. */
import type { Readable, Writable } from 'node:stream';

export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Where a command's results go. A reader that leaves (`keelson search | head`) is no error: what comes after is dropped,
 * and `closed` tells commands that could go on for ever.
 */
export class Output {
  readonly #io: Io;
  #closed = false;

  constructor(io: Io) {
    this.#io = io;
    for (const stream of [io.stdout, io.stderr]) {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
        if (stream === io.stdout) this.#closed = true;
      });
    }
  }

  get closed(): boolean {
    return this.#closed || this.#io.stdout.destroyed;
  }

  /** True where a person watches stderr, so that a progress bar makes sense. */
  get interactive(): boolean {
    return this.#io.stderr.isTTY === true;
  }

  get progressStream(): Writable {
    return this.#io.stderr;
  }

  /** One line of the result, to stdout; resolves when the reader has room for more. */
  async line(text: string): Promise<void> {
    if (this.closed || this.#io.stdout.write(`${text}\n`)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ['drain', 'close', 'error'] as const) this.#io.stdout.off(event, done);
        resolve();
      };
      for (const event of ['drain', 'close', 'error'] as const) this.#io.stdout.once(event, done);
    });
  }

  /** One line beside the result, to stderr. */
  note(text: string): void {
    if (!this.#io.stderr.destroyed) this.#io.stderr.write(`${text}\n`);
  }
}

/** The real one. */
export const processIo = (): Io => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
});
