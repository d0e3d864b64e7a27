/**
 * Who writes lifecycle: one process at a time holds the term, and one that lost it may not know yet. A write can be lost, or be done and
 * reported lost; then it is written again under the same name.
 */
import type { Dice } from '../chaos/dice.js';
import type { FaultCounts } from './network.js';
import type { Entry, Said } from './world.js';

/** Appends an entry; false where it is there. */
export type Commit = (entry: Entry) => boolean;

export class Processor {
  #term = 0;
  #named = 0;
  /** What is written until it is known to be there. */
  #unsure: Entry[] = [];

  constructor(
    private readonly dice: Dice,
    private readonly faults: FaultCounts,
    private readonly commit: Commit,
  ) {
    this.#takeTerm();
  }

  takeOver(): void {
    this.faults.happened('term taken over');
    this.#unsure = [];
    this.#takeTerm();
  }

  say(said: readonly Said[], isBad: boolean): void {
    this.#write({ id: `part ${this.#named++}`, term: this.#term, said }, isBad);
  }

  /** Anybody registers a tool: that has nothing to do with a term. */
  register(tool: string, stalenessUs: number | undefined): void {
    this.commit({ id: `tool ${this.#named++}`, tool, stalenessUs });
  }

  /** Writes what it does not know to be there. */
  retry(isBad: boolean): void {
    for (const entry of this.#unsure.splice(0)) this.#write(entry, isBad);
  }

  /** Somebody who lost the term some time ago writes all the same. */
  sayAsZombie(said: readonly Said[]): void {
    if (this.#term < 2) return;
    this.faults.happened('zombie writes');
    this.commit({ id: `part ${this.#named++}`, term: this.dice.between(1, this.#term - 1), said });
  }

  #takeTerm(): void {
    this.#term++;
    this.commit({ id: `term ${this.#term}`, term: this.#term });
  }

  #write(entry: Entry, isBad: boolean): void {
    const luck = isBad ? this.dice.between(0, 9) : 9;
    if (luck < 2) this.faults.happened('write lost');
    else this.commit(entry);
    if (luck >= 2 && luck < 4) this.faults.happened('write done but reported lost');
    if (luck < 4) this.#unsure.push(entry);
  }
}
