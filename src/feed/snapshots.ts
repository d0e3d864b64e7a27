/**
 * Snapshots on their way to instances. One is encoded and compressed once, piece by piece between other work, for all who ask while it
 * will do. Readers take its bytes as they come; who takes none is cut off. So what waits is a few compressed tables, however many read.
 */
import { pipeline, Readable, type Writable } from 'node:stream';
import { pipeline as pipelineDone } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, createGunzip, createGzip } from 'node:zlib';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import type { FeedCore } from './core.js';
import type { FeedMetrics } from './metrics.js';

export interface SnapshotsOptions {
  readonly core: () => FeedCore;
  readonly metrics: Pick<FeedMetrics, 'cutOff'>;
  /** Who takes nothing for so long is cut off; milliseconds. */
  readonly stallMs?: number;
  /** Two are begun no closer to each other, milliseconds: those who ask meanwhile share the next. */
  readonly everyMs?: number;
}

/** By so many changes a snapshot may be behind: whoever read it is told them in one frame. */
const MAX_BEHIND = 512;
const EVERY_MS = 1_000;
/** Tables that are kept at once; of more, the readers of the oldest are cut off, if they had their time. */
const MAX_KEPT = 4;
const READING_MS = 30_000;
const STALL_MS = 15_000;
const CHUNK_BYTES = 64 * 1024;

export class Snapshots {
  /** The newest last; the others have readers. */
  #kept: Snapshot[] = [];

  constructor(private readonly options: SnapshotsOptions) {}

  /**
   * A snapshot of `from` or later, where the feed is that far; undefined: of now.
   * @throws KeelsonError `overloaded`: too many are being read; `not_ready`: the feed has no table yet, or nobody waits any more
   */
  async take(from: number | undefined, signal: AbortSignal): Promise<Snapshot> {
    const { everyMs = EVERY_MS } = this.options;
    const asked = from ?? this.options.core().seq;
    for (;;) {
      if (signal.aborted) throw new KeelsonError('not_ready', 'nobody waits for this snapshot');
      const core = this.options.core();
      const newest = this.#kept.at(-1);
      if (newest?.serves(core, Math.min(asked, core.seq)) === true) return newest;
      const waitMs = newest === undefined ? 0 : newest.beganMs + everyMs - performance.now();
      if (waitMs <= 0) return this.#begin(core);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #begin(core: FeedCore): Snapshot {
    for (const one of this.#kept) one.leave();
    this.#kept = this.#kept.filter(({ readers }) => readers > 0);
    const [oldest] = this.#kept;
    if (oldest !== undefined && this.#kept.length >= MAX_KEPT) {
      if (performance.now() - oldest.beganMs < READING_MS) {
        throw new KeelsonError('overloaded', 'too many snapshots are being read', { retryAfterS: 5 });
      }
      oldest.cutOff();
      this.#kept.shift();
    }
    const { metrics, stallMs = STALL_MS } = this.options;
    const snapshot = new Snapshot(core, stallMs, () => metrics.cutOff('slow'));
    this.#kept.push(snapshot);
    return snapshot;
  }
}

/** One table, compressed; what there is of it while it is made, then all. */
export class Snapshot {
  readonly beganMs = performance.now();
  readonly seq: number;
  readonly #core: FeedCore;
  readonly #signer: Signer;
  readonly #chunks: Uint8Array[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake!: () => void;
  /** Resolves when there is more. */
  #more!: Promise<void>;
  readonly #readers = new Set<Writable>();
  #wasRead = false;
  #isLeft = false;
  readonly #givenUp = new AbortController();

  constructor(
    core: FeedCore,
    private readonly stallMs: number,
    private readonly onCutOff: () => void,
  ) {
    this.#core = core;
    this.#signer = core.signer;
    this.seq = core.seq;
    this.#wait();
    void this.#make(core.snapshot());
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Whether it will do for who asks for `from` or later. */
  serves(core: FeedCore, from: number): boolean {
    if (this.#core !== core || this.#signer !== core.signer || this.#end?.error !== undefined) return false;
    return this.seq >= from && core.seq - this.seq <= MAX_BEHIND;
  }

  /**
   * Its bytes for one reader, compressed or plain. That reader is cut off where it takes nothing for `stallMs`, up to its last byte.
   * @param to where they go: a response
   */
  read(to: Writable, isPlain: boolean): Readable {
    this.#wasRead = true;
    this.#readers.add(to);
    const stall = setTimeout(() => this.#cutOff(to), this.stallMs).unref();
    to.once('close', () => {
      clearTimeout(stall);
      this.#readers.delete(to);
      this.#giveUpAlone();
    });
    const compressed = Readable.from(this.#read(stall), { objectMode: false, highWaterMark: 1 });
    // Who asks for it plain is rare: it is not kept twice for them. An error ends both.
    return isPlain ? pipeline(compressed, createGunzip(), () => undefined) : compressed;
  }

  /** There is another one: it is made on for those who read it, and no longer. */
  leave(): void {
    this.#isLeft = true;
    this.#giveUpAlone();
  }

  /** Who has just got it begins to read at once. */
  #giveUpAlone(): void {
    if (this.#isLeft && this.#wasRead && this.#readers.size === 0) this.#givenUp.abort();
  }

  /** Cuts off whoever reads it. */
  cutOff(): void {
    for (const reader of this.#readers) this.#cutOff(reader);
  }

  #cutOff(reader: Writable): void {
    this.onCutOff();
    reader.destroy();
  }

  async *#read(stall: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
    for (let i = 0; ; i++) {
      while (i === this.#chunks.length && this.#end === undefined) await this.#more;
      stall.refresh();
      if (i < this.#chunks.length) yield this.#chunks[i]!;
      else if (this.#end?.error === undefined) return;
      else throw this.#end.error;
    }
  }

  /** Compression is done by other threads, and asks for the next piece when it has done with one: between them there is time for others. */
  async #make(pieces: Iterable<Uint8Array>): Promise<void> {
    // Keys are as random as they look: trying harder gains nothing.
    const gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: CHUNK_BYTES });
    try {
      const keep = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
        for await (const chunk of chunks) {
          this.#chunks.push(chunk);
          this.#wait();
        }
      };
      await pipelineDone(pieces, gzip, keep, { signal: this.#givenUp.signal });
      this.#end = {};
    } catch (cause) {
      this.#end = { error: new Error('this snapshot could not be made', { cause }) };
    }
    this.#wake();
  }

  #wait(): void {
    this.#wake?.();
    this.#more = new Promise((resolve) => (this.#wake = resolve));
  }
}
