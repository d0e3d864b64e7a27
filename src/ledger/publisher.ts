import { openCheckpoint, signCheckpoint } from '../core/checkpoint.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { makeVerifierKey } from '../core/key.js';
import type { TreeHead } from '../core/proof.js';
import type { Signer, Verifier } from '../core/signer.js';
import { BackOff, pause } from '../eventlog/back-off.js';
import type { CheckpointMemory } from '../eventlog/port.js';
import type { Logger } from '../platform/logger.js';
import type { Log } from './log.js';
import type { LedgerStore } from './store.js';

const REMEMBER_EVERY_MS = 1000;

export interface PublisherOptions {
  readonly store: LedgerStore;
  readonly hasher: Hasher;
  readonly signer: Signer;
  readonly verifier: Verifier;
  readonly memory: CheckpointMemory;
  readonly logger: Logger;
  readonly log: Log;
  readonly intervalMs: number;
  /** Told when the database, found older than what was remembered, has been brought there and agrees with it. */
  readonly onAgreed: () => void;
  /** Told of every note after it is stored, in order: from now on it may be shown. */
  readonly onPublished: (log: Log, size: bigint) => void;
  /** Told when the log turns out to be a fork of what was signed before: nothing may be added to it. */
  readonly onRefused: (error: KeelsonError) => void;
}

/**
 * Signs one log's checkpoints: at once when idle, at most one every `intervalMs` under load. Only the sequencer that holds the
 * log runs one. A note is stored, following the newest, before anyone can see it; once a second the newest also goes to the
 * memory outside the database.
 *
 * A database that holds less than what was remembered is an old one put back: nothing is signed until a replay has brought it
 * there and to the same root. So no size ever gets two roots, whatever is restored.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #stopping = new AbortController();
  readonly #backOff = new BackOff();
  /** What was remembered, until the database was seen to agree with it. */
  #remembered: TreeHead | undefined;
  #published: bigint | undefined;
  /** The committed size at which a replay was found not to have arrived yet. */
  #waitingAt: bigint | undefined;
  #newest: TreeHead;
  #unremembered: string | undefined;
  #running: Promise<void> | undefined;
  #remembering: Promise<void> | undefined;
  #failure: unknown;
  #lastAtMs = -Infinity;

  private constructor(options: PublisherOptions, head: TreeHead, remembered: TreeHead | undefined) {
    this.#options = options;
    this.#newest = head;
    this.#remembered = remembered;
  }

  /**
   * @param head as far as the log is committed
   * @throws KeelsonError `fork_refused` where the database has another root than the one remembered for that size;
   * `event_log_unavailable` where the memory can't be asked.
   */
  static async open(options: PublisherOptions, head: TreeHead): Promise<Publisher> {
    const { memory, log, hasher, signer, verifier, store, logger } = options;
    const note = await memory.recall(log.origin);
    const published = await store.newestPublication(log);
    if (note === undefined && published !== undefined && published.size > 0n) {
      const message =
        'ledger: nothing is remembered outside the database of what was signed; an older one would not be noticed';
      logger.warn({ log: log.path, published: published.size.toString() }, message);
    }
    let remembered: TreeHead | undefined;
    if (note !== undefined) {
      try {
        remembered = openCheckpoint(note, makeVerifierKey(hasher, log.origin, signer.publicKey), verifier);
      } catch (cause) {
        throw new KeelsonError('fork_refused', `${log.path}: the remembered checkpoint is not ours`, {
          log: log.path,
          cause,
        });
      }
    }
    const publisher = new Publisher(options, head, remembered);
    await publisher.#compare();
    publisher.#published = published?.size;
    publisher.#kick();
    return publisher;
  }

  /** The size that must be reached before anything is signed; undefined when that is behind us. */
  get awaited(): bigint | undefined {
    return this.#remembered?.size;
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** The log is committed up to `head`. */
  committed(head: TreeHead): void {
    if (head.size < this.#newest.size) return;
    this.#newest = head;
    this.#kick();
  }

  /** Resolves when nothing of this publisher writes any more; the newest note is remembered if the memory answers. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#remembering;
    if (this.#unremembered !== undefined) {
      await this.#options.memory.remember(this.#options.log.origin, this.#unremembered).catch(() => undefined);
    }
  }

  /** Another publisher may be further than what this process knows to be committed. */
  get #isPublished(): boolean {
    return this.#published !== undefined && this.#published >= this.#newest.size;
  }

  #kick(): void {
    if (this.#running || this.#stopping.signal.aborted || this.#isPublished) return;
    if (this.#waitingAt === this.#newest.size) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.#kick();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.#isPublished) {
      try {
        const { size } = this.#newest;
        if (!(await this.#compare())) return void (this.#waitingAt = size);
        const waitMs = this.#lastAtMs + this.#options.intervalMs - performance.now();
        if (waitMs > 0) await pause(waitMs, signal);
        if (signal.aborted) return;
        await this.#publish();
        this.#failure = undefined;
        this.#backOff.reset();
      } catch (error) {
        await this.#fail(error);
      }
    }
  }

  async #fail(error: unknown): Promise<void> {
    this.#failure = error;
    const { log, logger, onRefused } = this.#options;
    logger.error({ err: error, log: log.path }, 'ledger: a checkpoint could not be published');
    if (error instanceof KeelsonError && error.code === 'fork_refused') {
      this.#stopping.abort(error);
      onRefused(error);
    } else await pause(this.#backOff.nextMs(), this.#stopping.signal);
  }

  /** Whether signing is allowed: the database is past what was remembered, and agrees with it. */
  async #compare(): Promise<boolean> {
    const remembered = this.#remembered;
    if (!remembered) return true;
    if (this.#newest.size < remembered.size) return false;
    const { log, store } = this.#options;
    const root = await store.rootAt(log, remembered.size);
    if (Buffer.compare(root, remembered.root) !== 0) {
      const message = `${log.path}: another root for ${remembered.size} entries was signed before; nothing is signed`;
      throw new KeelsonError('fork_refused', message, { log: log.path });
    }
    this.#remembered = undefined;
    this.#options.onAgreed();
    return true;
  }

  async #publish(): Promise<void> {
    const { store, log, hasher, signer } = this.#options;
    const head = this.#newest;
    if (this.#published === undefined && head.size > 0n) await this.#publishEmpty();
    const note = signCheckpoint(hasher, { origin: log.origin, size: head.size, root: head.root }, signer);
    this.#lastAtMs = performance.now();
    // A crash before this line shows nothing; after it, the note is the newest one for whoever comes next.
    if (!(await store.publish(log, { size: head.size, root: head.root, note, prevSize: this.#published ?? 0n }))) {
      // Another publisher's is there, or ours whose answer was lost.
      this.#published = (await store.newestPublication(log))?.size;
      if (this.#published !== head.size) return;
    }
    this.#published = head.size;
    this.#unremembered = note;
    this.#options.onPublished(log, head.size);
    this.#remembering ??= this.#remember().finally(() => (this.#remembering = undefined));
  }

  /** The first link of the chain of notes: the checkpoint of the empty log. */
  async #publishEmpty(): Promise<void> {
    const { store, log, hasher, signer } = this.#options;
    const root = await store.rootAt(log, 0n);
    const note = signCheckpoint(hasher, { origin: log.origin, size: 0n, root }, signer);
    await store.publish(log, { size: 0n, root, note, prevSize: 0n });
    this.#published = 0n;
  }

  async #remember(): Promise<void> {
    const { memory, log, logger } = this.#options;
    while (this.#unremembered !== undefined) {
      const note = this.#unremembered;
      try {
        await memory.remember(log.origin, note);
        if (this.#unremembered === note) this.#unremembered = undefined;
      } catch (error) {
        logger.warn({ err: error, log: log.path }, 'ledger: a checkpoint could not be remembered');
        if (this.#stopping.signal.aborted) return;
      }
      await pause(REMEMBER_EVERY_MS, this.#stopping.signal);
    }
  }
}
