/** What something was attached to lately: a ring, so that whoever asks again and again is told only what came since. */
import { randomUUID } from 'node:crypto';
import { Column } from './column.js';

const RING = 65_536;

export class Touched {
  /** Tells this graph's marks from those of one that was loaded anew. */
  readonly #name = randomUUID();
  readonly #ring = new Int32Array(RING);
  #count = 0;
  /** How many marks were given, and by node, how many when it was added last: between two marks a node counts once. */
  #marks = 1;
  readonly #added = new Column(Uint32Array);

  add(node: number): void {
    this.#added.reserve(node + 1);
    if (this.#added.array[node] === this.#marks) return;
    this.#added.array[node] = this.#marks;
    this.#ring[this.#count++ % RING] = node;
  }

  get mark(): string {
    this.#marks++;
    return `${this.#name}/${this.#count}`;
  }

  get bytes(): number {
    return this.#added.bytes;
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
