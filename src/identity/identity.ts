/**
 * The graph as revocation asks it. It can be asked where this process folds, and only there: whoever decides about revocation must be in
 * the same process, and give way where `isHere` is false. What is asked twice may have grown meanwhile; `positions` say how far it is.
 */
import { KeelsonError } from '../core/error.js';
import type { Positions } from '../ledger/projection.js';
import { allAbove, closureOf, type Closure } from './closure.js';
import type { Graph } from './graph.js';
import { ROLE, type NodeKind } from './kinds.js';
import { livingTokens, reachOf, type FindLastUse, type LivingTokens, type Reach } from './reach.js';
import {
  nodeOfOwned,
  viewBegun,
  viewGrants,
  viewName,
  viewOwned,
  viewToken,
  type Begun,
  type Named,
  type Owned,
  type SeenToken,
} from './views.js';

/** One human: every pseudonym they have, the one asked for first. */
export interface Human {
  readonly subjects: readonly string[];
  /** Issuers at which they have no account, as far as some source knows. */
  readonly absentIssuers: readonly string[];
}

/** Where a closure begins: persons, or one thing. */
export type Origin =
  | { readonly subjects: readonly string[] }
  | { readonly type: OriginType; readonly issuer: string; readonly id: string };
export type OriginType =
  'agent' | 'client' | 'token' | 'grant' | 'session' | 'delegation' | 'tool' | 'environment' | 'group';

/** Everything that goes back to an origin. */
export interface Descendants {
  readonly grants: readonly Begun[];
  readonly sessions: readonly Begun[];
  readonly delegations: readonly string[];
  /** An agent by the other names that its registration gives it. */
  readonly agents: readonly string[];
  /** Clients that only these agents use. */
  readonly clients: readonly Named[];
  /**
   * Living tokens that do not name an origin: they name one of the above, or nothing of it at all. Tokens that do name an origin stop
   * with its key.
   */
  readonly tokens: readonly SeenToken[];
  /** Living tokens that served these persons, or were used under one of the above, and go on for others: they name nothing of it. */
  readonly sharedCount: number;
}

/** To whom and to what something was attached. */
export interface Changed {
  readonly mark: string;
  readonly subjects: readonly string[] | 'all';
  /** What is no person, and has something new below it. */
  readonly things: readonly Thing[];
}

export interface Thing extends Named {
  readonly type: OriginType;
}

/** What the projection tells. */
export interface GraphSource {
  /** The graph, while this process folds it. */
  readonly graph: Graph | undefined;
  readonly positions: Positions;
  /** @throws KeelsonError `timeout` */
  waitUntil(path: string, size: bigint, timeoutMs: number): Promise<void>;
  readonly lastUse: FindLastUse;
}

const LIFECYCLE = 'lifecycle/0/g1';

export class Identity {
  constructor(private readonly source: GraphSource) {}

  /** Whether this process folds the graph, so can be asked. */
  get isHere(): boolean {
    return this.source.graph !== undefined;
  }

  /** How many entries of each log the graph is complete to. */
  positions(): Positions {
    return this.source.positions;
  }

  /** Whether lifecycle is folded to so many entries, once it is, or when the time is over. */
  async waitForLifecycle(size: bigint, timeoutMs: number): Promise<boolean> {
    try {
      await this.source.waitUntil(LIFECYCLE, size, timeoutMs);
      return this.isHere;
    } catch (error) {
      if (error instanceof KeelsonError && error.code === 'timeout') return false;
      throw error;
    }
  }

  /** The human behind a pseudonym; of an unknown one: only itself. @throws KeelsonError `not_ready` */
  aliasesOf(subject: string): Human {
    const graph = this.#graph();
    const { links, nodes } = graph;
    const person = find(graph, 'principal', '', subject);
    if (person < 0) return { subjects: [subject], absentIssuers: [] };
    const human = links.humanOf(person);
    return {
      subjects: human.map((one) => nodes.id(one)),
      absentIssuers: [...new Set(human.flatMap((one) => [...links.absentOf(one)]))].sort(),
    };
  }

  /** Agents and clients that these pseudonyms own, not retired. @throws KeelsonError `not_ready` */
  ownedBy(subjects: readonly string[]): Owned[] {
    const graph = this.#graph();
    return subjects.flatMap((subject) => {
      const person = find(graph, 'principal', '', subject);
      return person < 0 ? [] : viewOwned(graph, person);
    });
  }

  /**
   * What ends with an origin, or with several. Agents that only act for a person are not among it, nor is what a person owns: ask for
   * that with its own origin.
   * @param nowUs what had ended by then is left out.
   * @throws KeelsonError `not_ready`
   */
  descendantsOf(origin: Origin | readonly Origin[], nowUs: number = Date.now() * 1000): Descendants {
    const graph = this.#graph();
    const roots = rootsOf(graph, origin);
    const closure = closureOf(graph, roots, nowUs);
    const isRoot = new Set(roots);
    const nodesBelow = (kind: NodeKind): number[] =>
      closure.nodes.filter((node) => !isRoot.has(node) && graph.nodes.kind(node) === kind);
    const below = (kind: NodeKind): Named[] => nodesBelow(kind).map((node) => viewName(graph, node));
    const begun = (kind: NodeKind): Begun[] => nodesBelow(kind).map((node) => viewBegun(graph, node));
    return {
      grants: begun('grant'),
      sessions: begun('session'),
      delegations: below('delegation').map(({ id }) => id),
      agents: below('agent').map(({ id }) => id),
      clients: below('client'),
      tokens: [...closure.named, ...closure.unnamed].map((token) => viewToken(graph, token)),
      sharedCount: countShared(graph, roots, closure, nowUs),
    };
  }

  /** The grants that tokens say they stem from. @throws KeelsonError `not_ready` */
  grantsOf(tokens: readonly Origin[]): Begun[] {
    const graph = this.#graph();
    return rootsOf(graph, tokens).flatMap((token) => viewGrants(graph, token));
  }

  /** What origins reach, for a dry run; what a person owns is an origin of its own. @throws KeelsonError `not_ready` */
  async reachOf(origin: Origin | readonly Origin[], nowUs: number = Date.now() * 1000): Promise<Reach> {
    const graph = this.#graph();
    return reachOf(graph, rootsOf(graph, origin), nowUs, (kind, ids) => this.source.lastUse(kind, ids));
  }

  /**
   * Tokens that lived at `atUs` and go back to origins, those used last first.
   * @param limit how many are named; all are counted.
   * @param issuer only those of it.
   * @throws KeelsonError `not_ready`
   */
  tokensOf(origins: readonly Origin[], atUs: number, limit: number, issuer?: string): LivingTokens {
    const graph = this.#graph();
    return livingTokens(graph, rootsOf(graph, origins), atUs, limit, issuer);
  }

  /**
   * The persons to whom something was attached (token, session, grant, agent, delegation, alias) after a mark.
   * @param mark of the answer before; undefined: only where to begin. One that is not known any more answers `all`.
   * @throws KeelsonError `not_ready`
   */
  changedSince(mark: string | undefined): Changed {
    const graph = this.#graph();
    const now = graph.touched.mark;
    if (mark === undefined) return { mark: now, subjects: [], things: [] };
    const attached = graph.touched.since(mark);
    if (attached === undefined) return { mark: now, subjects: 'all', things: [] };
    const subjects: string[] = [];
    const things: Thing[] = [];
    for (const node of allAbove(
      graph,
      [...attached].filter((one) => graph.nodes.has(one)),
    )) {
      const type = graph.nodes.kind(node);
      if (type === 'principal') subjects.push(graph.nodes.id(node));
      else if (type === 'parent') things.push({ type: 'token', issuer: '', id: graph.nodes.id(node) });
      else if (type !== 'point') things.push({ type, ...viewName(graph, node) });
    }
    return { mark: now, subjects, things };
  }

  #graph(): Graph {
    const { graph } = this.source;
    if (graph === undefined) throw new KeelsonError('not_ready', 'this process does not hold the identity graph');
    return graph;
  }
}

const find = (graph: Graph, kind: NodeKind, issuer: string, id: string): number =>
  graph.nodes.find(kind, issuer, kind === 'principal' ? Buffer.from(id, 'hex') : id);

/**
 * Nodes of origins; what is unknown, or nothing that anything hangs on (a group), is none. A token is also what others were exchanged
 * for, by its id alone, whether anybody ever showed it or not.
 */
function rootsOf(graph: Graph, origin: Origin | readonly Origin[]): number[] {
  const origins = Array.isArray(origin) ? (origin as readonly Origin[]) : [origin as Origin];
  const nodes: number[] = [];
  for (const one of origins) {
    if ('subjects' in one) for (const subject of one.subjects) nodes.push(find(graph, 'principal', '', subject));
    else if (one.type !== 'group') {
      nodes.push(nodeOfOwned(graph, one) ?? find(graph, one.type, one.issuer, one.id));
      if (one.type === 'token') nodes.push(find(graph, 'parent', '', one.id));
    }
  }
  return nodes.filter((node) => node >= 0);
}

function countShared(graph: Graph, roots: readonly number[], closure: Closure, nowUs: number): number {
  const { edges } = graph;
  const shared = new Set(closure.shared);
  const theirs = new Set([...closure.rooted, ...closure.named, ...closure.unnamed]);
  for (const root of roots) {
    for (let edge = edges.firstOfParent(root); edge >= 0; edge = edges.nextOfParent(edge)) {
      const token = edges.child(edge);
      if ((edges.roles(edge) & ROLE.served) === 0 || theirs.has(token)) continue;
      if (graph.isLive(token, nowUs)) shared.add(token);
    }
  }
  return shared.size;
}
