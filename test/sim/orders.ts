/** What is said in lifecycle: orders, lifts, cutoffs, what is forgotten, and how stale a table may be. */
import { NAMES, TOOLS } from './names.js';
import type { Simulation } from './simulation.js';
import { SKEW_US, type Said } from './world.js';

/** Orders that are open at once. */
const MAX_OPEN = 2;

export class Orders {
  /** How many orders there were. */
  count = 0;

  constructor(private readonly on: Simulation) {}

  /** Says something at random; what. */
  say(isBad: boolean): string {
    const { dice, processor } = this.on;
    if (dice.between(0, 7) === 0) {
      processor.register(dice.pick(TOOLS), dice.pick([undefined, 15e6, 30e6, 60e6]));
      return 'tool';
    }
    const said = this.#draw();
    processor.say(said, isBad);
    if (isBad && dice.between(0, 4) === 0) processor.sayAsZombie(this.#draw());
    return said.map(({ what }) => what).join(' and ');
  }

  /** Orders something. */
  block(): void {
    this.on.processor.say([this.#block()], false);
  }

  #draw(): Said[] {
    const { dice, world } = this.on;
    // So that there is always somebody to allow, and somebody to refuse.
    if (world.open().size > MAX_OPEN) return [...this.#lift()];
    const luck = dice.between(0, 9);
    if (luck < 4) return [this.#block()];
    if (luck < 6) return [...this.#lift()];
    if (luck < 8) return [this.#cutoff()];
    return [{ what: 'expire', names: NAMES.filter(() => dice.between(0, 3) === 0) }];
  }

  #block(): Said {
    const { dice } = this.on;
    const names = [...new Set(Array.from({ length: dice.between(1, 3) }, () => dice.pick(NAMES)))];
    return { what: 'block', names, order: String(this.count++) };
  }

  /** Lifts an order that is open; a token is issued in the last microsecond that is too early, or right behind it. */
  *#lift(): Generator<Said> {
    const { dice, world, wallUs } = this.on;
    const open = [...world.open()];
    if (open.length === 0) return;
    const [order, names] = dice.pick(open);
    this.#mintAt(wallUs);
    yield { what: 'lift', names, order, atUs: wallUs };
  }

  #cutoff(): Said {
    const { dice, wallUs } = this.on;
    const atUs = wallUs - dice.between(0, 300_000_000);
    this.#mintAt(atUs);
    return { what: 'cutoff', names: [dice.pick(NAMES)], atUs };
  }

  #mintAt(cutoffUs: number): void {
    const { dice } = this.on;
    this.on.mint(dice.pick([undefined, cutoffUs + SKEW_US, cutoffUs + SKEW_US, cutoffUs + SKEW_US + 1]));
  }
}
