/** What something was attached to lately: a ring, so that whoever asks again and again is told only what came since. */
import { randomUUID } from 'node:crypto';

const RING = 65_536;

export class Touched {
  /** Tells this graph's marks from those of one that was loaded anew. */
  readonly #name = randomUUID();
  readonly #ring = new Int32Array(RING);
  #count = 0;

  add(node: number): void {
    this.#ring[this.#count++ % RING] = node;
  }

  get mark(): string {
    return `${this.#name}/${this.#count}`;
  }

  /** Nodes since a mark; undefined where it is of another graph, or too long ago. */
  since(mark: string): Set<number> | undefined {
    const [name, text] = mark.split('/');
    const from = Number(text);
    if (name !== this.#name || !(from <= this.#count) || this.#count - from > RING) return undefined;
    const nodes = new Set<number>();
    for (let i = from; i < this.#count; i++) nodes.add(this.#ring[i % RING]!);
    return nodes;
  }
}
