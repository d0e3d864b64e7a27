/**
 * One write at a time to a resource and to each name that it claims, over all processes: advisory locks, held on connections of their
 * own until the answer. A lock that is lost with its connection costs nothing but an attempt: two writes of one version have one
 * event id, so that the ledger refuses the second.
 */
import { KeelsonError } from '../../core/error.js';
import type { ProjectionRunner } from '../../ledger/projection-runner.js';
import type { Database } from '../../platform/database.js';
import { untilFolded } from '../folded.js';
import { notYet, publish, type Outgoing, type PublicationOptions } from '../publication.js';
import { SCIM_PROTOCOL } from './fold.js';
import { PROJECTION } from './projection.js';
import type { Source } from './source.js';

export interface WriterOptions extends PublicationOptions {
  readonly database: Database;
  /** Connections that hold locks: others must not wait behind them. */
  readonly locks: Database;
  readonly runner: Pick<ProjectionRunner, 'waitUntil'>;
  /** `KEELSON_SCIM_WAIT_MS` */
  readonly waitMs: number;
}

/** Takes further locks. To be free of deadlocks: first the resource, then names, all of them at once. */
export type Lock = (names: readonly string[]) => Promise<void>;

const ATTEMPTS = 3;

export class ScimWriter {
  constructor(private readonly options: WriterOptions) {}

  /**
   * Publishes what `decide` makes of the state, once it is settled, and waits until the projection shows it.
   * @param names what to lock before anything is read
   * @param decide the events, the one that carries the resource last; none: nothing is to be done. Called again where the state it saw
   *   was not the newest.
   * @throws KeelsonError `not_ready`: not known in time whether it counts; safe to be sent again
   */
  async write<T>(
    source: Source,
    names: readonly string[],
    decide: (lock: Lock) => Promise<{ readonly events: readonly Outgoing[]; readonly result: T }>,
  ): Promise<T> {
    const { locks, waitMs } = this.options;
    const deadlineMs = performance.now() + waitMs;
    return locks.transaction(async (tx) => {
      await tx.query(`select set_config('idle_in_transaction_session_timeout', $1, true)`, [String(waitMs + 5_000)]);
      const lock: Lock = async (wanted) => {
        const keys = [...new Set(wanted.map((name) => `keelson.scim/${source.id}/${name}`))].sort();
        for (const key of keys) await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [key]);
      };
      await lock(names);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const { events, result } = await decide(lock);
        if (events.length === 0 || (await this.#publish(source, events, deadlineMs))) return result;
      }
      throw new KeelsonError('conflict', 'somebody else changes the same resource all the time', { retryAfterS: 1 });
    });
  }

  /** False where something else had been recorded; it is folded then. */
  async #publish(source: Source, events: readonly Outgoing[], deadlineMs: number): Promise<boolean> {
    const { database, runner } = this.options;
    const leftMs = (): number => Math.max(0, deadlineMs - performance.now());
    const published = await publish(this.options, SCIM_PROTOCOL, source.producer, events, leftMs());
    if (!(await untilFolded(database, runner, PROJECTION, published, leftMs()))) throw notYet();
    return published.outcome === 'recorded';
  }
}
