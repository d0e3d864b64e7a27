/**
 * Follows lifecycle and writes the verdict on each registration as an entry of its own. Nothing but the ledger says what is still to be
 * judged: a process that dies anywhere leaves it to the next one. A verdict's id is made of the place of its registration, so that
 * what is said twice, by this process after a failure or by two at once, is recorded once.
 */
import type { Intake } from '../../intake/intake.js';
import { pause } from '../../eventlog/back-off.js';
import { KeelsonError } from '../../core/error.js';
import type { LedgerReader } from '../../ledger/reader.js';
import { learnSchemas } from '../../ledger/schemas.js';
import type { LedgerWatch } from '../../ledger/watch.js';
import type { Clock } from '../../platform/clock.js';
import type { Database } from '../../platform/database.js';
import type { Logger } from '../../platform/logger.js';
import type { Clients } from './clients.js';
import type { Configuration } from './configuration.js';
import { Cursor } from './cursor.js';
import { Docket } from './docket.js';
import { Busy, Unavailable } from './finding.js';
import { judge } from './judge.js';

export interface RegistrarOptions {
  readonly database: Database;
  readonly reader: Pick<LedgerReader, 'log' | 'head' | 'entry'>;
  readonly watch: Pick<LedgerWatch, 'changed'>;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly configuration: { readonly current: Configuration };
  readonly clients: Clients;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a document that can't be had is asked for again. */
  readonly retryS: number;
}

const LIFECYCLE = 'lifecycle/0/g1';
/** How often the ledger is looked at for what other processes wrote; how often the cursor is kept; how often others look whether it is. */
const LOOK_MS = 100;
const KEEP_MS = 1_000;
const STANDBY_MS = 500;
const FAILED_MS = 500;
/** Registrations that are judged at the same time. */
const AT_ONCE = 32;
/** When a verdict that is not in the ledger by then is written again. */
const AGAIN_MS = 5_000;
/** Pauses before a document is asked for again: doubling. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 300_000;
/** Before one is asked for that was not, because too many were. */
const BUSY_MS = 200;

interface Attempt {
  /** Undefined: under way. */
  readonly dueMs: number | undefined;
  readonly failures: number;
}

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #cursor: Cursor;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #attempts = new Map<bigint, Attempt>();
  #docket: Docket | undefined;
  #keptMs = -Infinity;
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#cursor = new Cursor(options.database);
  }

  /** Why it does not go on; undefined while it does. */
  get failure(): unknown {
    return this.#failure;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await Promise.all(this.#underWay);
    if (this.#docket !== undefined) await this.#cursor.release(this.#docket.judged).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { watch, logger } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const docket = await this.#hold();
        this.#failure = undefined;
        if (docket === undefined) {
          await pause(STANDBY_MS, signal);
          continue;
        }
        await this.#judgeDue(docket);
        await watch.changed(LOOK_MS, signal);
      } catch (error) {
        this.#failure = error;
        this.#docket = undefined;
        logger.warn({ err: error }, 'registration: judging starts again');
        await pause(FAILED_MS, signal);
      }
    }
  }

  /** What is open, complete to what is committed now; undefined while another process judges, or before lifecycle has an entry. */
  async #hold(): Promise<Docket | undefined> {
    const { database, reader, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#docket === undefined || nowMs - this.#keptMs > KEEP_MS) {
      const judged = await this.#cursor.take(this.#docket?.judged);
      this.#keptMs = nowMs;
      if (judged === undefined) {
        this.#docket = undefined;
        return undefined;
      }
      if (this.#docket === undefined) {
        const log = await reader.log(LIFECYCLE).catch(noneYet);
        if (log === undefined) return undefined;
        this.#attempts = new Map();
        this.#docket = new Docket(log, await database.transaction(learnSchemas), judged);
      }
    }
    const docket = this.#docket;
    await docket.readTo(database, (await reader.head(await reader.log(LIFECYCLE))).size);
    return docket;
  }

  /** Begins what is due, for as long as the cursor may go unseen. */
  async #judgeDue(docket: Docket): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const untilMs = clock.monotonicMs() + KEEP_MS;
    for (const index of this.#attempts.keys()) if (!docket.open.has(index)) this.#attempts.delete(index);
    for (const index of docket.open) {
      while (this.#underWay.size >= AT_ONCE && !signal.aborted && clock.monotonicMs() < untilMs) {
        await Promise.race([...this.#underWay, pause(LOOK_MS, signal)]);
      }
      if (this.#underWay.size >= AT_ONCE || signal.aborted) return;
      const attempt = this.#attempts.get(index);
      if (attempt !== undefined && (attempt.dueMs === undefined || attempt.dueMs > clock.monotonicMs())) continue;
      this.#begin(docket, index, attempt?.failures ?? 0);
    }
  }

  #begin(docket: Docket, index: bigint, failures: number): void {
    const attempts = this.#attempts;
    const { clock, logger } = this.#options;
    const again = (pauseMs: number, failed: number): void => {
      attempts.set(index, { dueMs: clock.monotonicMs() + pauseMs, failures: failed });
    };
    attempts.set(index, { dueMs: undefined, failures });
    const task = this.#judge(docket, index)
      .then(
        () => again(AGAIN_MS, 0),
        (error: unknown) => {
          if (error instanceof Busy) return again(BUSY_MS, failures);
          const mostMs = error instanceof Unavailable ? RETRY_MAX_MS : AGAIN_MS;
          again(Math.min(RETRY_FIRST_MS * 2 ** failures, mostMs), failures + 1);
          logger.warn({ err: error, index }, 'registration: judged again later');
        },
      )
      .then(() => void this.#underWay.delete(task));
    this.#underWay.add(task);
  }

  /** Judges one, and writes what comes out. That it is in the ledger, the ledger says. */
  async #judge(docket: Docket, index: bigint): Promise<void> {
    const { reader, intake, configuration, clients, clock, logger, retryS } = this.#options;
    const bytes = await reader.entry(await reader.log(LIFECYCLE), index);
    const verdict = await judge(docket.decode(index, bytes), {
      configuration: configuration.current,
      clients,
      nowUs: clock.nowUs(),
      retryUs: BigInt(retryS) * 1_000_000n,
      onBug: (error) => logger.error({ err: error, index }, 'registration: a check failed by itself'),
    });
    if (verdict === undefined) docket.strike(index);
    else await intake.publishOwn([verdict]);
  }
}

function noneYet(error: unknown): undefined {
  if (error instanceof KeelsonError && error.code === 'not_found') return undefined;
  throw error;
}
