/** What is still to happen, by true time: the only clock in the simulation that nobody can set. */

interface Planned {
  readonly atUs: number;
  readonly number: number;
  readonly happen: () => void;
}

export class Schedule {
  /** Microseconds since the simulation began. */
  nowUs = 0;
  /** A heap: no plan comes before the one at half its place. */
  readonly #plans: Planned[] = [];
  #planned = 0;

  after(us: number, happen: () => void): void {
    const plan = { atUs: this.nowUs + us, number: this.#planned++, happen };
    let at = this.#plans.push(plan) - 1;
    for (; at > 0; at = (at - 1) >> 1) {
      const above = this.#plans[(at - 1) >> 1]!;
      if (!isBefore(plan, above)) break;
      this.#plans[at] = above;
    }
    this.#plans[at] = plan;
  }

  /** Lets so much time pass, and happen what is due in it. */
  pass(us: number): void {
    const untilUs = this.nowUs + us;
    for (let next = this.#plans[0]; next !== undefined && next.atUs <= untilUs; next = this.#plans[0]) {
      this.#takeFirst();
      this.nowUs = Math.max(this.nowUs, next.atUs);
      next.happen();
    }
    this.nowUs = untilUs;
  }

  #takeFirst(): void {
    const plans = this.#plans;
    const last = plans.pop()!;
    if (plans.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= plans.length) break;
      if (below + 1 < plans.length && isBefore(plans[below + 1]!, plans[below]!)) below++;
      if (!isBefore(plans[below]!, last)) break;
      plans[at] = plans[below]!;
      at = below;
    }
    plans[at] = last;
  }
}

const isBefore = (a: Planned, b: Planned): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.number < b.number);
