/** The time of a lease against true time, whatever happens to the clocks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseTime, type LeaseClock, type Moment } from '../../src/protocol/lease-time.js';

const MS = 1000;
const S = 1_000_000;
/** What a set clock and a suspension may differ by and still hide each other: the limit that docs/guard.md states. */
const HIDDEN_US = 50 * MS;
/** What numbers of the size of a wall clock can't say, many times over. */
const ROUNDED_US = 20;
/** How much faster or slower a clock may go. */
const DRIFT = 0.01;

type Happening =
  | { readonly kind: 'pass'; readonly us: number }
  | { readonly kind: 'suspend'; readonly us: number }
  | { readonly kind: 'set'; readonly us: number }
  | { readonly kind: 'read' };

/** Clocks that go at rates of their own, and what is really the time. */
class Clocks implements LeaseClock {
  trueUs = 0;
  /** What was hidden from everybody: suspensions that a set clock took back before anybody looked. */
  hiddenUs = 0;
  #monotonicUs = 7_000_000;
  #wallUs = 1_790_000_000_000_000;
  #uptimeUs = 90_000_000;
  #last = { monotonicUs: this.#monotonicUs, wallUs: this.#wallUs };
  #suspendedUs = 0;

  constructor(private readonly rates: { readonly monotonic: number; readonly wall: number; readonly uptime: number }) {}

  monotonicUs = (): number => this.#monotonicUs;
  wallUs = (): number => this.#wallUs;
  uptimeUs = (): number => Math.floor(this.#uptimeUs / (10 * MS)) * 10 * MS;

  happen(one: Happening, time: LeaseTime): void {
    switch (one.kind) {
      case 'pass':
        this.#monotonicUs += one.us * this.rates.monotonic;
        return this.#goOn(one.us);
      case 'suspend':
        this.#suspendedUs += one.us;
        return this.#goOn(one.us);
      case 'set':
        this.#wallUs += one.us;
        return;
      case 'read':
        this.#look();
        time.read();
    }
  }

  #goOn(us: number): void {
    this.trueUs += us;
    this.#wallUs += us * this.rates.wall;
    this.#uptimeUs += us * this.rates.uptime;
  }

  #look(): void {
    const movedUs = this.#wallUs - this.#last.wallUs - (this.#monotonicUs - this.#last.monotonicUs);
    if (Math.abs(movedUs) <= HIDDEN_US + ROUNDED_US) this.hiddenUs += this.#suspendedUs;
    this.#suspendedUs = 0;
    this.#last = { monotonicUs: this.#monotonicUs, wallUs: this.#wallUs };
  }
}

const us = (max: number): fc.Arbitrary<number> => fc.oneof(fc.nat(100 * MS), fc.nat(5 * S), fc.nat(max));
const pass = us(300 * S).map((us): Happening => ({ kind: 'pass', us }));
const suspend = us(3600 * S).map((us): Happening => ({ kind: 'suspend', us }));
const set = fc
  .tuple(fc.constantFrom(-1, 1), us(86_400 * S))
  .map(([sign, us]): Happening => ({ kind: 'set', us: sign * us }));
const read = fc.constant<Happening>({ kind: 'read' });
const rate = fc.double({ min: 1 / (1 + DRIFT), max: 1 + DRIFT, noNaN: true });
const rates = fc.record({ monotonic: rate, wall: rate, uptime: rate });

/** Plays it; after each reading what passed since every moment that was remembered before. */
function play(
  clocks: Clocks,
  happenings: readonly Happening[],
  hold: (passedUs: number, trueUs: number, hiddenUs: number) => void,
): void {
  const time = new LeaseTime(clocks);
  const moments: { moment: Moment; trueUs: number; hiddenUs: number }[] = [];
  for (const one of happenings) {
    clocks.happen(one, time);
    if (one.kind !== 'read') continue;
    moments.push({ moment: time.moment(), trueUs: clocks.trueUs, hiddenUs: clocks.hiddenUs });
    for (const { moment, trueUs, hiddenUs } of moments) {
      hold(time.sinceUs(moment), clocks.trueUs - trueUs, clocks.hiddenUs - hiddenUs);
    }
  }
}

describe('the time of a lease', () => {
  it('is never less than what passed, whatever is set, suspended and drifts, but for what hid before anybody looked', () => {
    fc.assert(
      fc.property(rates, fc.array(fc.oneof(pass, suspend, set, read, read), { maxLength: 60 }), (rates, happenings) => {
        play(new Clocks(rates), happenings, (passedUs, trueUs, hiddenUs) => {
          expect(passedUs).toBeGreaterThanOrEqual((trueUs - hiddenUs) / (1 + DRIFT) - ROUNDED_US);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('counts a suspension between a reading and a moment that is remembered', () => {
    const clocks = new Clocks({ monotonic: 1, wall: 1, uptime: 1 });
    const time = new LeaseTime(clocks);
    const before = time.moment();
    clocks.happen({ kind: 'pass', us: S }, time);
    time.read();
    // While a whole table is read, say.
    clocks.happen({ kind: 'suspend', us: 100 * S }, time);
    time.moment();
    time.read();
    expect(time.sinceUs(before)).toBeGreaterThanOrEqual(101 * S);
  });

  it('hides nothing by itself: without a set clock a suspension counts', () => {
    fc.assert(
      fc.property(rates, fc.array(fc.oneof(pass, suspend, read, read), { maxLength: 60 }), (rates, happenings) => {
        play(new Clocks({ ...rates, wall: rates.monotonic }), happenings, (passedUs, trueUs) => {
          expect(passedUs).toBeGreaterThanOrEqual(trueUs / (1 + DRIFT) - ROUNDED_US);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('is never more than 1 % and 20 ms ahead where clocks are healthy', () => {
    // One oscillator, and a wall clock that is slewed by 500 ppm (ntpd’s limit).
    const healthy = fc
      .tuple(fc.double({ min: 0.9915, max: 1.0085, noNaN: true }), fc.double({ min: -5e-4, max: 5e-4, noNaN: true }))
      .map(([rate, slew]) => ({ monotonic: rate, wall: rate + slew, uptime: rate }));
    fc.assert(
      fc.property(healthy, fc.array(fc.oneof(pass, read, read), { maxLength: 80 }), (rates, happenings) => {
        play(new Clocks(rates), happenings, (passedUs, trueUs) => {
          expect(passedUs).toBeLessThanOrEqual(trueUs * (1 + DRIFT) + 20 * MS);
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a jump', () => {
  const steady = { monotonic: 1, wall: 1, uptime: 1 };

  it('is more than 50 ms between the clocks, either way', () => {
    for (const [us, sinceUs] of [
      [50 * MS, 50 * MS],
      [-50 * MS, 0],
      // Uptime decides: nothing passed, but for what it can't tell.
      [50 * MS + 1, 10 * MS],
      [-50 * MS - 1, 10 * MS],
    ] as const) {
      const clocks = new Clocks(steady);
      const time = new LeaseTime(clocks);
      const moment = time.moment();
      clocks.happen({ kind: 'set', us }, time);
      time.read();
      expect(time.sinceUs(moment)).toBe(sinceUs);
    }
  });

  it('is one: clocks go on evenly behind it', () => {
    const clocks = new Clocks(steady);
    const time = new LeaseTime(clocks);
    const moment = time.moment();
    clocks.happen({ kind: 'suspend', us: 60 * S }, time);
    for (let i = 0; i < 100; i++) {
      time.read();
      clocks.happen({ kind: 'pass', us: MS }, time);
    }
    expect(time.sinceUs(moment)).toBe(60 * S + 10 * MS + 99 * MS);
    clocks.happen({ kind: 'set', us: -3600 * S }, time);
    for (let i = 0; i < 100; i++) {
      time.read();
      clocks.happen({ kind: 'pass', us: MS }, time);
    }
    expect(time.sinceUs(moment)).toBeLessThanOrEqual(60 * S + 220 * MS);
    expect(time.wallClockUs).toBe(clocks.wallUs() - MS);
  });
});
