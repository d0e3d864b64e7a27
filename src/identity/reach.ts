/** What an origin reaches, for people: the blast radius of a dry run. */
import { KeelsonError } from '../core/error.js';
import { closureOf, summedClosureOf, type Closure, type SummedClosure } from './closure.js';
import { DAY_US, type Graph } from './graph.js';
import { ROLE, type NodeKind } from './kinds.js';
import { PointMask } from './sums.js';
import { viewName, type Named } from './views.js';

/** Counts and names. */
export interface Reach {
  readonly agents: readonly string[];
  readonly tools: readonly string[];
  readonly environments: readonly string[];
  /** Enforcement points that have seen one of the tokens. */
  readonly points: readonly string[];
  readonly sessionCount: number;
  readonly delegationCount: number;
  readonly tokenCount: number;
  /** The last recorded use, microseconds since 1970, or where it is not found the begin of its day (UTC); null: there is none. */
  readonly lastUsedAtUs: bigint | null;
  /** False: there may be a later use that was not found. */
  readonly isLastUseWhole: boolean;
}

/** What the last use can be searched for by. */
export const USE_KINDS = ['principal', 'agent', 'tool', 'environment', 'session', 'token'] as const;
export type UseKind = (typeof USE_KINDS)[number];

/** The last decision that names any of these: microseconds since 1970; null: none does. */
export type FindLastUse = (kind: UseKind, ids: readonly string[]) => Promise<bigint | null>;

/** Names of a kind looked for at most where the last use is asked; of more the rest is left out. */
const LAST_USE_NAMES = 100;

/**
 * What these nodes reach. A tool and an environment reach whoever used them or is meant for them, with all their living tokens and
 * sessions: with what token something was used is not kept.
 * @param nowUs what had ended by then is left out.
 */
export async function reachOf(
  graph: Graph,
  roots: readonly number[],
  nowUs: number,
  findLastUse: FindLastUse,
): Promise<Reach> {
  const { nodes, sums } = graph;
  const isPlace = (node: number): boolean => PLACES.has(nodes.kind(node));
  const places = roots.filter(isPlace);
  const users = places.length === 0 ? [] : usersOf(graph, new Set(places));
  const closure = summedClosureOf(graph, [...roots, ...users], nowUs);
  const reached = new Reached(graph);
  for (const node of closure.nodes) {
    reached.add(node);
    // Of whom a place leads to, their other places do not count.
    if (places.length === 0) reached.addPlacesOf(node);
  }
  for (const token of closure.tokens) reached.addPointsOf(token);
  const points = new PointMask();
  for (const holder of closure.holders) sums.addPoints(holder, points);
  for (const point of sums.pointsOf(points)) reached.add(point);
  const count = (kind: NodeKind): number => closure.nodes.filter((node) => nodes.kind(node) === kind).length;
  // Who uses a tool uses others, too: when it was used itself is asked.
  const used =
    places.length === 0
      ? { ...closure, nodes: [...roots, ...closure.nodes] }
      : { nodes: places, holders: [], tokens: [] };
  return {
    ...reached.names(),
    sessionCount: count('session'),
    delegationCount: count('delegation'),
    tokenCount: closure.holders.reduce((total, holder) => total + sums.count(holder), closure.tokens.length),
    ...(await lastUseOf(graph, used, nowUs, findLastUse)),
  };
}

/** Tokens as an order ends them. */
export interface LivingTokens {
  readonly count: number;
  readonly tokens: readonly Named[];
}

/** Those that lived at `atUs`, used last first, `limit` of them at most. */
export function livingTokens(
  graph: Graph,
  roots: readonly number[],
  atUs: number,
  limit: number,
  issuer?: string,
): LivingTokens {
  const { nodes } = graph;
  const tokens = tokensIn(graph, closureOf(graph, roots, atUs)).filter(
    (token) => issuer === undefined || nodes.issuer(token) === issuer,
  );
  tokens.sort((a, b) => graph.usedDay(b) - graph.usedDay(a) || a - b);
  return { count: tokens.length, tokens: tokens.slice(0, limit).map((token) => viewName(graph, token)) };
}

function tokensIn({ nodes }: Graph, { nodes: found, rooted, named, unnamed }: Closure): number[] {
  return [...found.filter((node) => nodes.kind(node) === 'token'), ...rooted, ...named, ...unnamed];
}

/** Where something is done: nothing ends with them but what is done there. */
const PLACES: ReadonlySet<NodeKind> = new Set(['tool', 'environment']);

/** Who used one of these, and what is meant for it. One pass over all uses. */
function usersOf({ uses, edges, nodes }: Graph, places: ReadonlySet<number>): number[] {
  const users = new Set<number>();
  for (let use = 0; use < uses.count; use++) if (places.has(uses.used(use))) users.add(uses.user(use));
  for (const place of places) {
    for (let edge = edges.firstOfParent(place); edge >= 0; edge = edges.nextOfParent(edge)) {
      if ((edges.roles(edge) & ROLE.related) !== 0) users.add(edges.child(edge));
    }
  }
  return [...users].filter((node) => nodes.has(node) && !places.has(node));
}

/**
 * The last use of any of these. The graph knows the day of each one's; only those of the last day are looked for, and of these so many as
 * the search is asked at most.
 */
async function lastUseOf(
  graph: Graph,
  all: SummedClosure,
  nowUs: number,
  findLastUse: FindLastUse,
): Promise<Pick<Reach, 'lastUsedAtUs' | 'isLastUseWhole'>> {
  const day = lastDayOf(graph, all);
  if (day === 0) return { lastUsedAtUs: null, isLastUseWhole: true };
  const latest = usedOn(day, graph, all, nowUs);
  const begin = BigInt(day * DAY_US);
  let isWhole = true;
  let last: bigint | null = null;
  for (const [kind, nodes] of latest) {
    const some = [...nodes].slice(0, LAST_USE_NAMES).map((node) => graph.nodes.id(node));
    const use = isUseKind(kind) ? await findInTime(findLastUse, kind, some) : null;
    // Where it is earlier, search is not as far as the graph, or did not answer.
    if (use === null || use < begin || some.length < nodes.size) isWhole = false;
    if (use !== null && (last === null || use > last)) last = use;
  }
  return { lastUsedAtUs: last === null || last < begin ? begin : last, isLastUseWhole: isWhole };
}

const isUseKind = (kind: NodeKind): kind is UseKind => (USE_KINDS as readonly NodeKind[]).includes(kind);

function lastDayOf(graph: Graph, { nodes, tokens, holders }: SummedClosure): number {
  let day = 0;
  for (const node of nodes) day = Math.max(day, graph.usedDay(node));
  for (const token of tokens) day = Math.max(day, graph.usedDay(token));
  for (const holder of holders) day = Math.max(day, graph.sums.usedDay(holder));
  return day;
}

/** What was used on a day, by kind: of each as many as are asked for and one more. */
function usedOn(
  day: number,
  graph: Graph,
  { nodes, tokens, holders }: SummedClosure,
  nowUs: number,
): Map<NodeKind, Set<number>> {
  const used = new Map<NodeKind, Set<number>>();
  const isFull = (kind: NodeKind): boolean => (used.get(kind)?.size ?? 0) > LAST_USE_NAMES;
  const add = (node: number): void => {
    const kind = graph.nodes.kind(node);
    if (graph.usedDay(node) !== day || isFull(kind)) return;
    const found = used.get(kind);
    if (found === undefined) used.set(kind, new Set([node]));
    else found.add(node);
  };
  nodes.forEach(add);
  tokens.forEach(add);
  for (const holder of holders) {
    if (isFull('token')) break;
    if (graph.sums.usedDay(holder) === day) graph.sums.tokensOf(holder, nowUs).forEach(add);
  }
  return used;
}

/** Null also where search is not there, or takes too long: the reach is told all the same. */
async function findInTime(findLastUse: FindLastUse, kind: UseKind, ids: readonly string[]): Promise<bigint | null> {
  try {
    return await findLastUse(kind, ids);
  } catch (error) {
    if (error instanceof KeelsonError && (error.code === 'timeout' || error.code === 'not_ready')) return null;
    throw error;
  }
}

/** Names of what a closure reaches. */
class Reached {
  readonly #nodes = new Set<number>();

  constructor(private readonly graph: Graph) {}

  add(node: number): void {
    this.#nodes.add(node);
  }

  /** What a node used or was meant for. */
  addPlacesOf(node: number): void {
    const { uses, edges } = this.graph;
    for (let use = uses.first(node); use >= 0; use = uses.next(use)) this.#nodes.add(uses.used(use));
    for (let edge = edges.firstOfChild(node); edge >= 0; edge = edges.nextOfChild(edge)) {
      if (this.graph.nodes.kind(edges.parent(edge)) === 'tool') this.#nodes.add(edges.parent(edge));
    }
  }

  /** The points that cache a token. */
  addPointsOf(token: number): void {
    const { edges } = this.graph;
    for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
      if (this.graph.nodes.kind(edges.parent(edge)) === 'point') this.#nodes.add(edges.parent(edge));
    }
  }

  names(): Pick<Reach, 'agents' | 'tools' | 'environments' | 'points'> {
    const { nodes } = this.graph;
    const agents: string[] = [];
    const tools: string[] = [];
    const environments: string[] = [];
    const points: string[] = [];
    const lists: Partial<Record<NodeKind, string[]>> = {
      agent: agents,
      tool: tools,
      environment: environments,
      point: points,
    };
    for (const node of this.#nodes) lists[nodes.kind(node)]?.push(nodes.id(node));
    return { agents, tools, environments, points };
  }
}
