/**
 * What ends with a person, an agent or anything else: everything that hangs on it. Every node is visited once, so that delegations
 * that stem from each other in a circle end the walk as any others do.
 */
import type { Graph } from './graph.js';
import { ROLE } from './kinds.js';

/** How a node was come by: bits; `root`: it names a root itself; `summed`: its tokens are told as a sum. */
const BY = { names: 1, user: 2, context: 4, seen: 8, root: 16, summed: 32 } as const;

export interface Closure {
  /** Nodes that are no tokens and still matter, roots included: alive, or named by a living token. */
  readonly nodes: readonly number[];
  /** Living tokens that name a root: whoever is shown such a token can tell. */
  readonly rooted: readonly number[];
  /** Living tokens that name one of the other nodes, and no root. */
  readonly named: readonly number[];
  /** Living tokens that are theirs, and name none of them: only their own key stops them. */
  readonly unnamed: readonly number[];
  /** Living tokens used under one of them, and otherwise by others: they go on, for others. */
  readonly shared: readonly number[];
}

/**
 * Walks down from the roots.
 *
 * @param nowUs what had ended by then is left out.
 */
export function closureOf(graph: Graph, roots: readonly number[], nowUs: number): Closure {
  const walk = new Walk(graph, nowUs);
  for (const root of roots) walk.visit(root, BY.root);
  do walk.drain();
  while (walk.takeClients());
  return walk.finish();
}

/** What a closure reaches, with sums in place of tokens where they do (sums.ts). */
export interface SummedClosure {
  /** As in `Closure`. */
  readonly nodes: readonly number[];
  /** Of `nodes` or not: agents whose tokens are to be had as a sum. */
  readonly holders: readonly number[];
  /** Living tokens that end, and are in none of the sums. */
  readonly tokens: readonly number[];
}

/** The same walk for those who count: tokens that go on for others are left out. */
export function summedClosureOf(graph: Graph, roots: readonly number[], nowUs: number): SummedClosure {
  const walk = new Walk(graph, nowUs, true);
  for (const root of roots) walk.visit(root, BY.root);
  do walk.drain();
  while (walk.takeClients());
  return walk.finishSummed();
}

/** A bit set for each node, empty at the beginning of each walk: one array serves walk after walk, its bits told apart by a number. */
class Marks {
  static readonly #ofGraph = new WeakMap<Graph, Marks>();
  #array = new Int32Array(0);
  #walk = 0;

  static for(graph: Graph): Marks {
    let marks = Marks.#ofGraph.get(graph);
    if (marks === undefined) Marks.#ofGraph.set(graph, (marks = new Marks()));
    marks.#begin(graph.nodes.end);
    return marks;
  }

  get(node: number): number {
    const mark = this.#array[node]!;
    return mark >>> BITS === this.#walk ? mark & BITS_MASK : 0;
  }

  set(node: number, bits: number): void {
    this.#array[node] = (this.#walk << BITS) | bits;
  }

  #begin(count: number): void {
    this.#walk++;
    if (this.#array.length >= count && this.#walk < WALKS) return;
    this.#array = new Int32Array(count + (count >>> 3));
    this.#walk = 1;
  }
}
const BITS = 6;
const BITS_MASK = (1 << BITS) - 1;
const WALKS = 1 << (31 - BITS);

class Walk {
  readonly #marks: Marks;
  readonly #queue: number[] = [];
  readonly #tokens: number[] = [];
  #next = 0;
  /** Clients of agents on the way, which other agents may use as well. */
  #clients: number[] = [];
  readonly #holders: number[] = [];

  constructor(
    private readonly graph: Graph,
    private readonly nowUs: number,
    /** Whether sums are good enough, and what goes on for others does not matter. */
    private readonly isSummed = false,
  ) {
    this.#marks = Marks.for(graph);
  }

  visit(node: number, as: number = BY.seen): void {
    if (node < 0 || this.#marks.get(node) !== 0) return;
    this.#marks.set(node, as);
    this.#queue.push(node);
  }

  drain(): void {
    while (this.#next < this.#queue.length) this.#walkFrom(this.#queue[this.#next++]!);
  }

  /** Visits the clients that none but visited agents use. False where there is nothing new. */
  takeClients(): boolean {
    const before = this.#queue.length;
    for (const client of this.#clients) if (this.#isTheirs(client)) this.visit(client);
    return this.#queue.length > before;
  }

  finish(): Closure {
    const rooted: number[] = [];
    const named: number[] = [];
    const unnamed: number[] = [];
    const shared: number[] = [];
    for (const token of this.#tokens) {
      const by = this.#marks.get(token);
      if ((by & BY.root) !== 0) rooted.push(token);
      else if ((by & BY.names) !== 0) named.push(token);
      else if ((by & BY.user) !== 0 && this.#isOnlyTheirs(token)) unnamed.push(token);
      else shared.push(token);
    }
    return { nodes: this.#nodesThatMatter(), rooted, named, unnamed, shared };
  }

  finishSummed(): SummedClosure {
    const nodes = this.#nodesThatMatter();
    const isRoot = (token: number): boolean => this.graph.nodes.kind(token) === 'token';
    const isTheirs = (token: number): boolean =>
      (this.#marks.get(token) & (BY.root | BY.names)) !== 0 || this.#isOnlyTheirs(token);
    const tokens = [...nodes.filter(isRoot), ...this.#tokens.filter(isTheirs)];
    return { nodes, holders: this.#holders, tokens: tokens.filter((token) => !this.#isInSum(token)) };
  }

  #nodesThatMatter(): number[] {
    const { graph } = this;
    return this.#queue.filter(
      (node) => graph.nodes.kind(node) !== 'parent' && (graph.isLive(node, this.nowUs) || this.#hasToken(node)),
    );
  }

  #walkFrom(node: number): void {
    const { edges, nodes } = this.graph;
    let edge = edges.firstOfParent(node);
    for (; edge >= 0 && !edges.isLeaf(edge); edge = edges.nextOfParent(edge)) {
      const child = edges.child(edge);
      if ((edges.roles(edge) & ROLE.names) !== 0) this.visit(child);
      else if (nodes.kind(child) === 'client' && nodes.kind(node) === 'agent') this.#clients.push(child);
    }
    if (edge >= 0 && !this.#sumsUp(node)) this.#takeFrom(node, edge);
  }

  /** Whether the tokens of a node need not be looked at. */
  #sumsUp(node: number): boolean {
    const { sums } = this.graph;
    if (!this.isSummed || !sums.isWhole(node, this.nowUs)) return false;
    if (!sums.has(node)) return true;
    this.#marks.set(node, this.#marks.get(node) | BY.summed);
    this.#holders.push(node);
    return true;
  }

  /** Takes the tokens of a node from an edge on. */
  #takeFrom(node: number, first: number): void {
    const { edges, nodes } = this.graph;
    // Who was exchanged for a revoked token has it from there alone: it says so, but a guard is not shown that.
    const stopsAtParent = nodes.kind(node) === 'parent';
    const isRoot = (this.#marks.get(node) & BY.root) !== 0;
    for (let edge = first; edge >= 0; edge = edges.nextOfParent(edge)) {
      const by = stopsAtParent ? BY.user : byRoles(edges.roles(edge), isRoot);
      this.#take(edges.child(edge), this.isSummed ? by & ~BY.context : by);
    }
  }

  #take(token: number, by: number): void {
    if (by === 0) return;
    const before = this.#marks.get(token);
    this.#marks.set(token, before | by);
    if (before !== 0) {
      if (((before | by) & ~BY.context) !== 0 && (before & ~BY.context) === 0) this.#takeExchanged(token);
      return;
    }
    if (!this.graph.isLive(token, this.nowUs)) {
      this.#marks.set(token, 0);
      // What was exchanged for it may live on.
      if ((by & ~BY.context) !== 0) this.#takeExchanged(token);
      return;
    }
    this.#tokens.push(token);
    if ((by & ~BY.context) !== 0) this.#takeExchanged(token);
  }

  #takeExchanged(token: number): void {
    if (this.graph.isExchanged(token)) this.visit(this.graph.nodes.find('parent', '', this.graph.nodes.id(token)));
  }

  /** Whether nobody but those who were visited uses the client. */
  #isTheirs(client: number): boolean {
    const { edges, nodes } = this.graph;
    for (let edge = edges.firstOfChild(client); edge >= 0; edge = edges.nextOfChild(edge)) {
      const parent = edges.parent(edge);
      if (nodes.kind(parent) === 'agent' && this.#marks.get(parent) === 0) return false;
    }
    return true;
  }

  /** Whether no event says that somebody else has the token, too. */
  #isOnlyTheirs(token: number): boolean {
    const { edges } = this.graph;
    for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
      if ((edges.roles(edge) & ROLE.user) !== 0 && this.#marks.get(edges.parent(edge)) === 0) return false;
    }
    return true;
  }

  #hasToken(node: number): boolean {
    const { edges } = this.graph;
    for (let edge = edges.firstOfParent(node); edge >= 0; edge = edges.nextOfParent(edge)) {
      const child = edges.child(edge);
      if (this.#marks.get(child) !== 0 || (edges.isLeaf(edge) && this.#isPassedOver(child))) return true;
    }
    return false;
  }

  /** Whether a living token was not looked at because of sums. */
  #isPassedOver(token: number): boolean {
    const { graph } = this;
    if (!this.isSummed || !graph.isLive(token, this.nowUs)) return false;
    const { edges } = graph;
    for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
      if (byRoles(edges.roles(edge), false) !== 0 && this.#marks.get(edges.parent(edge)) !== 0) return true;
    }
    return false;
  }

  #isInSum(token: number): boolean {
    const holder = this.graph.sums.holderOf(token);
    return holder >= 0 && (this.#marks.get(holder) & BY.summed) !== 0;
  }
}

/** How a token is come by over an edge of these roles. */
const byRoles = (roles: number, fromRoot: boolean): number =>
  (roles & (BY.names | BY.user | BY.context)) | (fromRoot && (roles & ROLE.names) !== 0 ? BY.root : 0);

/** These nodes, everything that any of them hangs on, and who owns that. */
export function allAbove(graph: Graph, nodes: Iterable<number>): ReadonlySet<number> {
  const { edges } = graph;
  const above = new Set(nodes);
  for (const node of above) {
    const { owner } = graph.registration(node);
    if (owner >= 0) above.add(owner);
    const kind = graph.nodes.kind(node);
    // Another token was exchanged for this one, by its id alone.
    if (kind === 'parent') for (const token of graph.tokensOf(graph.nodes.id(node))) above.add(token);
    for (let edge = edges.firstOfChild(node); edge >= 0; edge = edges.nextOfChild(edge)) {
      const roles = kind === 'client' ? ROLE.names | ROLE.related : ROLE.names | ROLE.user;
      if ((edges.roles(edge) & roles) !== 0) above.add(edges.parent(edge));
    }
  }
  return above;
}
