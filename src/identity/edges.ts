/** Edges between nodes: lists threaded through arrays, walked in either direction. They are only ever added, or get further roles. */
import { Column } from './column.js';

export class Edges {
  /** How many there are: edges are 0 … count − 1. */
  count = 0;
  readonly #parents = new Column(Int32Array);
  readonly #children = new Column(Int32Array);
  readonly #roles = new Column(Uint8Array);
  /** Next edge of the same parent, of the same child: edge + 1, or 0. */
  readonly #nextOfParent = new Column(Int32Array);
  readonly #nextOfChild = new Column(Int32Array);
  /** First edge of a node as parent, as child. */
  readonly #ofParent = new Column(Int32Array);
  readonly #ofChild = new Column(Int32Array);

  /** Adds an edge, or roles to it. Answers its number where that says something new, else −1. A child's parents are few: they are looked through. */
  add(parent: number, child: number, roles: number): number {
    for (let edge = this.firstOfChild(child); edge >= 0; edge = this.nextOfChild(edge)) {
      if (this.#parents.array[edge] !== parent) continue;
      const before = this.#roles.array[edge]!;
      this.#roles.array[edge] = before | roles;
      return (before | roles) === before ? -1 : edge;
    }
    const edge = this.count++;
    const nodes = Math.max(parent, child) + 1;
    this.#ofParent.reserve(nodes);
    this.#ofChild.reserve(nodes);
    for (const column of [this.#parents, this.#children, this.#nextOfParent, this.#nextOfChild, this.#roles]) {
      column.reserve(this.count);
    }
    this.#parents.array[edge] = parent;
    this.#children.array[edge] = child;
    this.#roles.array[edge] = roles;
    this.#nextOfParent.array[edge] = this.#ofParent.array[parent]!;
    this.#nextOfChild.array[edge] = this.#ofChild.array[child]!;
    this.#ofParent.array[parent] = edge + 1;
    this.#ofChild.array[child] = edge + 1;
    return edge;
  }

  parent(edge: number): number {
    return this.#parents.array[edge]!;
  }

  child(edge: number): number {
    return this.#children.array[edge]!;
  }

  roles(edge: number): number {
    return this.#roles.array[edge]!;
  }

  /** The first edge to a child of this node; −1: none. */
  firstOfParent(node: number): number {
    return (this.#ofParent.array[node] ?? 0) - 1;
  }

  nextOfParent(edge: number): number {
    return this.#nextOfParent.array[edge]! - 1;
  }

  /** The first edge to a parent of this node; −1: none. */
  firstOfChild(node: number): number {
    return (this.#ofChild.array[node] ?? 0) - 1;
  }

  nextOfChild(edge: number): number {
    return this.#nextOfChild.array[edge]! - 1;
  }

  get bytes(): number {
    return [
      this.#parents,
      this.#children,
      this.#roles,
      this.#nextOfParent,
      this.#nextOfChild,
      this.#ofParent,
      this.#ofChild,
    ].reduce((sum, { bytes }) => sum + bytes, 0);
  }
}
