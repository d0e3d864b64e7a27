/**
 * Lets what is urgent go first where all share one thread and one database: work in bulk asks before each piece, and waits while something
 * urgent is under way. It is slowed by that, never stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** An order takes some steps; each says so again. */
const URGENT_MS = 40;
/** Where something was urgent so lately, pieces are small. */
const LATELY_MS = 2_000;
/** So long, and no longer, one piece of work waits. */
const GIVE_WAY_MS = 200;

export class Precedence {
  #untilMs = -Infinity;

  /** Something urgent is under way, for the next moment. */
  urgent(): void {
    this.#untilMs = performance.now() + URGENT_MS;
  }

  /** Whether something was urgent lately: then a piece of work should be small, for the next may come at any time. */
  get isLikely(): boolean {
    return performance.now() < this.#untilMs + LATELY_MS;
  }

  /** Resolves once nothing urgent was said for a moment, or after 200 ms; at once where nothing is. */
  async giveWay(signal?: AbortSignal): Promise<void> {
    const endMs = performance.now() + GIVE_WAY_MS;
    for (let nowMs = performance.now(); nowMs < Math.min(this.#untilMs, endMs); nowMs = performance.now()) {
      if (signal?.aborted === true) return;
      await sleep(Math.ceil(Math.min(this.#untilMs, endMs) - nowMs));
    }
  }
}
