/**
 * Sums over the tokens of an agent, kept up as entries come, so that whoever asks what many agents reach need not look at each token.
 * A token is held by one agent at most, the first that it names, and is summed up there alone.
 *
 * What entries add is added. Where a sum would have to shrink it is given up, and made anew from the tokens when it is asked for.
 */
import { Column, Columns } from './column.js';
import type { Edges } from './edges.js';
import { ROLE, type NodeKind } from './kinds.js';

/** What is asked of the graph. */
interface Tokens {
  readonly nodes: { kind(node: number): NodeKind };
  readonly edges: Edges;
  isExchanged(token: number): boolean;
  isEnded(token: number): boolean;
  isLive(token: number, nowUs: number): boolean;
  expiresUs(token: number): number;
  usedDay(token: number): number;
}

/** Of a token: an agent holds it. Of what tokens hang on: some of them are held by others, or by nobody; it has a sum. */
const MARK = { held: 1, beside: 2, summed: 4 } as const;

/** Over these edges a token is somebody's. */
const THEIRS = ROLE.names | ROLE.user;

/** The points of a sum are bits; the last one stands for all points that have none of their own, and makes the sum useless. */
const WORD_BITS = 32;
const POINTS_MAX = 2 * WORD_BITS - 1;

/** Points as bits of two words. */
export class PointMask {
  low = 0;
  high = 0;
}

export class TokenSums {
  readonly #marks = new Column(Uint8Array);
  readonly #counts = new Column(Uint32Array);
  /** A sum is of the tokens that live at a time from … until …, microseconds; since Infinity: it was given up. */
  readonly #sinceUs = new Column(Float64Array);
  readonly #untilUs = new Column(Float64Array);
  readonly #usedDays = new Column(Uint16Array);
  readonly #low = new Column(Uint32Array);
  readonly #high = new Column(Uint32Array);
  readonly #columns = new Columns(this.#counts, this.#sinceUs, this.#untilUs, this.#usedDays, this.#low, this.#high);
  /** Points that have a bit, and which. */
  readonly #points: number[] = [];
  readonly #bits = new Map<number, number>();

  constructor(private readonly graph: Tokens) {}

  /** An edge to a token has got roles. */
  hear(edge: number, roles: number): void {
    const { edges, nodes } = this.graph;
    const parent = edges.parent(edge);
    const token = edges.child(edge);
    if ((roles & ROLE.names) !== 0 && !this.#is(token, MARK.held) && nodes.kind(parent) === 'agent') {
      edges.hold(edge);
      this.#mark(token, MARK.held);
      if (!this.#is(parent, MARK.summed)) this.#begin(parent, 0);
      this.#add(parent, token);
    } else if ((roles & THEIRS) !== 0 && !edges.isHeld(edge)) this.#mark(parent, MARK.beside);
    if ((roles & ROLE.caches) === 0) return;
    const holder = this.holderOf(token);
    if (holder >= 0 && this.#isIn(holder, token)) this.#addPoint(holder, parent);
  }

  /** A decision of this day names a token. */
  noteUse(token: number, day: number): void {
    const holder = this.holderOf(token);
    if (holder < 0 || !this.#isIn(holder, token)) return;
    if (day > this.#usedDays.array[holder]!) this.#usedDays.array[holder] = day;
  }

  /** A token ends later than was known; 0 before: it was not known to end. */
  extend(token: number, beforeUs: number, afterUs: number): void {
    const holder = this.holderOf(token);
    if (holder < 0) return;
    if (beforeUs === 0) this.#limit(holder, afterUs);
    else if (beforeUs <= this.#sinceUs.array[holder]!) this.giveUp(token);
  }

  /** A token changes in a way that can't be added. */
  giveUp(token: number): void {
    const holder = this.holderOf(token);
    if (holder >= 0) this.#sinceUs.array[holder] = Infinity;
  }

  /** A node goes, and with it its edges: to be called before. */
  drop(node: number): void {
    const holder = this.holderOf(node);
    if (holder >= 0 && this.#isIn(holder, node)) this.giveUp(node);
    this.#marks.clear(node);
  }

  /** The agent that holds a token; −1: none does. */
  holderOf(token: number): number {
    if (!this.#is(token, MARK.held)) return -1;
    const { edges } = this.graph;
    for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
      if (edges.isHeld(edge)) return edges.parent(edge);
    }
    throw new Error('a token that is held by nobody');
  }

  /** Whether all living tokens that are a node's are in its sum; one that was given up, or is of another time, is made anew. */
  isWhole(node: number, nowUs: number): boolean {
    if (this.#is(node, MARK.beside)) return false;
    if (!this.#is(node, MARK.summed) || this.#isOf(node, nowUs)) return true;
    this.#sumUp(node, nowUs);
    return this.#isOf(node, nowUs);
  }

  /** Whether a node has a sum. Without one nothing is held by it. */
  has(node: number): boolean {
    return this.#is(node, MARK.summed);
  }

  /** How many tokens live. */
  count(holder: number): number {
    return this.#counts.array[holder]!;
  }

  /** The last day on which a decision named one of them. */
  usedDay(holder: number): number {
    return this.#usedDays.array[holder]!;
  }

  /** The tokens of a sum that live. */
  tokensOf(holder: number, nowUs: number): number[] {
    const { edges } = this.graph;
    const tokens: number[] = [];
    for (let edge = edges.firstLeafOf(holder); edge >= 0; edge = edges.nextOfParent(edge)) {
      if (edges.isHeld(edge) && this.graph.isLive(edges.child(edge), nowUs)) tokens.push(edges.child(edge));
    }
    return tokens;
  }

  /** Adds the points that have seen one of them. */
  addPoints(holder: number, to: PointMask): void {
    to.low |= this.#low.array[holder]!;
    to.high |= this.#high.array[holder]!;
  }

  /** The nodes of points. */
  pointsOf({ low, high }: PointMask): number[] {
    return this.#points.filter((_, bit) => (((bit < WORD_BITS ? low : high) >>> (bit % WORD_BITS)) & 1) === 1);
  }

  get bytes(): number {
    return this.#columns.bytes + this.#marks.bytes;
  }

  #is(node: number, mark: number): boolean {
    return ((this.#marks.array[node] ?? 0) & mark) !== 0;
  }

  #mark(node: number, mark: number): void {
    this.#marks.reserve(node + 1);
    this.#marks.array[node]! |= mark;
  }

  #begin(holder: number, sinceUs: number): void {
    this.#mark(holder, MARK.summed);
    this.#columns.reserve(holder + 1);
    this.#columns.clear(holder);
    this.#sinceUs.array[holder] = sinceUs;
    this.#untilUs.array[holder] = Infinity;
  }

  #isOf(holder: number, nowUs: number): boolean {
    const isUseless = this.#high.array[holder]! >>> (WORD_BITS - 1) === 1;
    return this.#sinceUs.array[holder]! <= nowUs && nowUs < this.#untilUs.array[holder]! && !isUseless;
  }

  /** Whether a token that an agent holds is in its sum. */
  #isIn(holder: number, token: number): boolean {
    const expiresUs = this.graph.expiresUs(token);
    return !this.graph.isEnded(token) && (expiresUs === 0 || expiresUs > this.#sinceUs.array[holder]!);
  }

  #sumUp(node: number, nowUs: number): void {
    const { edges } = this.graph;
    this.#begin(node, nowUs);
    for (let edge = edges.firstLeafOf(node); edge >= 0; edge = edges.nextOfParent(edge)) {
      if (edges.isHeld(edge)) this.#add(node, edges.child(edge));
    }
  }

  #add(holder: number, token: number): void {
    const { graph } = this;
    // What was exchanged for it is not summed up.
    if (graph.isExchanged(token)) this.#sinceUs.array[holder] = Infinity;
    if (!this.#isIn(holder, token)) return;
    this.#counts.array[holder]!++;
    if (graph.expiresUs(token) !== 0) this.#limit(holder, graph.expiresUs(token));
    this.#usedDays.array[holder] = Math.max(this.#usedDays.array[holder]!, graph.usedDay(token));
    const { edges } = graph;
    for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
      if ((edges.roles(edge) & ROLE.caches) !== 0) this.#addPoint(holder, edges.parent(edge));
    }
  }

  #limit(holder: number, untilUs: number): void {
    if (untilUs < this.#untilUs.array[holder]!) this.#untilUs.array[holder] = untilUs;
  }

  #addPoint(holder: number, point: number): void {
    let bit = this.#bits.get(point);
    if (bit === undefined) {
      bit = Math.min(this.#points.length, POINTS_MAX);
      this.#bits.set(point, bit);
      if (bit < POINTS_MAX) this.#points.push(point);
    }
    const { array } = bit < WORD_BITS ? this.#low : this.#high;
    array[holder] = array[holder]! | (1 << (bit % WORD_BITS));
  }
}
