/** A machine: three clocks that drift, a wall clock that can be set, and sleep in which nothing runs and one clock stands still. */
import type { LeaseClock } from '../../src/protocol/lease-time.js';
import type { Schedule } from './schedule.js';

/** Drift: how much faster or slower than true time a clock may go. */
export const DRIFT = 0.01;
/** When the simulation begins, on a clock that is right. */
export const EPOCH_US = 1_790_000_000_000_000;

/** A clock that goes at a rate of its own. */
class Clock {
  #readUs: number;
  #setAtUs = 0;
  #rate = 1;

  constructor(startUs: number) {
    this.#readUs = startUs;
  }

  read(nowUs: number): number {
    return this.#readUs + (nowUs - this.#setAtUs) * this.#rate;
  }

  setRate(nowUs: number, rate: number): void {
    this.#readUs = this.read(nowUs);
    this.#setAtUs = nowUs;
    this.#rate = rate;
  }

  step(byUs: number): void {
    this.#readUs += byUs;
  }
}

/** How fast each clock goes; 1: as true time does. */
export interface Rates {
  readonly monotonic: number;
  readonly wall: number;
  readonly uptime: number;
}

const RIGHT: Rates = { monotonic: 1, wall: 1, uptime: 1 };
/** A wall clock that was set back by just as long as the machine slept hides both: what no guard can see, docs/guard.md says so. */
const HIDDEN_US = 120_000;

export class Machine implements LeaseClock {
  readonly #schedule: Schedule;
  readonly #monotonic = new Clock(5_000_000);
  readonly #wall = new Clock(EPOCH_US);
  readonly #uptime = new Clock(3_600_000_000);
  #rates = RIGHT;
  #sleepsUntilUs = 0;
  #sleptSinceReadUs = 0;
  #read = { monotonicUs: 0, wallUs: 0 };
  /** What waits until it wakes up. */
  readonly #waiting: (() => void)[] = [];

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  get isAsleep(): boolean {
    return this.#schedule.nowUs < this.#sleepsUntilUs;
  }

  monotonicUs(): number {
    this.#unhide();
    return this.#read.monotonicUs;
  }

  wallUs(): number {
    return this.#read.wallUs;
  }

  /** As coarse as Linux tells it. */
  uptimeUs(): number {
    return Math.floor(this.#uptime.read(this.#schedule.nowUs) / 10_000) * 10_000;
  }

  setRates(rates: Rates): void {
    const { nowUs } = this.#schedule;
    this.#rates = rates;
    this.#monotonic.setRate(nowUs, this.isAsleep ? 0 : rates.monotonic);
    this.#wall.setRate(nowUs, rates.wall);
    this.#uptime.setRate(nowUs, rates.uptime);
  }

  stepWall(byUs: number): void {
    this.#wall.step(byUs);
  }

  /** Sets all clocks right. */
  heal(): void {
    this.#wake();
    this.setRates(RIGHT);
    this.#wall.step(EPOCH_US + this.#schedule.nowUs - this.#wall.read(this.#schedule.nowUs));
  }

  sleep(us: number): void {
    const { nowUs } = this.#schedule;
    if (this.isAsleep) return;
    this.#sleepsUntilUs = nowUs + us;
    this.#sleptSinceReadUs += us;
    this.#monotonic.setRate(nowUs, 0);
    this.#schedule.after(us, () => {
      if (!this.isAsleep) this.#wake();
    });
  }

  /** Does it now, or when the machine wakes up. */
  whenAwake(happen: () => void): void {
    if (this.isAsleep) this.#waiting.push(happen);
    else happen();
  }

  #wake(): void {
    const { nowUs } = this.#schedule;
    if (this.#sleepsUntilUs > nowUs) this.#sleepsUntilUs = nowUs;
    this.#monotonic.setRate(nowUs, this.#rates.monotonic);
    // What came last is often looked at first: sockets are polled in any order.
    for (const happen of this.#waiting.splice(0).reverse()) happen();
  }

  /** Reads the clocks, and never lets sleep and a set clock cancel each other out between two readings. */
  #unhide(): void {
    const { nowUs } = this.#schedule;
    const monotonicUs = Math.floor(this.#monotonic.read(nowUs));
    let wallUs = Math.floor(this.#wall.read(nowUs));
    const movedUs = wallUs - this.#read.wallUs - (monotonicUs - this.#read.monotonicUs);
    if (this.#sleptSinceReadUs > 0 && Math.abs(movedUs) < HIDDEN_US) {
      this.#wall.step(-2 * HIDDEN_US);
      wallUs -= 2 * HIDDEN_US;
    }
    this.#sleptSinceReadUs = 0;
    this.#read = { monotonicUs, wallUs };
  }
}
