/**
 * Time that passed, by clocks of which any may lie: the monotonic one stops while the machine is suspended, the wall clock may be set. What
 * passed is the greater of the two; where their difference jumped since they were read last, the machine's uptime decides, which counts
 * suspension and can't be set. No timer decides anything.
 *
 * What it can't see: a machine that was stopped with all its clocks (a paused VM), and a clock that was set back by just as long as the
 * machine was suspended.
 */

/** Clocks of one machine, microseconds each. */
export interface LeaseClock {
  /** Never set, may stop while the machine is suspended. */
  monotonicUs(): number;
  /** Since 1970 UTC. */
  wallUs(): number;
  /** Since the machine started, suspension counted; may be as coarse as 10 ms. */
  uptimeUs(): number;
}

/** A moment on a `LeaseTime`. */
export interface Moment {
  readonly monotonicUs: number;
  readonly wallUs: number;
}

/** Clocks whose difference moved by more have been set, or one of them stood still. */
const JUMP_US = 50_000;
/** How coarse an uptime may be. */
const UPTIME_GRAIN_US = 10_000;

export class LeaseTime {
  readonly #clock: LeaseClock;
  /** The wall clock as it was read last, whatever it was set to. */
  wallClockUs: number;
  /** Both clocks as read last, made continuous over jumps. */
  #monotonicUs: number;
  #wallUs: number;
  /** What makes them so. */
  #monotonicAheadUs = 0;
  #wallAheadUs = 0;
  /** Where uptime and clocks were last held together. */
  #uptimeAtUs: number;
  #monotonicAtUs: number;

  constructor(clock: LeaseClock) {
    this.#clock = clock;
    this.#monotonicUs = clock.monotonicUs();
    this.#wallUs = this.wallClockUs = clock.wallUs();
    this.#uptimeAtUs = clock.uptimeUs();
    this.#monotonicAtUs = this.#monotonicUs;
  }

  /** Reads the clocks. Allocates nothing. */
  read(): void {
    const monotonicUs = this.#clock.monotonicUs() + this.#monotonicAheadUs;
    this.wallClockUs = this.#clock.wallUs();
    const wallUs = this.wallClockUs + this.#wallAheadUs;
    const movedUs = wallUs - this.#wallUs - (monotonicUs - this.#monotonicUs);
    if (movedUs > JUMP_US || movedUs < -JUMP_US) {
      this.#jump(monotonicUs, wallUs);
      return;
    }
    this.#monotonicUs = monotonicUs;
    this.#wallUs = wallUs;
  }

  /**
   * This moment. Uptime is held together with it, so that whatever comes later is counted from here: clocks of one machine need not go
   * at one rate, and over days one may be ahead of another by more than a suspension is long. Uptime is read first, and the others now: a
   * suspension between two readings is counted, and never left behind.
   */
  moment(): Moment {
    const uptimeUs = this.#clock.uptimeUs();
    this.read();
    this.#uptimeAtUs = uptimeUs;
    this.#monotonicAtUs = this.#monotonicUs;
    return { monotonicUs: this.#monotonicUs, wallUs: this.#wallUs };
  }

  /** Microseconds from a moment to the last reading. */
  sinceUs(moment: Moment): number {
    const byMonotonic = this.#monotonicUs - moment.monotonicUs;
    const byWall = this.#wallUs - moment.wallUs;
    return byMonotonic > byWall ? byMonotonic : byWall;
  }

  /** Lets both clocks go on by what uptime says, since they were held together. */
  #jump(monotonicUs: number, wallUs: number): void {
    const uptimeUs = this.#clock.uptimeUs();
    const passedUs = uptimeUs - this.#uptimeAtUs + UPTIME_GRAIN_US;
    const nowUs = Math.max(monotonicUs, this.#monotonicAtUs + passedUs);
    this.#monotonicAheadUs += nowUs - monotonicUs;
    const wallNowUs = this.#wallUs + (nowUs - this.#monotonicUs);
    this.#wallAheadUs += wallNowUs - wallUs;
    this.#monotonicUs = nowUs;
    this.#wallUs = wallNowUs;
    this.#uptimeAtUs = uptimeUs;
    this.#monotonicAtUs = nowUs;
  }
}
