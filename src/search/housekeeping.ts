/**
 * Keeps parts in order beside the fold, in transactions and on a connection of its own: full parts get their indexes at once; merging
 * and dropping happen while nothing is waiting. Whatever fails is tried again at the next occasion: nothing here is needed for an
 * answer to be right, only for it to be fast.
 */
import type { Database } from '../platform/database.js';
import { dropMergedPart, indexFullPart, mergeParts, type MergeRule } from './parts.js';

/** Full parts that may wait for their indexes before folding waits, too: each is read from end to end by every search. */
const WAITING_MAX = 4;
/** After a failure (somebody reads a part that is to be dropped) there is no hurry. */
const RETRY_MS = 5_000;

export interface HousekeeperOptions {
  readonly database: Database;
  readonly schema: string;
  readonly rule: MergeRule;
  /** Told what failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

export class Housekeeper {
  #waiting: number;
  #indexing: Promise<void> | undefined;
  #tidying: Promise<void> | undefined;
  #closed = false;
  /** Parts have come or merged since they were last tidied. */
  #untidy = true;
  #retryAtMs = 0;

  /** @param waiting how many full parts there are. */
  constructor(
    private readonly options: HousekeeperOptions,
    waiting: number,
  ) {
    this.#waiting = waiting;
    this.#index();
  }

  /** Parts that became full are committed. */
  filled(count: number): void {
    this.#waiting += count;
    this.#index();
  }

  /** Resolves when few enough parts wait for their indexes. Rejects never: without indexes folding goes on, slowed. */
  async room(): Promise<void> {
    if (this.#waiting > WAITING_MAX) {
      this.#index();
      await this.#indexing;
    }
  }

  /** Nothing is waiting to be folded: merges and drops, in the background. Costs nothing when there is nothing to do. */
  quiet(): void {
    if (performance.now() < this.#retryAtMs) return;
    this.#index();
    if (this.#closed || !this.#untidy || this.#tidying !== undefined) return;
    this.#tidying = this.#tidy().finally(() => (this.#tidying = undefined));
  }

  /** Resolves when every full part has its indexes, or indexing has just failed. */
  async indexed(): Promise<void> {
    this.#index();
    await this.#indexing;
  }

  /** Resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#indexing, this.#tidying]);
  }

  #index(): void {
    if (this.#closed || this.#waiting === 0 || this.#indexing !== undefined) return;
    this.#indexing = this.#indexAll().finally(() => (this.#indexing = undefined));
  }

  async #indexAll(): Promise<void> {
    const { database, schema } = this.options;
    await this.#attempt(async () => {
      while (!this.#closed && (await database.transaction((tx) => indexFullPart(tx, schema)))) {
        if (this.#waiting > 0) this.#waiting--;
        this.#untidy = true;
      }
      if (!this.#closed) this.#waiting = 0;
    });
  }

  async #tidy(): Promise<void> {
    const { database, schema, rule } = this.options;
    await this.#attempt(async () => {
      while (!this.#closed && (await database.transaction((tx) => dropMergedPart(tx, schema))));
      this.#untidy = false;
      // What was merged is dropped the next time: until then a search under way may still read it.
      while (!this.#closed && (await database.transaction((tx) => mergeParts(tx, schema, rule)))) this.#untidy = true;
    });
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#untidy = true;
      this.#retryAtMs = performance.now() + RETRY_MS;
      if (!this.#closed) this.options.onError(error);
    }
  }
}
