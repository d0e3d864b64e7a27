/** The shell around `step`: folds, asks, writes, and holds the term. Whatever is lost between two of its awaits, the next round finds. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnEvent } from '../intake/encoder.js';
import type { Intake } from '../intake/intake.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Office } from './decision.js';
import type { Follower } from './follower.js';
import { step, type Effects, type Input, type StepSettings } from './step.js';
import type { Survey } from './survey.js';
import type { Terms } from './term.js';

export interface ProcessorOptions {
  readonly follower: Pick<Follower, 'state' | 'size' | 'catchUp' | 'changed' | 'close'>;
  readonly terms: Pick<Terms, 'holder' | 'take' | 'keep' | 'release'>;
  readonly survey: Pick<Survey, 'isHere' | 'ask' | 'changed' | 'reached'>;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: StepSettings;
}

/** How often a process that does not decide looks whether it should, and how often it folds meanwhile. */
const STANDBY_MS = 500;
/** How often the term is kept. */
const KEEP_MS = 1_000;
/** How long nothing is looked at where nothing is heard of: other processes commit, too. */
const LOOK_MS = 100;
/** How long the ledger may take for what is written, before it is decided anew. */
const SETTLE_MS = 5_000;
/** How often the graph is asked for what is new of those who left. */
const CHANGES_MS = 1_000;
const FAILED_MS = 500;

export class Processor {
  readonly #options: ProcessorOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #term: bigint | undefined;
  #failure: unknown;

  constructor(options: ProcessorOptions) {
    this.#options = options;
  }

  /** The term that this process decides in; undefined while another one does. */
  get term(): bigint | undefined {
    return this.#term;
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
    this.#options.follower.close();
  }

  async #run(): Promise<void> {
    const { follower, terms, survey, logger } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        await follower.catchUp();
        const term = await terms.take(follower.state.table.term, !survey.isHere);
        this.#failure = undefined;
        if (term === undefined) await follower.changed(STANDBY_MS, this.#stopping.signal);
        else await this.#hold(term);
      } catch (error) {
        this.#failure = error;
        logger.warn({ err: error }, 'revocation: the processor starts again');
        await pause(FAILED_MS, this.#stopping.signal);
      }
    }
  }

  /** Decides until the term is lost. */
  async #hold(term: bigint): Promise<void> {
    const { terms, logger } = this.#options;
    const lost = new AbortController();
    const ends = AbortSignal.any([lost.signal, this.#stopping.signal]);
    const keeping = this.#keep(term, lost, ends);
    try {
      await this.#lead(term, ends);
    } finally {
      lost.abort();
      this.#term = undefined;
      await keeping;
      await terms.release(term).catch((error: unknown) => logger.warn({ err: error }, 'revocation: term not released'));
    }
  }

  async #keep(term: bigint, lost: AbortController, ends: AbortSignal): Promise<void> {
    const { terms, logger } = this.#options;
    while (!ends.aborted) {
      await pause(KEEP_MS, ends);
      if (ends.aborted) return;
      try {
        if (await terms.keep(term)) continue;
        logger.warn({ term }, 'revocation: another process took the next term');
        lost.abort();
      } catch (error) {
        // Still ours unless somebody takes it: then our records count for nothing.
        logger.warn({ err: error }, 'revocation: the term can not be kept just now');
      }
    }
  }

  async #lead(term: bigint, ends: AbortSignal): Promise<void> {
    const { follower, survey, logger } = this.#options;
    logger.info({ term }, 'revocation: this process decides');
    this.#term = term;
    follower.state.hearAll();
    let lookedMs = -Infinity;
    const hadGraph = survey.isHere;
    while (!ends.aborted && follower.state.table.term <= term) {
      // The graph moved to another process: it decides better.
      if (hadGraph && !survey.isHere) return;
      await follower.catchUp();
      if (this.#options.clock.monotonicMs() - lookedMs > CHANGES_MS) {
        lookedMs = this.#options.clock.monotonicMs();
        await this.#hearChanges();
      }
      const { wakeUs, events } = await this.#round(term);
      this.#failure = undefined;
      if (events.length === 0) {
        if (!ends.aborted) await follower.changed(this.#waitMs(wakeUs), ends);
      } else if (follower.state.table.term < term) await this.#enter(term, ends);
      else await this.#publish(events);
    }
  }

  /**
   * Puts the term into the ledger, once there is something to decide: an idle process leaves no trace. Nothing is decided before
   * everything up to that entry is folded: what others decided before it is known then, so the round is done again.
   */
  async #enter(term: bigint, ends: AbortSignal): Promise<void> {
    const { follower, terms } = this.#options;
    const event = { term: Number(term), holder: terms.holder };
    while (follower.state.table.term < term && !ends.aborted) {
      await this.#publish([{ type: 'revocation.term', id: `revocation.term/${term}`, event }]);
    }
    follower.state.hearAll();
  }

  /** One look at everything. Answers when to look again at the latest, and what is to be written. */
  async #round(term: bigint): Promise<{ wakeUs: number | undefined; events: readonly OwnEvent[] }> {
    const { survey, follower } = this.#options;
    const reached = await survey.reached(follower.state);
    const looked = this.#step(term, { kind: 'look', reached });
    const events: OwnEvent[] = [];
    if (looked.survey.length > 0) {
      const worlds = await survey.ask(
        follower,
        looked.survey.map((order) => follower.state.causes.get(order)!),
      );
      events.push(...this.#step(term, { kind: 'surveyed', worlds }).publish);
    }
    // Orders before notes: a flood of holds keeps nobody waiting.
    events.push(...looked.publish);
    return { wakeUs: looked.wakeUs, events };
  }

  #step(term: bigint, input: Input): Effects {
    const { follower, clock, settings } = this.#options;
    const office: Office = { state: follower.state, term, nowUs: Number(clock.nowUs()) };
    return step(office, input, settings);
  }

  /** Writes, waits for the ledger, and folds: only what is folded counts. */
  async #publish(events: readonly OwnEvent[]): Promise<void> {
    const { intake, follower, logger } = this.#options;
    const settled = await intake.publishOwn(events, SETTLE_MS);
    const refused = settled.find((one) => one?.outcome === 'refused');
    if (refused !== undefined) {
      logger.error(
        { index: refused.index, reason: refused.reason },
        'revocation: the ledger refused a record of its own',
      );
      await pause(FAILED_MS, this.#stopping.signal);
    }
    await follower.catchUp(
      settled.reduce((size, one) => (one !== undefined && one.index >= size ? one.index + 1n : size), 0n),
    );
  }

  /** What the graph learned of those who left since it was asked last. */
  async #hearChanges(): Promise<void> {
    const { survey, follower } = this.#options;
    const { subjects, things } = await survey.changed();
    if (subjects === 'all') follower.state.hearAll();
    else follower.state.hear(subjects, things);
  }

  #waitMs(wakeUs: number | undefined): number {
    if (wakeUs === undefined) return LOOK_MS;
    return Math.max(1, Math.min(LOOK_MS, (wakeUs - Number(this.#options.clock.nowUs())) / 1000));
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).then(
    () => undefined,
    () => undefined,
  );
