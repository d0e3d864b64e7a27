/**
 * A bounded cache before the database that never costs it more than one small query at a time: whoever asks while one is under way waits
 * for the next, which asks for all of them. What is not there is remembered for a while, apart from what is, so that names somebody makes
 * up push out no others; and names that were good go before such as never were.
 */
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';

export interface LookupOptions<V> {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Asks for at most 1,000 keys; what is not there is left out. */
  readonly load: (keys: readonly string[]) => Promise<ReadonlyMap<string, V>>;
  /** How long an answer may be believed. */
  readonly freshMs: number;
  /** Answers that are kept, of each kind. */
  readonly maxKnown: number;
}

const BATCH = 1_000;
const MAX_WAITING = 20_000;

interface Known<V> {
  readonly value: V;
  readonly untilMs: number;
}

class Waiter<V> {
  resolve!: (value: V | undefined) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<V | undefined>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

export class Lookup<V> {
  readonly #known = new Map<string, Known<V>>();
  /** Until when a key need not be asked for. */
  readonly #absent = new Map<string, number>();
  readonly #again = new Map<string, Waiter<V>>();
  readonly #first = new Map<string, Waiter<V>>();
  #isLoading = false;

  constructor(private readonly options: LookupOptions<V>) {}

  /**
   * What there is under a key, as of the last `freshMs`; undefined: nothing.
   * @throws KeelsonError `overloaded`: too many wait; what `load` throws
   */
  get(key: string): V | undefined | Promise<V | undefined> {
    const nowMs = this.options.clock.monotonicMs();
    const known = this.#known.get(key);
    if (known !== undefined) return known.untilMs > nowMs ? known.value : this.#wait(this.#again, key);
    if ((this.#absent.get(key) ?? 0) > nowMs) return undefined;
    return this.#wait(this.#first, key);
  }

  /** Drops what is remembered of a key: this process has just changed it. */
  forget(key: string): void {
    this.#known.delete(key);
    this.#absent.delete(key);
  }

  /** The same of every value that this holds of. */
  forgetWhere(isMeant: (value: V) => boolean): void {
    for (const [key, { value }] of this.#known) if (isMeant(value)) this.#known.delete(key);
  }

  #wait(waiting: Map<string, Waiter<V>>, key: string): Promise<V | undefined> {
    const before = waiting.get(key);
    if (before !== undefined) return before.promise;
    if (waiting.size >= MAX_WAITING) {
      throw new KeelsonError('overloaded', 'too many ask who they are', { retryAfterS: 1 });
    }
    const waiter = new Waiter<V>();
    waiting.set(key, waiter);
    if (!this.#isLoading) void this.#loadAll();
    return waiter.promise;
  }

  async #loadAll(): Promise<void> {
    this.#isLoading = true;
    while (this.#again.size + this.#first.size > 0) {
      const batch = [...take(this.#again, BATCH)];
      batch.push(...take(this.#first, BATCH - batch.length));
      try {
        const found = await this.options.load(batch.map(([key]) => key));
        const untilMs = this.options.clock.monotonicMs() + this.options.freshMs;
        for (const [key, waiter] of batch) {
          const value = found.get(key);
          this.#keep(key, value, untilMs);
          waiter.resolve(value);
        }
      } catch (error) {
        for (const [, waiter] of batch) waiter.reject(error);
      }
    }
    this.#isLoading = false;
  }

  #keep(key: string, value: V | undefined, untilMs: number): void {
    this.forget(key);
    if (value === undefined) bound(this.#absent, this.options.maxKnown).set(key, untilMs);
    else bound(this.#known, this.options.maxKnown).set(key, { value, untilMs });
  }
}

function* take<W>(waiting: Map<string, W>, count: number): Generator<[string, W]> {
  for (const entry of waiting) {
    if (count-- <= 0) return;
    waiting.delete(entry[0]);
    yield entry;
  }
}

/** Room for one more: the oldest goes. */
function bound<W>(map: Map<string, W>, max: number): Map<string, W> {
  if (map.size >= max) map.delete(map.keys().next().value!);
  return map;
}
