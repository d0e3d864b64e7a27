/** The shell around `FeedCore`: follows revocation's tables, reads before it grants, and hands frames to whoever listens. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { equalBytes } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import { FACT_BYTES } from '../protocol/fact.js';
import { MAX_FRAME_FACTS } from '../protocol/frame.js';
import type { LeaseRequest } from '../protocol/grant.js';
import type { FoldedFacts } from '../revocation/follower.js';
import { FOLDED_CHANNEL } from '../revocation/store.js';
import { FeedCore, step, type FeedEffect, type FeedInput } from './core.js';
import type { FeedKeys } from './keys.js';
import type { FeedMetrics } from './metrics.js';
import { POINTS_CHANNEL } from './points.js';
import { applyChanges, type FeedStore } from './store.js';

export interface FeedShellOptions {
  readonly store: FeedStore;
  /** For a connection that listens. */
  readonly databaseUrl: string;
  readonly keys: Pick<FeedKeys, 'signer' | 'onSigner'>;
  readonly ledger: string;
  readonly generation: number;
  readonly keptFacts: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: FeedMetrics;
  /** Told what was said on `POINTS_CHANNEL`, in whichever process. */
  readonly onPoints: (what: string) => void;
}

/** Where nothing wakes it, it looks this often. */
const LOOK_MS = 500;
/** Reads begin no closer to each other: those who ask meanwhile share one. */
const READ_EVERY_MS = 20;
const FAILED_MS = 500;

export type FrameListener = (from: number, frame: Uint8Array) => void;

export class Feed {
  readonly #options: FeedShellOptions;
  readonly #process = randomUUID();
  readonly #stopping = new AbortController();
  readonly #asked = new Map<number, (grant: Uint8Array | undefined) => void>();
  readonly #listeners = new Set<FrameListener>();
  #core: FeedCore | undefined;
  #next = 0;
  #committed = 0n;
  /** Where the tables were last. */
  #written = 0;
  /** Chains of what was heard, by seq, until the tables are there. */
  readonly #heard = new Map<number, Uint8Array>();
  #wake: (() => void) | undefined;
  #behind = true;
  #running: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(options: FeedShellOptions) {
    this.#options = options;
    options.keys.onSigner((signer) => {
      if (this.#core !== undefined) this.#step({ kind: 'signed_by', signer });
    });
  }

  start(): void {
    this.#running = Promise.all([this.#follow(), this.#listen()]).then(() => undefined);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.();
    await this.#running;
    await this.#options.store.forget(this.#process).catch(() => undefined);
  }

  /** Why it does not go on, while it does not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** @throws KeelsonError `not_ready` before the table is read for the first time. */
  get core(): FeedCore {
    if (this.#core === undefined)
      throw new KeelsonError('not_ready', 'the feed has not read its table yet', { retryAfterS: 1 });
    return this.#core;
  }

  /** Which orders hold these keys; see `FeedStore.ordersOf`. */
  ordersOf(keys: readonly string[]): Promise<Map<string, string[]>> {
    return this.#options.store.ordersOf(keys);
  }

  /** The grant that answers a request; undefined where there is none by the time `signal` aborts, or the instance asks again. */
  async lease(request: LeaseRequest, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const to = this.#next++;
    return new Promise((resolve) => {
      const end = (): void => {
        this.#asked.delete(to);
        resolve(undefined);
      };
      if (signal.aborted) return resolve(undefined);
      signal.addEventListener('abort', end, { once: true });
      this.#asked.set(to, (grant) => {
        signal.removeEventListener('abort', end);
        resolve(grant);
      });
      this.#step({ kind: 'lease_request', to, request });
    });
  }

  /** Tells every frame from now on, in order. Returns how to stop. */
  onFrame(listener: FrameListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves once there is something beyond `from`, after `timeoutMs`, or when `signal` aborts. */
  async changed(from: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (timeoutMs === 0 || signal.aborted || this.core.seq !== from) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        stop();
        resolve();
      };
      const stop = this.onFrame(end);
      const timer = setTimeout(end, timeoutMs);
      signal.addEventListener('abort', end);
    });
  }

  #step(input: FeedInput): void {
    for (const effect of step(this.core, input, this.#nowUs())) this.#act(effect);
  }

  #act(effect: FeedEffect): void {
    switch (effect.kind) {
      case 'read':
        void this.#read();
        return;
      case 'grant':
        return this.#answer(effect.to, effect.bytes);
      case 'superseded':
        return this.#answer(effect.to, undefined);
      case 'frame':
        for (const listener of this.#listeners) listener(effect.from, effect.bytes);
    }
  }

  /** Entries of lifecycle that are committed, as far as was read, and not folded yet; undefined before the table is read. */
  get lagEntries(): number | undefined {
    const core = this.#core;
    return core && Number(this.#committed > core.foldedSize ? this.#committed - core.foldedSize : 0n);
  }

  #answer(to: number, grant: Uint8Array | undefined): void {
    if (grant !== undefined) this.#options.metrics.granted();
    this.#asked.get(to)?.(grant);
    this.#asked.delete(to);
  }

  async #read(): Promise<void> {
    const { store, logger } = this.#options;
    const core = this.core;
    // Of another table, those who ask now asked after this read began.
    const isOver = (): boolean => this.#stopping.signal.aborted || this.#core !== core;
    try {
      await sleep(READ_EVERY_MS, undefined, { signal: this.#stopping.signal });
      // Who is answered by this read: nobody joins them before it is folded to.
      const asked = [...core.asked.keys()];
      const beganUs = this.#nowUs();
      const size = await store.readSize(this.#process, asked);
      this.#committed = size;
      if (isOver()) return;
      this.#step({ kind: 'read', beganUs, size });
      this.#wakeUp();
    } catch (error) {
      if (isOver()) return;
      logger.warn({ err: error }, 'feed: no grants, the database does not take writes');
      await pause(FAILED_MS, this.#stopping.signal);
      if (!isOver()) this.#step({ kind: 'read_failed' });
    }
  }

  /** Folds what the tables have more, and tells how far that is. */
  async #follow(): Promise<void> {
    const { store, logger, keys, ledger, generation, keptFacts } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#core === undefined) {
          const { table, recent } = await store.load(keptFacts);
          this.#core = new FeedCore({ signer: keys.signer, ledger, generation, table, keptFacts }, recent);
        }
        this.#behind = false;
        await this.#catchUp();
        this.#failure = undefined;
        await this.#woken(LOOK_MS);
      } catch (error) {
        this.#failure = error;
        if (!signal.aborted) logger.warn({ err: error }, 'feed: it does not go on');
        await pause(FAILED_MS, signal);
      }
    }
  }

  /**
   * Facts that this process itself has folded from what is committed: told at once where they go on from here. The tables have them a
   * little later, and are held against them then; where they don't go on, the tables are read.
   */
  hear({ from, facts }: FoldedFacts): void {
    const table = this.#core?.options.table;
    if (table?.seq !== from || facts.length === 0 || facts.length > MAX_FRAME_FACTS * FACT_BYTES) return;
    if (applyChanges(table, facts)) {
      this.#heard.set(table.seq, table.head().chainHash);
      return this.#step({ kind: 'changed', facts });
    }
    // Two tables at one seq: the one that is written down counts.
    this.#core = undefined;
    this.#wakeUp();
  }

  async #catchUp(): Promise<void> {
    const { store } = this.#options;
    const { table } = this.core.options;
    const { size, seq, chainHash } = await store.folded();
    while (table.seq < seq) {
      const from = table.seq;
      const changes = await store.changesSince(from, Math.min(MAX_FRAME_FACTS, seq - from));
      // Heard meanwhile.
      if (table.seq > from) continue;
      if (changes.length === 0 || changes.length % FACT_BYTES !== 0 || !applyChanges(table, changes)) {
        throw new KeelsonError('tampered', `the changes behind ${table.seq} are not those that were folded`);
      }
      this.#step({ kind: 'changed', facts: changes });
    }
    // A projection that is folded anew is behind for a while: nothing is granted until it is not.
    if (seq < this.#written) return;
    const told = seq === table.seq ? table.head().chainHash : this.#heard.get(seq);
    if (told !== undefined && !equalBytes(chainHash, told)) {
      throw new KeelsonError('tampered', `the table at ${seq} is not the one that was told`);
    }
    this.#written = seq;
    for (const before of this.#heard.keys()) if (before <= seq) this.#heard.delete(before);
    this.#step({ kind: 'folded', size });
  }

  /** Wakes up when more is folded, in whichever process. */
  async #listen(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const client = new pg.Client({ connectionString: this.#options.databaseUrl, application_name: 'keelson feed' });
      const ended = new Promise<void>((resolve) => {
        client.once('end', resolve);
        client.on('error', () => resolve());
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      try {
        await client.connect();
        client.on('notification', ({ channel, payload = '' }) => {
          if (channel === POINTS_CHANNEL) this.#options.onPoints(payload);
          else this.#wakeUp();
        });
        await client.query(`listen ${FOLDED_CHANNEL}; listen ${POINTS_CHANNEL}`);
        this.#wakeUp();
        await ended;
      } catch {
        // It looks by itself meanwhile.
      }
      await client.end().catch(() => undefined);
      await pause(FAILED_MS, signal);
    }
  }

  #wakeUp(): void {
    this.#behind = true;
    this.#wake?.();
  }

  #woken(timeoutMs: number): Promise<void> {
    if (this.#behind || this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #nowUs(): number {
    return Math.floor(this.#options.clock.monotonicMs() * 1000);
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).then(
    () => undefined,
    () => undefined,
  );
