const CAPACITY_MIN = 1024;

/** Counts by positive integer: open addressing, because a part's summary counts every name of every row. */
export class Tally {
  /** Pairs: integer (0: empty), count. */
  #slots = new Int32Array(CAPACITY_MIN * 2);
  #mask = CAPACITY_MIN - 1;
  #size = 0;

  add(id: number, count = 1): void {
    const slots = this.#slots;
    let at = spread(id) & this.#mask;
    while (slots[at * 2] !== id) {
      if (slots[at * 2] === 0) {
        slots[at * 2] = id;
        if (++this.#size * 2 > this.#mask) {
          slots[at * 2 + 1] = count;
          this.#grow();
          return;
        }
        break;
      }
      at = (at + 1) & this.#mask;
    }
    slots[at * 2 + 1]! += count;
  }

  /** What was counted: integers, and the count of each. */
  entries(): { ids: number[]; counts: number[] } {
    const ids: number[] = [];
    const counts: number[] = [];
    for (let i = 0; i < this.#slots.length; i += 2) {
      if (this.#slots[i] === 0) continue;
      ids.push(this.#slots[i]!);
      counts.push(this.#slots[i + 1]!);
    }
    return { ids, counts };
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    this.#size = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.add(old[i]!, old[i + 1]);
  }
}

/** Integers are given out one after the other: their low bits are spread already, but for what merges and rebuilds leave out. */
const spread = (id: number): number => Math.imul(id, 0x9e3779b1) >>> 7;
