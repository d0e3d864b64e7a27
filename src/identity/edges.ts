/**
 * Edges between nodes: lists threaded through arrays, walked in either direction. An edge gets further roles, and goes only with its
 * child. Of a parent the edges to leaves (tokens: nothing hangs on them) are a list of their own, behind the others.
 */
import { Column, Columns } from './column.js';

/** Bits beside the roles of an edge: its child is a leaf; it is the one that its child is summed up by (sums.ts). */
const MARK = { leaf: 128, held: 64 } as const;
const ROLES_MASK = 63;

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
  /** Next edge of the same parent, of the same child: edge + 1, or 0. Removed edges stay in the list of their parent for a while. */
  readonly #nextOfParent = new Column(Int32Array);
  readonly #nextOfChild = new Column(Int32Array);
  /** First edge of a node as parent, as parent of leaves, as child. */
  readonly #ofParent = new Column(Int32Array);
  readonly #leavesOf = new Column(Int32Array);
  readonly #ofChild = new Column(Int32Array);
  /** Of a parent: how many edges it has, and (where there are any) how many removed ones are in its list. */
  readonly #counts = new Column(Int32Array);
  readonly #removed = new Map<number, number>();
  readonly #ofEdge = new Columns(
    this.#parents,
    this.#children,
    this.#roles,
    this.#seconds,
    this.#nextOfParent,
    this.#nextOfChild,
  );
  readonly #byParent = new Columns(this.#ofParent, this.#leavesOf, this.#counts);
  readonly #free: number[] = [];
  /** Of children with many parents: parent → edge. */
  readonly #many = new Map<number, Map<number, number>>();

  /**
   * Adds an edge, or roles to it.
   * @param isLeaf whether the child is a leaf: of the same child always the same.
   * @returns its number where that says something new, or may be earlier than what said it before; else −1.
   */
  add(parent: number, child: number, roles: number, atUs: number, isLeaf: boolean): number {
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
    const edge = this.#make(parent, child);
    const { array: first } = isLeaf ? this.#leavesOf : this.#ofParent;
    this.#parents.array[edge] = parent;
    this.#children.array[edge] = child;
    this.#roles.array[edge] = isLeaf ? roles | MARK.leaf : roles;
    this.#seconds.array[edge] = second;
    this.#nextOfParent.array[edge] = first[parent]!;
    this.#nextOfChild.array[edge] = this.#ofChild.array[child]!;
    first[parent] = edge + 1;
    this.#ofChild.array[child] = edge + 1;
    this.#counts.array[parent]!++;
    this.#many.get(child)?.set(parent, edge);
    return edge;
  }

  /** Removes every edge to a child. */
  removeOf(child: number): void {
    for (let edge = this.firstOfChild(child); edge >= 0; edge = this.nextOfChild(edge)) {
      const parent = this.#parents.array[edge]!;
      const left = --this.#counts.array[parent]!;
      const removed = (this.#removed.get(parent) ?? 0) + 1;
      this.#roles.array[edge] = 0;
      this.#removed.set(parent, removed);
      // To look through the list costs no more than all the removals before it.
      if (removed >= left) this.#tidy(parent);
    }
    if (child < this.#ofChild.array.length) this.#ofChild.array[child] = 0;
    this.#many.delete(child);
  }

  /** Whether anything hangs on a node. */
  hasChildren(node: number): boolean {
    return (this.#counts.array[node] ?? 0) > 0;
  }

  parent(edge: number): number {
    return this.#parents.array[edge]!;
  }

  child(edge: number): number {
    return this.#children.array[edge]!;
  }

  /** 0: the edge was removed. */
  roles(edge: number): number {
    return this.#roles.array[edge]! & ROLES_MASK;
  }

  /** Whether its child is a leaf. */
  isLeaf(edge: number): boolean {
    return (this.#roles.array[edge]! & MARK.leaf) !== 0;
  }

  /** The child is summed up by this edge. */
  hold(edge: number): void {
    this.#roles.array[edge]! |= MARK.held;
  }

  isHeld(edge: number): boolean {
    return (this.#roles.array[edge]! & MARK.held) !== 0;
  }

  /** The first edge to a child of this node, leaves come last; −1: none. */
  firstOfParent(node: number): number {
    const edge = this.#passRemoved((this.#ofParent.array[node] ?? 0) - 1);
    return edge < 0 ? this.firstLeafOf(node) : edge;
  }

  nextOfParent(edge: number): number {
    const next = this.#passRemoved(this.#nextOfParent.array[edge]! - 1);
    return next < 0 && !this.isLeaf(edge) ? this.firstLeafOf(this.parent(edge)) : next;
  }

  /** The first edge to a leaf; leaves alone follow. */
  firstLeafOf(node: number): number {
    return this.#passRemoved((this.#leavesOf.array[node] ?? 0) - 1);
  }

  /** The first edge to a parent of this node; −1: none. */
  firstOfChild(node: number): number {
    return (this.#ofChild.array[node] ?? 0) - 1;
  }

  nextOfChild(edge: number): number {
    return this.#nextOfChild.array[edge]! - 1;
  }

  get bytes(): number {
    return this.#ofEdge.bytes + this.#byParent.bytes + this.#ofChild.bytes;
  }

  /** This edge of a parent, or the next that was not removed. */
  #passRemoved(edge: number): number {
    while (edge >= 0 && this.#roles.array[edge] === 0) edge = this.#nextOfParent.array[edge]! - 1;
    return edge;
  }

  /** Takes what was removed out of the lists of a parent. */
  #tidy(parent: number): void {
    for (const { array: first } of [this.#ofParent, this.#leavesOf]) {
      let last = -1;
      for (let edge = first[parent]! - 1; edge >= 0; edge = this.#nextOfParent.array[edge]! - 1) {
        if (this.#roles.array[edge] === 0) {
          this.#free.push(edge);
          continue;
        }
        if (last < 0) first[parent] = edge + 1;
        else this.#nextOfParent.array[last] = edge + 1;
        last = edge;
      }
      if (last < 0) first[parent] = 0;
      else this.#nextOfParent.array[last] = 0;
    }
    this.#removed.delete(parent);
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

  #make(parent: number, child: number): number {
    this.#byParent.reserve(parent + 1);
    this.#ofChild.reserve(child + 1);
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const edge = this.end++;
    this.#ofEdge.reserve(this.end);
    return edge;
  }
}
