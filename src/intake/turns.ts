/**
 * Fairness: how much intake does within one turn of the event loop, whoever asks for it. Encoding is work of milliseconds at a
 * time; of hundreds of uploads that came at once it would be seconds, in which nothing else is answered: neither health, nor
 * the event log's own connections.
 */
export class Turns {
  readonly #waiting: { readonly weight: number; readonly begin: () => void }[] = [];
  #spent = 0;
  #scheduled = false;

  /** @param budget what one turn may take; a single piece of work that weighs more takes a turn for itself */
  constructor(private readonly budget: number) {}

  /** Undefined: begin at once. Else resolves when it is this one's turn: first come, first served. */
  take(weight: number): Promise<void> | undefined {
    this.#schedule();
    if (this.#waiting.length === 0 && this.#fits(weight)) {
      this.#spent += weight;
      return undefined;
    }
    return new Promise((begin) => this.#waiting.push({ weight, begin }));
  }

  #fits(weight: number): boolean {
    return this.#spent === 0 || this.#spent + weight <= this.budget;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#spent = 0;
      while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.weight)) {
        const { weight, begin } = this.#waiting.shift()!;
        this.#spent += weight;
        begin();
      }
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}
