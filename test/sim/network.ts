/** The network: it loses, doubles, delays, overtakes, cuts off and flips bits. What arrives late arrives all the same. */
import type { Dice } from '../chaos/dice.js';
import type { Schedule } from './schedule.js';

/** Kinds of misfortune that can be counted. */
export const FAULTS = [
  ...['lost', 'doubled', 'overtaken', 'delayed', 'partitioned', 'flipped', 'replayed'],
  ...['instance restarted', 'feed restarted', 'instance asleep', 'feed asleep', 'clock set', 'clock drifts'],
  ...['term taken over', 'zombie writes', 'write lost', 'write done but reported lost', 'fold stalled'],
  ...['stale snapshot', 'feed cut off from the database', 'feed on a stale database', 'database clock set'],
  ...['instance replaced', 'false ack', 'cases restarted', 'cases asleep', 'cases cut off from the database'],
] as const;

export type Fault = (typeof FAULTS)[number];

export class FaultCounts {
  readonly counts = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;

  happened(fault: Fault): void {
    this.counts[fault]++;
  }
}

/** One way between an instance and a feed process. */
export class Link {
  isCut = false;
  /** Only what tells of changes is lost: a grant may come through. */
  losesChanges = false;
  #sent = 0;
  #arrived = 0;

  number(): number {
    return this.#sent++;
  }

  /** Whether a later message arrived before. */
  arrive(number: number): boolean {
    const isOvertaken = number < this.#arrived;
    this.#arrived = Math.max(this.#arrived, number);
    return isOvertaken;
  }
}

/** Messages that can be played again. */
const KEPT = 64;

export class Network {
  /** Whether anything goes wrong. */
  isBad = true;
  readonly #seen: Uint8Array[] = [];

  constructor(
    private readonly schedule: Schedule,
    private readonly dice: Dice,
    private readonly faults: FaultCounts,
  ) {}

  /** A message that was on its way some time ago. */
  replay(): Uint8Array | undefined {
    const seen = this.#seen[this.dice.between(0, KEPT - 1)];
    if (seen !== undefined) this.faults.happened('replayed');
    return seen;
  }

  send(link: Link, bytes: Uint8Array, arrive: (bytes: Uint8Array) => void): void {
    this.#seen[this.dice.between(0, KEPT - 1)] = bytes;
    if (link.isCut || (link.losesChanges && isChange(bytes))) {
      this.faults.happened('partitioned');
      return;
    }
    if (!this.isBad) {
      this.#deliver(link, bytes, this.dice.between(200, 20_000), arrive);
      return;
    }
    const luck = this.dice.between(0, 99);
    if (luck < 4) {
      this.faults.happened('lost');
      return;
    }
    if (luck < 8) {
      this.faults.happened('doubled');
      this.#deliver(link, bytes, this.#delayUs(), arrive);
    }
    if (luck >= 8 && luck < 10) {
      this.faults.happened('flipped');
      const flipped = Uint8Array.from(bytes);
      const bit = this.dice.between(0, bytes.length * 8 - 1);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      this.#deliver(link, flipped, this.#delayUs(), arrive);
      return;
    }
    this.#deliver(link, bytes, this.#delayUs(), arrive);
  }

  #delayUs(): number {
    if (this.dice.between(0, 9) > 0) return this.dice.between(200, 200_000);
    this.faults.happened('delayed');
    return this.dice.between(1_000_000, this.dice.pick([5_000_000, 20_000_000, 90_000_000]));
  }

  #deliver(link: Link, bytes: Uint8Array, afterUs: number, arrive: (bytes: Uint8Array) => void): void {
    const number = link.number();
    this.schedule.after(afterUs, () => {
      if (link.arrive(number)) this.faults.happened('overtaken');
      arrive(bytes);
    });
  }
}

/** A frame or a snapshot. */
const isChange = (bytes: Uint8Array): boolean =>
  ['KRF1', 'KRS1'].includes(String.fromCharCode(...bytes.subarray(0, 4)));
