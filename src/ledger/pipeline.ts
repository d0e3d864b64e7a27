import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { BackOff, pause } from '../eventlog/back-off.js';
import type { Batch } from '../eventlog/port.js';
import type { Logger } from '../platform/logger.js';
import type { LogRecords } from './log-records.js';
import type { Log } from './log.js';
import { isFinal, isLockTimeout } from './log-failure.js';
import type { Precedence } from './precedence.js';
import { Planner, type Plan } from './planner.js';
import type { FoldBatch } from './projection.js';
import type { Lane, LedgerStore, LogState } from './store.js';
import { WorkQueue, type Work } from './work-queue.js';

/** Batches under way at once, each on a connection of its own. */
const LANES = 2;
/** Partitions of tables are made sure of again after this many entries, far fewer than one holds. */
const ENSURE_EVERY = 1 << 20;
/** How long batches under way may take to commit when the pipeline closes. */
const CLOSE_TIMEOUT_MS = 2000;
const WEEK_US = 604_800_000_000n;

/** Where a log is surely committed to. */
export type CommittedState = Omit<LogState, 'schemas' | 'partials'>;

/** A batch that is in the ledger for good. */
export interface CommittedBatch extends FoldBatch {
  readonly state: CommittedState;
}

export interface PipelineOptions {
  readonly store: LedgerStore;
  readonly hasher: Hasher;
  readonly kinds: LogRecords;
  readonly log: Log;
  readonly logger: Logger;
  readonly batchBytesMax: number;
  readonly precedence: Precedence;
  /** Told of every commit, in order, as far as this process learns of it. */
  readonly onCommitted: (batch: CommittedBatch) => void;
  /** Told where the database stands when it was read again: further, maybe, than the last commit that was answered. */
  readonly onReloaded: (state: CommittedState) => void;
  /** Compares the stored state with the event log, before anything is written on top of it. Rejects to stop the log. */
  readonly check: (state: LogState) => Promise<void>;
}

interface Flight {
  readonly work: Work;
  readonly lane: Lane;
  readonly done: Promise<void>;
}

/**
 * One log's batches on their way into the database, two deep: the pages of batch k + 1 travel while batch k commits; its
 * sealing statement waits for that commit. Idle, a message goes at once; under load what has gathered goes as one batch.
 *
 * Messages are kept until their batch is known to be committed. After any failure, or a commit of unknown outcome, both
 * connections are cut, the state is read from the database as at the start, messages it already holds are dropped, and the
 * rest goes again. So a crash of this process and a lost connection take the same way.
 */
export class LogPipeline {
  readonly #options: PipelineOptions;
  readonly #stopping = new AbortController();
  readonly #backOff = new BackOff();
  #planner: Planner | undefined;
  #committed: CommittedState;
  readonly #queue: WorkQueue;
  #flights: Flight[] = [];
  #idleLanes: Lane[] = [];
  #running: Promise<void> | undefined;
  #failure: unknown;
  #end: bigint;
  #ensured = { index: -1, week: -1n };
  #wake: (() => void)[] = [];

  private constructor(options: PipelineOptions, state: LogState) {
    this.#options = options;
    this.#committed = state;
    this.#end = state.nextOffset;
    this.#queue = new WorkQueue(options.batchBytesMax);
  }

  /** Begins where the database stands. Rejects with what `check` rejects with, and where the database can't be read. */
  static async open(options: PipelineOptions): Promise<LogPipeline> {
    const state = await options.store.loadState(options.log);
    await options.check(state);
    const pipeline = new LogPipeline(options, state);
    pipeline.#planner = await Planner.open(options.store, options.hasher, options.kinds, options.log, state);
    return pipeline;
  }

  get log(): Log {
    return this.#options.log;
  }

  /** As far as is surely committed. */
  get committed(): CommittedState {
    return this.#committed;
  }

  /** Why nothing is committed just now; undefined while all is well. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Takes the next range. Resolves when there is room for another. @throws whatever stopped the log. */
  async accept(batch: Batch): Promise<void> {
    this.#requireGoing();
    if (batch.from !== this.#end) throw new Error(`${this.log.path}: range from ${batch.from}, expected ${this.#end}`);
    this.#end = batch.to;
    this.#queue.add(batch);
    if (this.log.at.topic === 'lifecycle') this.#options.precedence.urgent();
    this.#kick();
    while (this.#queue.isFull && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#requireGoing();
  }

  /**
   * Stops. What is under way may still commit, unless it takes long; the rest is left to the next assignment. Resolves when
   * nothing of this pipeline writes any more.
   */
  async close(reason?: unknown): Promise<void> {
    this.#failure ??= reason;
    this.#stopping.abort(reason);
    this.#notify();
    const impatient = setTimeout(() => this.#cut(), CLOSE_TIMEOUT_MS);
    await this.#running;
    clearTimeout(impatient);
    this.#cut();
  }

  #requireGoing(): void {
    if (!this.#stopping.signal.aborted) return;
    throw (this.#failure as Error | undefined) ?? new KeelsonError('fenced', `${this.log.path} is another's`);
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Works while there is work, also such as came in just when the last run ended. */
  #kick(): void {
    if (this.#running || this.#queue.isEmpty || this.#stopping.signal.aborted) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.#kick();
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#planner === undefined) await this.#reload();
        if (await this.#drain()) return;
      } catch (error) {
        await this.#fail(error);
      }
    }
    await this.#settleFlights();
  }

  /** Starts a batch whenever a lane is free, until everything queued is committed. */
  async #drain(): Promise<boolean> {
    for (;;) {
      while (!this.#queue.isEmpty && this.#flights.length < LANES) {
        if (this.log.at.topic !== 'lifecycle') await this.#options.precedence.giveWay(this.#stopping.signal);
        const lane = await this.#freeLane();
        if (this.#stopping.signal.aborted) lane.close();
        this.#stopping.signal.throwIfAborted();
        await this.#start(lane);
      }
      if (this.#flights.length === 0) return true;
      await this.#flights[0]!.done;
      this.#stopping.signal.throwIfAborted();
    }
  }

  /** Plans one batch on a lane and lets it go its way behind the one before it. */
  async #start(lane: Lane): Promise<void> {
    const work = this.#queue.take();
    this.#notify();
    const planner = this.#planner!;
    const before = this.#flights.at(-1)?.done ?? Promise.resolve();
    let resolve!: (value: Promise<void>) => void;
    let reject!: (error: unknown) => void;
    const done = new Promise<void>((settle, fail) => {
      resolve = settle;
      reject = fail;
    });
    done.catch(() => undefined);
    this.#flights.push({ work, lane, done });
    try {
      await this.#ensurePartitions(planner, work);
      const plan = await planner.plan(work, Number(this.#committed.size), (slice) => lane.write(slice));
      resolve(this.#finish(plan, lane, before));
    } catch (error) {
      reject(error);
      throw error;
    }
  }

  async #finish({ sealing, pages }: Plan, lane: Lane, before: Promise<void>): Promise<void> {
    const [written] = await Promise.allSettled([lane.written(), before]);
    await before;
    if (written.status === 'rejected') throw written.reason as Error;
    // A crash up to here leaves nothing: pages and the rest are one transaction.
    if (!(await lane.seal(sealing))) throw new KeelsonError('fenced', `${this.log.path}: another sequencer wrote`);
    await lane.commit();
    // A crash from here on finds the batch in the database, and its offsets as taken.
    this.#flights.shift();
    this.#idleLanes.push(lane);
    this.#committed = sealing.to;
    this.#failure = undefined;
    this.#backOff.reset();
    const { size: from } = sealing.from;
    this.#options.onCommitted({ log: this.log, from, to: sealing.to.size, pages, state: sealing.to });
  }

  async #freeLane(): Promise<Lane> {
    return this.#idleLanes.pop() ?? this.#options.store.openLane(this.log);
  }

  /** A batch out of a backlog may reach into several weeks, and each has a partition of its own. */
  async #ensurePartitions(planner: Planner, work: Work): Promise<void> {
    const index = Number(planner.size);
    for (const greatestUs of planner.greatestUsAlong(work.messages)) {
      const week = greatestUs / WEEK_US;
      const { index: ensured, week: ensuredWeek } = this.#ensured;
      if (ensured >= 0 && index < ensured + ENSURE_EVERY && week === ensuredWeek) continue;
      await this.#options.store.ensurePartitions(index, greatestUs);
      this.#ensured = { index, week };
    }
  }

  /** Cuts what is under way, keeps its messages, and waits a little. */
  async #fail(error: unknown): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#failure = error;
    this.#planner = undefined;
    this.#options.logger.warn({ err: error, log: this.log.path }, 'ledger: sequencing starts again');
    const retained = this.#flights.map(({ work }) => work);
    this.#cut();
    await this.#settleFlights();
    this.#queue.putBack(retained);
    if (isLockTimeout(error)) {
      await this.#options.store.endOtherLanes(this.log).catch((failure: unknown) => {
        this.#options.logger.warn({ err: failure, log: this.log.path }, 'ledger: a predecessor could not be ended');
      });
    }
    await pause(this.#backOff.nextMs(), this.#stopping.signal);
  }

  /** Back to what the database holds. */
  async #reload(): Promise<void> {
    const { store, hasher, kinds, log, check } = this.#options;
    const state = await store.loadState(log);
    const from = this.#queue.from ?? this.#end;
    if (state.nextOffset < from) return this.#stop(goneBack(log, from, state.nextOffset));
    await check(state).catch((error: unknown) => {
      if (isFinal(error)) this.#stop(error);
      throw error;
    });
    this.#dropBelow(state.nextOffset);
    this.#committed = state;
    this.#options.onReloaded(state);
    this.#ensured = { index: -1, week: -1n };
    this.#planner = await Planner.open(store, hasher, kinds, log, state);
  }

  /** Drops what the database already holds, this process's own doing or another's. */
  #dropBelow(next: bigint): void {
    this.#queue.dropBelow(next);
    // Another sequencer is ahead of all we were handed: the next range can't continue it, and is refused.
    if (this.#queue.isEmpty && next > this.#end)
      this.#stop(new KeelsonError('fenced', `${this.log.path} went on without us`));
    this.#notify();
  }

  #stop(error: unknown): never {
    this.#failure = error;
    this.#stopping.abort(error);
    this.#notify();
    throw error;
  }

  #cut(): void {
    for (const { lane } of this.#flights) lane.close();
    for (const lane of this.#idleLanes.splice(0)) lane.close();
  }

  async #settleFlights(): Promise<void> {
    await Promise.allSettled(this.#flights.map(({ done }) => done));
    this.#cut();
    this.#flights = [];
  }
}

const goneBack = (log: Log, had: bigint, has: bigint): KeelsonError =>
  new KeelsonError('database_too_old', `${log.path}: the database went back from offset ${had} to ${has}`, {
    log: log.path,
  });
