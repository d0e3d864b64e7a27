/** Noise where a cause waits for nobody: neither ordered, held nor scheduled so long after its commit, or past the time it was set for. */
import { Gauge, type Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import { Causes, type OverdueCause } from './causes.js';
import { LIFECYCLE } from './lifecycle.js';

export interface Overdue {
  readonly count: number;
  /** The one that waits longest. */
  readonly order: string | null;
  readonly waitedS: number;
}

export interface OverdueOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly overdueS: number;
  /** Told of each cause that has come to be overdue, again where that failed; every process that watches tells it. */
  readonly onOverdue?: (notice: OverdueNotice) => Promise<void>;
}

/** That a cause is overdue; or, without one, that lifecycle is not folded from `position` on, so that nobody knows which causes are. */
export interface OverdueNotice {
  readonly cause?: OverdueCause;
  readonly position?: bigint;
  readonly waitedS: number;
}

const LOOK_MS = 5_000;
/** Causes that are told of one by one; the count is of all. */
const TOLD_MAX = 10_000;

/** Looks every few seconds, in every process, into what is folded and whether folding goes on. */
export class OverdueWatch {
  readonly #options: OverdueOptions;
  readonly #causes: Causes;
  readonly #timer: NodeJS.Timeout;
  #last: Overdue = { count: 0, order: null, waitedS: 0 };
  /** Since when something is not folded, and the size of the log at which it is. */
  #behind: { readonly sinceMs: number; readonly size: bigint } | undefined;
  #behindAt = 0n;
  /** What was told: orders, and the place that folding does not get past. */
  #told = new Set<string>();
  #looking = Promise.resolve();

  constructor(options: OverdueOptions) {
    this.#options = options;
    this.#causes = new Causes(options.database);
    const overdue = new Gauge({
      name: 'keelson_revocation_overdue_causes',
      help: 'Causes that are neither ordered, held nor scheduled although they should be',
      registers: [options.metrics],
    });
    overdue.set(0);
    this.#timer = setInterval(() => {
      this.#looking = this.#looking
        .then(() => this.look())
        .then(() => overdue.set(this.#last.count))
        .catch((error: unknown) => options.logger.warn({ err: error }, 'revocation: can not look for overdue causes'));
    }, LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** @throws KeelsonError `not_ready` where something is overdue, by a look of now. */
  async requireNone(): Promise<void> {
    const { count, order, waitedS } = await this.look();
    if (count > 0) {
      throw new KeelsonError(
        'not_ready',
        `${count} causes wait for their orders, ${order ?? 'unfolded'} for ${waitedS} s`,
      );
    }
  }

  /** What is overdue now. @throws KeelsonError `database_unavailable` */
  async look(): Promise<Overdue> {
    const { clock, logger, overdueS } = this.#options;
    const nowUs = clock.nowUs();
    const beforeUs = nowUs - BigInt(overdueS) * 1_000_000n;
    const { count, oldestUs, order } = await this.#causes.overdue(beforeUs);
    const waitedS = oldestUs === null ? 0 : secondsBetween(oldestUs, nowUs);
    let overdue: Overdue = { count, order, waitedS };
    const behindS = await this.#behindS();
    // What is not even folded may hold causes.
    if (count === 0 && behindS > overdueS) overdue = { count: 1, order: null, waitedS: Math.floor(behindS) };
    if (overdue.count > this.#last.count) logger.error({ ...overdue }, 'revocation: causes wait for their orders');
    this.#last = overdue;
    await this.#tell(overdue, beforeUs, nowUs);
    return overdue;
  }

  async #tell({ count, order, waitedS }: Overdue, beforeUs: bigint, nowUs: bigint): Promise<void> {
    const { onOverdue } = this.#options;
    if (onOverdue === undefined || count === 0) return this.#told.clear();
    const notices = new Map<string, OverdueNotice>();
    if (order === null) notices.set('', { position: this.#behindAt, waitedS });
    else {
      for (const cause of await this.#causes.overdueCauses(beforeUs, TOLD_MAX)) {
        notices.set(cause.order, { cause, waitedS: secondsBetween(cause.dueUs, nowUs) });
      }
    }
    for (const name of this.#told) if (!notices.has(name)) this.#told.delete(name);
    for (const [name, notice] of notices) {
      if (this.#told.has(name)) continue;
      await onOverdue(notice);
      this.#told.add(name);
    }
  }

  /** For how long something committed to lifecycle has not been folded, in seconds, to the accuracy of a look. */
  async #behindS(): Promise<number> {
    const { rows } = await this.#options.database.query<{ size: bigint; at: bigint }>(
      `select h.size, coalesce(p.next_index, 0) as at
       from keelson.log l join keelson.head h on h.log = l.id
       left join keelson.projection_position p on p.log = l.id and p.projection = 'revocation' where l.path = $1`,
      [LIFECYCLE],
    );
    const nowMs = this.#options.clock.monotonicMs();
    const { size, at } = rows[0] ?? { size: 0n, at: 0n };
    this.#behindAt = at;
    // Under steady load it is never seen caught up: what counts is that what was there at a look gets folded.
    if (this.#behind !== undefined && at >= this.#behind.size) this.#behind = undefined;
    if (size > at) this.#behind ??= { sinceMs: nowMs, size };
    return this.#behind === undefined ? 0 : (nowMs - this.#behind.sinceMs) / 1000;
  }
}

const secondsBetween = (fromUs: bigint, toUs: bigint): number => Number((toUs - fromUs) / 1_000_000n);
