/**
 * A bounded cache in front of the database. A value is fresh for a short time and then asked for again, once however many
 * callers wait; when the database can't answer, the last value goes on for a bounded time. So what changes in the database
 * takes effect within `freshMs`, and what was known goes on through an outage of up to `graceMs`.
 */
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';

export interface StaleCacheOptions<V> {
  readonly clock: Clock;
  /** Asks the database. Undefined: no such key (never cached, so that guessing fills nothing). */
  readonly load: (key: string) => Promise<V | undefined>;
  /** How long a value is taken as it is. */
  readonly freshMs: number;
  /** How long after it was loaded a value may stand in for a database that can't answer. */
  readonly graceMs: number;
  /** How long an old value's callers wait for the database before they go on with it; also the pause between attempts. */
  readonly patienceMs: number;
  readonly maxEntries: number;
}

interface Entry<V> {
  readonly value: V;
  readonly loadedAtMs: number;
  retryAtMs: number;
}

export class StaleCache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #loading = new Map<string, Promise<V | undefined>>();

  constructor(private readonly options: StaleCacheOptions<V>) {}

  /**
   * The value, at once where it is fresh.
   * @throws KeelsonError `database_unavailable` or `timeout` where the database can't answer and nothing recent is known.
   */
  get(key: string): V | undefined | Promise<V | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#load(key);
    const now = this.options.clock.monotonicMs();
    const ageMs = now - entry.loadedAtMs;
    if (ageMs < this.options.freshMs) return entry.value;
    if (ageMs >= this.options.graceMs) return this.#load(key);
    if (now < entry.retryAtMs) return entry.value;
    return this.#refresh(key, entry, now);
  }

  /** Forgets one key: this process has just changed it. */
  delete(key: string): void {
    this.#entries.delete(key);
    this.#loading.delete(key);
  }

  async #refresh(key: string, entry: Entry<V>, now: number): Promise<V | undefined> {
    const loading = this.#load(key);
    let timer: NodeJS.Timeout | undefined;
    const impatience = new Promise<Entry<V>>((resolve) => {
      timer = setTimeout(() => resolve(entry), this.options.patienceMs);
    });
    try {
      const first = await Promise.race([loading, impatience]);
      if (first !== entry) return first as V | undefined;
      loading.catch(() => undefined);
    } catch (error) {
      if (!isOutage(error)) throw error;
    } finally {
      clearTimeout(timer);
    }
    entry.retryAtMs = now + 2 * this.options.patienceMs;
    return entry.value;
  }

  #load(key: string): Promise<V | undefined> {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    const loading = this.options
      .load(key)
      .then((value) => {
        if (this.#loading.get(key) === loading) this.#store(key, value);
        return value;
      })
      .finally(() => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key);
      });
    this.#loading.set(key, loading);
    return loading;
  }

  #store(key: string, value: V | undefined): void {
    this.#entries.delete(key);
    if (value === undefined) return;
    const loadedAtMs = this.options.clock.monotonicMs();
    this.#entries.set(key, { value, loadedAtMs, retryAtMs: loadedAtMs });
    if (this.#entries.size > this.options.maxEntries) {
      const [oldest] = this.#entries.keys();
      this.#entries.delete(oldest!);
    }
  }
}

const isOutage = (error: unknown): boolean =>
  error instanceof KeelsonError && (error.code === 'database_unavailable' || error.code === 'timeout');
