/**
 * Merges concurrent callers into few writes: one lane per partition, one write at a time. While a write is under way the next
 * packs collect, so the batches grow with the load and a lone pack goes out at once.
 *
 * A failed write is ambiguous: the very same packs are written again, in the same order, until `timeoutMs` after they came;
 * then their callers get `event_log_unavailable`. A pack may therefore stand in the log twice, never out of the order of its
 * acknowledgements.
 */
import type { Logger } from 'pino';
import { KeelsonError } from '../core/error.js';
import { BackOff, pause } from './back-off.js';
import { MAX_PACK_BYTES } from './pack.js';

/** A bound on the bytes that wait to be appended, shared by the lanes of one topic. */
export class ByteBudget {
  #taken = 0;

  constructor(readonly maxBytes: number) {}

  get takenBytes(): number {
    return this.#taken;
  }

  /** @throws KeelsonError `overloaded` */
  take(bytes: number): void {
    if (this.#taken + bytes > this.maxBytes)
      throw new KeelsonError('overloaded', `${this.#taken} bytes wait to be appended, at most ${this.maxBytes} may`, {
        retryAfterS: 1,
      });
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

export interface AppenderOptions {
  /** Bounds of one write. A single pack always goes. */
  readonly maxWriteBytes: number;
  readonly maxWritePacks: number;
  /** How long a pack is tried before its caller is told. */
  readonly timeoutMs: number;
  /** For messages: which lane this is. */
  readonly name: string;
  readonly logger: Logger;
  /** Asks the log for anything, to learn whether it is there. */
  readonly probe: () => Promise<unknown>;
}

interface Waiting {
  readonly pack: Uint8Array;
  readonly deadlineMs: number;
  readonly resolve: (offset: bigint) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes `packs` durable, in order at adjoining offsets, and answers the first offset. When it rejects, nobody knows. It must
 * not hang: it settles within a time of its own. A `KeelsonError` other than `event_log_unavailable` is final for its packs.
 */
export type WritePacks = (packs: readonly Uint8Array[]) => Promise<bigint>;

export class Appender {
  readonly #waiting: Waiting[] = [];
  readonly #backOff = new BackOff(20, 1_000);
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(
    private readonly write: WritePacks,
    private readonly budget: ByteBudget,
    private readonly options: AppenderOptions,
  ) {}

  /** Why the last attempt failed; undefined when it succeeded. */
  get failure(): unknown {
    return this.#failure;
  }

  /** @throws KeelsonError as `EventLog.append` */
  async append(pack: Uint8Array): Promise<bigint> {
    if (pack.length > MAX_PACK_BYTES)
      throw new KeelsonError('too_large', `pack of ${pack.length} bytes, at most ${MAX_PACK_BYTES}`);
    if (this.#closing.signal.aborted) throw this.#unavailable('closed');
    this.budget.take(pack.length);
    try {
      return await new Promise<bigint>((resolve, reject) => {
        this.#waiting.push({ pack, deadlineMs: performance.now() + this.options.timeoutMs, resolve, reject });
        this.#running ??= this.#run();
      });
    } finally {
      this.budget.give(pack.length);
    }
  }

  /** Rejects what waits; resolves when the write under way has settled. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    // A microtask later, so that callers of the same moment share the first write.
    await Promise.resolve();
    while (!this.#closing.signal.aborted) {
      if (this.#waiting.length > 0) await this.#writeNext();
      else if (this.#failure !== undefined) await this.#probe();
      else break;
    }
    if (this.#closing.signal.aborted)
      for (const { reject } of this.#waiting.splice(0)) reject(this.#unavailable('closed'));
    this.#running = undefined;
  }

  async #writeNext(): Promise<void> {
    const batch = this.#take();
    try {
      const first = await this.write(batch.map(({ pack }) => pack));
      this.#failure = undefined;
      this.#backOff.reset();
      batch.forEach(({ resolve }, place) => resolve(first + BigInt(place)));
    } catch (error) {
      if (this.#failure === undefined)
        this.options.logger.warn({ err: error, lane: this.options.name }, 'event log: appending fails');
      this.#failure = error;
      if (error instanceof KeelsonError && error.code !== 'event_log_unavailable') {
        for (const { reject } of batch) reject(error);
        return;
      }
      this.#waiting.unshift(...batch);
      this.#expire(error);
      await pause(this.#backOff.nextMs(), this.#closing.signal);
    }
  }

  /** Finds out that the log is back, though nobody appends: who is told not to send must not wait for a sender. */
  async #probe(): Promise<void> {
    try {
      await this.options.probe();
      this.#failure = undefined;
      this.#backOff.reset();
    } catch (error) {
      this.#failure = error;
      await pause(this.#backOff.nextMs(), this.#closing.signal);
    }
  }

  #take(): Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < this.options.maxWritePacks) {
      bytes += this.#waiting[count]!.pack.length;
      if (count > 0 && bytes > this.options.maxWriteBytes) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Tells those whose time is over. They came in order, so they stand in front. */
  #expire(cause: unknown): void {
    const nowMs = performance.now();
    while (this.#waiting.length > 0 && this.#waiting[0]!.deadlineMs <= nowMs)
      this.#waiting.shift()!.reject(this.#unavailable('no acknowledgement', cause));
  }

  #unavailable(what: string, cause?: unknown): KeelsonError {
    return new KeelsonError('event_log_unavailable', `event log ${this.options.name}: ${what}`, {
      retryAfterS: 1,
      cause,
    });
  }
}
