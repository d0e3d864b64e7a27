/**
 * Token buckets, by key, in bounded memory: so many tokens come back a second, up to a burst. Who was not seen for the longest is forgotten
 * where there are too many, and begins with a full bucket.
 */
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';

export interface BudgetOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly perS: number;
  readonly burst: number;
  /** Buckets that are kept. */
  readonly maxKnown?: number;
}

const MAX_KNOWN = 65_536;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class Budget {
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly options: BudgetOptions) {}

  /** Whether something was spent under this key, as far as is remembered. */
  knows(key: string): boolean {
    return this.#buckets.has(key);
  }

  /** Whether a token is there; takes none. */
  has(key: string): boolean {
    const bucket = this.#buckets.get(key);
    return bucket === undefined || this.#tokensOf(bucket) >= 1;
  }

  /** Takes `cost` tokens where one is there; what is owed has to come back first. Returns whether there was one. */
  spend(key: string, cost = 1): boolean {
    const { clock, burst, maxKnown = MAX_KNOWN } = this.options;
    const before = this.#buckets.get(key);
    const tokens = before === undefined ? burst : this.#tokensOf(before);
    if (tokens < 1) return false;
    this.#buckets.delete(key);
    if (this.#buckets.size >= maxKnown) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, { tokens: tokens - cost, atMs: clock.monotonicMs() });
    return true;
  }

  /** What is said to who has spent theirs. */
  spent(key: string, who: string): KeelsonError {
    const bucket = this.#buckets.get(key);
    const missing = bucket === undefined ? 0 : 1 - this.#tokensOf(bucket);
    const retryAfterS = Math.max(1, Math.ceil(missing / this.options.perS));
    return new KeelsonError('overloaded', `${who} asks more often than the feed answers`, { retryAfterS });
  }

  #tokensOf({ tokens, atMs }: Bucket): number {
    const { clock, perS, burst } = this.options;
    return Math.min(burst, tokens + ((clock.monotonicMs() - atMs) / 1000) * perS);
  }
}
