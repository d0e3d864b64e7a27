/** What an origin reaches, for people: the blast radius of a dry run. */
import { KeelsonError } from '../core/error.js';
import { closureOf, type Closure } from './closure.js';
import { DAY_US, type Graph } from './graph.js';
import { ROLE, type NodeKind } from './kinds.js';
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
  const { nodes } = graph;
  const isPlace = (node: number): boolean => PLACES.has(nodes.kind(node));
  const places = roots.filter(isPlace);
  const users = places.length === 0 ? [] : usersOf(graph, new Set(places));
  const closure = closureOf(graph, [...roots, ...users], nowUs);
  const reached = new Reached(graph);
  for (const node of closure.nodes) {
    reached.add(node);
    // Of whom a place leads to, their other places do not count.
    if (places.length === 0) reached.addPlacesOf(node);
  }
  const tokens = tokensIn(graph, closure);
  for (const token of tokens) reached.addPointsOf(token);
  const count = (kind: NodeKind): number => closure.nodes.filter((node) => nodes.kind(node) === kind).length;
  // Who uses a tool uses others, too: when it was used itself is asked.
  const used = places.length === 0 ? new Set([...roots, ...closure.nodes, ...tokens]) : places;
  return {
    agents: reached.ids('agent'),
    tools: reached.ids('tool'),
    environments: reached.ids('environment'),
    points: reached.ids('point'),
    sessionCount: count('session'),
    delegationCount: count('delegation'),
    tokenCount: tokens.size,
    ...(await lastUseOf(graph, [...used], findLastUse)),
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
  const tokens = [...tokensIn(graph, closureOf(graph, roots, atUs))].filter(
    (token) => issuer === undefined || nodes.issuer(token) === issuer,
  );
  tokens.sort((a, b) => graph.usedDay(b) - graph.usedDay(a) || a - b);
  return { count: tokens.length, tokens: tokens.slice(0, limit).map((token) => viewName(graph, token)) };
}

function tokensIn({ nodes }: Graph, { nodes: found, rooted, named, unnamed }: Closure): Set<number> {
  return new Set([...found.filter((node) => nodes.kind(node) === 'token'), ...rooted, ...named, ...unnamed]);
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
 * The last use of any of these nodes. The graph knows the day of each one's; only those of the last day are looked for, and of these so
 * many as the search is asked at most.
 */
async function lastUseOf(
  graph: Graph,
  all: readonly number[],
  findLastUse: FindLastUse,
): Promise<Pick<Reach, 'lastUsedAtUs' | 'isLastUseWhole'>> {
  const { nodes } = graph;
  const day = all.reduce((last, node) => Math.max(last, graph.usedDay(node)), 0);
  if (day === 0) return { lastUsedAtUs: null, isLastUseWhole: true };
  const latest = all.filter((node) => graph.usedDay(node) === day);
  let found = 0;
  let last: bigint | null = null;
  for (const kind of USE_KINDS) {
    const ids = latest.filter((node) => nodes.kind(node) === kind).map((node) => nodes.id(node));
    const some = ids.slice(0, LAST_USE_NAMES);
    const use = some.length === 0 ? null : await findInTime(findLastUse, kind, some);
    // Otherwise search is not as far as the graph, or did not answer.
    if (use !== null && use >= BigInt(day * DAY_US)) found += some.length;
    if (use !== null && (last === null || use > last)) last = use;
  }
  const begin = BigInt(day * DAY_US);
  return { lastUsedAtUs: last === null || last < begin ? begin : last, isLastUseWhole: found === latest.length };
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

  ids(kind: NodeKind): string[] {
    const { nodes } = this.graph;
    return [...this.#nodes].filter((node) => nodes.kind(node) === kind).map((node) => nodes.id(node));
  }
}
