/**
 * Edges between nodes: lists threaded through arrays, walked in either direction. An edge gets further roles, and goes only with its
 * child.
 */
import { Column } from './column.js';

/** A child's parents are looked through up to so many; of a child with more a map is kept. */
const LOOKED_THROUGH_MAX = 64;

export class Edges {
  /** Edges are numbers below this; those that were removed are in between. */
  end = 0;
  readonly #parents = new Column(Int32Array);
  readonly #children = new Column(Int32Array);
  /** 0: removed. */
  readonly #roles = new Column(Uint8Array);
  /** When it last got a new role, whole seconds: an entry that is not later may be the earlier word for one of its roles. */
  readonly #seconds = new Column(Uint32Array);
  /** Next and previous edge of the same parent, next of the same child: edge + 1, or 0. */
  readonly #nextOfParent = new Column(Int32Array);
  readonly #previousOfParent = new Column(Int32Array);
  readonly #nextOfChild = new Column(Int32Array);
  /** First edge of a node as parent, as child. */
  readonly #ofParent = new Column(Int32Array);
  readonly #ofChild = new Column(Int32Array);
  readonly #ofEdge = [
    this.#parents,
    this.#children,
    this.#roles,
    this.#seconds,
    this.#nextOfParent,
    this.#previousOfParent,
    this.#nextOfChild,
  ];
  readonly #free: number[] = [];
  /** Of children with many parents: parent → edge. */
  readonly #many = new Map<number, Map<number, number>>();

  /**
   * Adds an edge, or roles to it.
   * @returns its number where that says something new, or may be earlier than what said it before; else −1.
   */
  add(parent: number, child: number, roles: number, atUs: number): number {
    const second = Math.floor(atUs / 1e6);
    const known = this.#find(parent, child);
    if (known >= 0) {
      const before = this.#roles.array[known]!;
      if ((before | roles) !== before) {
        this.#roles.array[known] = before | roles;
        this.#seconds.array[known] = Math.max(this.#seconds.array[known]!, second);
        return known;
      }
      return second <= this.#seconds.array[known]! ? known : -1;
    }
    const edge = this.#make(Math.max(parent, child) + 1);
    this.#parents.array[edge] = parent;
    this.#children.array[edge] = child;
    this.#roles.array[edge] = roles;
    this.#seconds.array[edge] = second;
    const next = this.#ofParent.array[parent]!;
    this.#nextOfParent.array[edge] = next;
    this.#previousOfParent.array[edge] = 0;
    if (next !== 0) this.#previousOfParent.array[next - 1] = edge + 1;
    this.#nextOfChild.array[edge] = this.#ofChild.array[child]!;
    this.#ofParent.array[parent] = edge + 1;
    this.#ofChild.array[child] = edge + 1;
    this.#many.get(child)?.set(parent, edge);
    return edge;
  }

  /** Removes every edge to a child. */
  removeOf(child: number): void {
    for (let edge = this.firstOfChild(child); edge >= 0; edge = this.nextOfChild(edge)) {
      const next = this.#nextOfParent.array[edge]!;
      const previous = this.#previousOfParent.array[edge]!;
      if (next !== 0) this.#previousOfParent.array[next - 1] = previous;
      if (previous !== 0) this.#nextOfParent.array[previous - 1] = next;
      else this.#ofParent.array[this.#parents.array[edge]!] = next;
      this.#roles.array[edge] = 0;
      this.#free.push(edge);
    }
    if (child < this.#ofChild.array.length) this.#ofChild.array[child] = 0;
    this.#many.delete(child);
  }

  parent(edge: number): number {
    return this.#parents.array[edge]!;
  }

  child(edge: number): number {
    return this.#children.array[edge]!;
  }

  /** 0: the edge was removed. */
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
    return [...this.#ofEdge, this.#ofParent, this.#ofChild].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #find(parent: number, child: number): number {
    const many = this.#many.get(child);
    if (many !== undefined) return many.get(parent) ?? -1;
    let looked = 0;
    for (let edge = this.firstOfChild(child); edge >= 0; edge = this.nextOfChild(edge)) {
      if (this.#parents.array[edge] === parent) return edge;
      looked++;
    }
    if (looked > LOOKED_THROUGH_MAX) this.#keepMany(child);
    return -1;
  }

  #keepMany(child: number): void {
    const many = new Map<number, number>();
    for (let edge = this.firstOfChild(child); edge >= 0; edge = this.nextOfChild(edge))
      many.set(this.parent(edge), edge);
    this.#many.set(child, many);
  }

  #make(nodes: number): number {
    this.#ofParent.reserve(nodes);
    this.#ofChild.reserve(nodes);
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const edge = this.end++;
    for (const column of this.#ofEdge) column.reserve(this.end);
    return edge;
  }
}
