import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { digest } from '../core/merkle.js';
import type { Signer, Verifier } from '../core/signer.js';
import { formatPartition, type Batch, type Consumer, type EventLog, type Partition } from '../eventlog/port.js';
import type { Logger } from '../platform/logger.js';
import type { LogRecords } from './log-records.js';
import { formatLogPath, formatOrigin, type Log } from './log.js';
import { isFinal } from './log-failure.js';
import { LogPipeline, type CommittedState } from './pipeline.js';
import { Publisher } from './publisher.js';
import type { LedgerSettings } from './settings.js';
import type { LedgerStore } from './store.js';
import type { LedgerWatch } from './watch.js';

export interface SequencerOptions {
  readonly eventLog: EventLog;
  readonly store: LedgerStore;
  readonly ledgerName: string;
  readonly hasher: Hasher;
  readonly signer: Signer;
  readonly verifier: Verifier;
  readonly kinds: LogRecords;
  readonly watch: LedgerWatch;
  readonly settings: Pick<
    LedgerSettings,
    'KEELSON_LEDGER_BATCH_BYTES' | 'KEELSON_LEDGER_CHECK_S' | 'KEELSON_PUBLISH_INTERVAL_MS'
  >;
  readonly logger: Logger;
}

interface Assignment {
  readonly pipeline: LogPipeline;
  readonly publisher: Publisher;
  readonly timer: NodeJS.Timeout;
  /** The offset below which everything was committed when the log was last checked. */
  trimmable?: bigint;
  /** One comparison at a time: a later one may trim what an earlier one still wants to read. */
  checking: boolean;
}

/** Why a log is not being written by the process it is assigned to. */
export interface LogProblem {
  readonly log: string;
  readonly error: unknown;
}

/**
 * The event log's reader that makes the ledger. For each partition assigned: compare what the database says with the event
 * log, then append. Where they don't fit together (messages gone that the ledger never saw, offsets that went back, another
 * message where the last one stood) that log stops with `event_log_truncated`, is not ready, and nothing is guessed.
 */
export class Sequencer implements Consumer {
  readonly #options: SequencerOptions;
  readonly #assignments = new Map<string, Assignment>();
  readonly #stopped = new Map<string, unknown>();
  /**
   * Where the event log ended when an older database was found, by log, until it is seen to agree with what was signed. What
   * came since is no part of a replay: nothing newer is put on a tree that may be another one.
   */
  readonly #replayEnds = new Map<string, bigint>();

  constructor(options: SequencerOptions) {
    this.#options = options;
  }

  /** Every log of this process that does not go on, and why. Empty: all is well. */
  problems(): LogProblem[] {
    const problems = [...this.#stopped].map(([log, error]) => ({ log, error }));
    for (const { pipeline, publisher } of this.#assignments.values()) {
      const { path } = pipeline.log;
      const error = pipeline.failure ?? publisher.failure;
      if (this.#stopped.has(path)) continue;
      if (error !== undefined) problems.push({ log: path, error });
      else if (publisher.awaited !== undefined) problems.push({ log: path, error: replaying(pipeline, publisher) });
    }
    return problems;
  }

  /** For /readyz. @throws KeelsonError of the first problem. */
  requireReady(): void {
    const [problem] = this.problems();
    if (!problem) return;
    if (problem.error instanceof KeelsonError) throw problem.error;
    throw new KeelsonError('not_ready', `${problem.log} is not being written`, {
      log: problem.log,
      cause: problem.error,
    });
  }

  async assigned(at: Partition): Promise<bigint | undefined> {
    await this.revoked(at);
    const path = formatLogPath(at);
    try {
      const next = await this.#open(at);
      this.#stopped.delete(path);
      return next;
    } catch (error) {
      if (!isFinal(error)) throw error;
      this.#stop(path, error);
      return undefined;
    }
  }

  async batch(at: Partition, batch: Batch): Promise<void> {
    const assignment = this.#assignments.get(formatPartition(at));
    if (!assignment) throw new KeelsonError('fenced', `${formatPartition(at)} is not ours`);
    const { pipeline, publisher } = assignment;
    const end = this.#replayEnds.get(pipeline.log.path);
    if (end === undefined || batch.to <= end) return pipeline.accept(batch);
    if (batch.from < end) {
      const messages = batch.messages.filter(({ offset }) => offset < end);
      await pipeline.accept({ from: batch.from, to: end, messages });
    }
    // The rest is asked for again, from where the replay is then.
    throw replaying(pipeline, publisher);
  }

  async revoked(at: Partition): Promise<void> {
    const assignment = this.#assignments.get(formatPartition(at));
    this.#stopped.delete(formatLogPath(at));
    if (!assignment) return;
    this.#assignments.delete(formatPartition(at));
    clearInterval(assignment.timer);
    await assignment.pipeline.close();
    await assignment.publisher.close();
  }

  async #open(at: Partition): Promise<bigint> {
    const { store, hasher, signer, verifier, kinds, watch, settings, logger, eventLog, ledgerName } = this.#options;
    const log = await store.openLog(at, formatOrigin(ledgerName, at));
    let publisher: Publisher | undefined;
    const pipeline = await LogPipeline.open({
      store,
      hasher,
      kinds,
      log,
      logger,
      batchBytesMax: settings.KEELSON_LEDGER_BATCH_BYTES,
      precedence: watch.precedence,
      check: (state) => this.#compare(log, state),
      onCommitted: (batch) => {
        publisher?.committed(batch.state);
        watch.committed(batch);
        this.#afterCommit(at, log, batch.state);
      },
      onReloaded: (state) => {
        publisher?.committed(state);
        this.#afterCommit(at, log, state);
      },
    });
    try {
      publisher = await Publisher.open(
        {
          store,
          hasher,
          signer,
          verifier,
          logger,
          log,
          memory: eventLog.checkpoints,
          intervalMs: settings.KEELSON_PUBLISH_INTERVAL_MS,
          onAgreed: () => void this.#replayEnds.delete(log.path),
          onPublished: (published, size) => watch.published(published, size),
          onRefused: (error) => void this.#halt(at, error),
        },
        pipeline.committed,
      );
    } catch (error) {
      await pipeline.close(error);
      throw error;
    }
    const timer = setInterval(() => void this.#checkAgain(at), settings.KEELSON_LEDGER_CHECK_S * 1000).unref();
    this.#assignments.set(formatPartition(at), { pipeline, publisher, timer, checking: false });
    if (publisher.awaited === undefined) this.#replayEnds.delete(log.path);
    else {
      const end = this.#replayEnds.get(log.path) ?? (await eventLog.bounds(at)).end;
      this.#replayEnds.set(log.path, end);
      if (pipeline.committed.nextOffset >= end) {
        await this.revoked(at);
        throw tooOld(log, publisher.awaited, pipeline.committed.size);
      }
    }
    return pipeline.committed.nextOffset;
  }

  /** A replay that has used up the event log without reaching the remembered checkpoint never will. */
  #afterCommit(at: Partition, log: Log, state: CommittedState): void {
    const end = this.#replayEnds.get(log.path);
    if (end === undefined) return;
    const awaited = this.#assignments.get(formatPartition(at))?.publisher.awaited;
    if (awaited !== undefined && state.size < awaited && state.nextOffset >= end)
      void this.#halt(at, tooOld(log, awaited, state.size));
  }

  /**
   * Whether the event log is the one this state was made from, and still has what comes next.
   * @throws KeelsonError `event_log_truncated`.
   */
  async #compare(log: Log, state: CommittedState): Promise<void> {
    const { eventLog, hasher } = this.#options;
    const { start, end } = await eventLog.bounds(log.at);
    const truncated = (what: string): KeelsonError =>
      new KeelsonError('event_log_truncated', `${log.path}: ${what}; the log stops here`, { log: log.path });
    if (start > state.nextOffset) throw truncated(`offsets ${state.nextOffset} to ${start - 1n} are gone, never taken`);
    if (end < state.nextOffset)
      throw truncated(`the event log ends at ${end}, before ${state.nextOffset}, which was taken`);
    if (!state.last || state.last.offset < start) return;
    const message = await eventLog.read(log.at, state.last.offset);
    if (!message) throw truncated(`the message at offset ${state.last.offset} is gone`);
    if (Buffer.compare(digest(hasher, message.pack), state.last.hash) !== 0) {
      throw truncated(`another message stands at offset ${state.last.offset}`);
    }
  }

  async #checkAgain(at: Partition): Promise<void> {
    const assignment = this.#assignments.get(formatPartition(at));
    if (!assignment || assignment.checking) return;
    const { pipeline } = assignment;
    assignment.checking = true;
    try {
      await this.#compare(pipeline.log, pipeline.committed);
      // What was in the ledger at the check before is; until then a repeat can still be asked which entry it repeats.
      if (assignment.trimmable !== undefined) await this.#options.eventLog.trim(at, assignment.trimmable);
      assignment.trimmable = pipeline.committed.nextOffset;
    } catch (error) {
      // Given up meanwhile: whoever has the log now trims it, and what was compared says nothing any more.
      if (this.#assignments.get(formatPartition(at)) !== assignment) return;
      if (isFinal(error)) await this.#halt(at, error);
      else this.#options.logger.warn({ err: error, log: pipeline.log.path }, 'ledger: could not look at the event log');
    } finally {
      assignment.checking = false;
    }
  }

  async #halt(at: Partition, error: unknown): Promise<void> {
    this.#stop(formatLogPath(at), error);
    await this.#assignments.get(formatPartition(at))?.pipeline.close(error);
  }

  #stop(path: string, error: unknown): void {
    this.#stopped.set(path, error);
    this.#options.logger.error({ err: error, log: path }, 'ledger: the log is stopped');
  }
}

const tooOld = (log: Log, awaited: bigint, size: bigint): KeelsonError =>
  new KeelsonError(
    'database_too_old',
    `${log.path}: ${awaited} entries were signed before, the database and the event log have ${size}; nothing is signed`,
    { log: log.path },
  );

const replaying = (pipeline: LogPipeline, publisher: Publisher): KeelsonError =>
  new KeelsonError(
    'not_ready',
    `${pipeline.log.path}: an older database is being replayed, ${pipeline.committed.size} of ${publisher.awaited ?? 'all'} entries`,
    { log: pipeline.log.path },
  );
