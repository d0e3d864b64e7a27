/** How long whoever lost a connection waits for the next. Pure. */

const FIRST_MS = 200;
const LAST_MS = 10_000;
/** A connection that was there for so long was a good one. One that is ended as soon as something was heard is none, however often. */
const GOOD_MS = 2_000;

export class Retry {
  #nextMs = FIRST_MS;

  /** @param lastedMs how long something was heard on the connection that is over; 0: nothing was. */
  waitMs(lastedMs: number): number {
    if (lastedMs >= GOOD_MS) this.#nextMs = FIRST_MS;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(LAST_MS, waitMs * 2);
    return waitMs;
  }
}
