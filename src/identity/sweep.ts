/** Drops from memory what has passed (`Graph.isPassed`), a few nodes at a time, so that nothing has to wait for it. */
import type { Graph } from './graph.js';

/** Nodes looked at in one step: well below a millisecond. */
const LOOKED_AT = 10_000;

export class Sweep {
  #next = 0;

  constructor(private readonly graph: Graph) {}

  /**
   * Looks at the next nodes. Nothing may be waiting to be saved.
   * @returns how many were dropped.
   */
  step(nowUs: number, count = LOOKED_AT): number {
    const { nodes } = this.graph;
    let dropped = 0;
    for (let i = Math.min(count, nodes.end); i > 0; i--) {
      if (this.#next >= nodes.end) this.#next = 0;
      const node = this.#next++;
      if (nodes.has(node)) dropped += this.#dropFrom(node, nowUs);
    }
    return dropped;
  }

  /** A node, and whatever it was the last to hang on. */
  #dropFrom(node: number, nowUs: number): number {
    const { graph } = this;
    const { nodes, edges } = graph;
    let dropped = 0;
    const stack = [node];
    for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
      if (!nodes.has(one) || !graph.isPassed(one, nowUs)) continue;
      for (let edge = edges.firstOfChild(one); edge >= 0; edge = edges.nextOfChild(edge))
        stack.push(edges.parent(edge));
      if (nodes.kind(one) === 'parent') stack.push(...graph.tokensOf(nodes.id(one)));
      graph.drop(one);
      dropped++;
    }
    return dropped;
  }
}
