/** Randomness that can be played again: `CHAOS_SEED=… npm run test:chaos`. */
export class Dice {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** From CHAOS_SEED, else a new one, which is printed. */
  static fromEnvironment(label: string): Dice {
    const dice = new Dice(Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31)));
    console.log(`chaos of ${label}: CHAOS_SEED=${dice.seed}`);
    return dice;
  }

  /** A whole number from `min` to `max`, both included (mulberry32). */
  between(min: number, max: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return min + Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * (max - min + 1));
  }

  pick<T>(of: readonly T[]): T {
    return of[this.between(0, of.length - 1)]!;
  }
}
