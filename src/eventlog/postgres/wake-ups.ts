/**
 * Tells readers that a partition has grown: at once inside this process, by one coalesced NOTIFY across processes. A wake-up
 * is a hint: a reader that misses one looks by itself after a while.
 */
import type { Queryable } from './messages.js';

export const CHANNEL = 'keelson_eventlog';

/** One NOTIFY per write would collapse near 1,000 a second. */
const NOTIFY_AFTER_MS = 5;

export class WakeUps {
  readonly #versions = new Map<number, number>();
  readonly #sleepers = new Map<number, Set<() => void>>();
  readonly #unannounced = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly db: Queryable,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /** This process appended to a partition: readers here start at once, those elsewhere within milliseconds. */
  announce(id: number): void {
    this.wake(id);
    this.#unannounced.add(id);
    this.#timer ??= setTimeout(() => this.#notify(), NOTIFY_AFTER_MS);
  }

  wake(id: number): void {
    this.#versions.set(id, this.version(id) + 1);
    for (const wake of this.#sleepers.get(id) ?? []) wake();
  }

  /** Counts wake-ups: taken before looking, handed to `sleep` after finding nothing. */
  version(id: number): number {
    return this.#versions.get(id) ?? 0;
  }

  /** Resolves when a wake-up came since `seen`, after `ms`, or when `signal` aborts. */
  sleep(id: number, seen: number, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.version(id) !== seen || signal.aborted) return resolve();
      const sleepers = this.#sleepers.get(id) ?? new Set();
      this.#sleepers.set(id, sleepers);
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        sleepers.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
      sleepers.add(end);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #notify(): void {
    this.#timer = undefined;
    const ids = [...this.#unannounced];
    this.#unannounced.clear();
    this.db.query(`select pg_notify('${CHANNEL}', id::text) from unnest($1::int[]) as id`, [ids]).catch(this.onFailure);
  }
}
