/** Nodes as those see them who ask: names for numbers. Pseudonyms are lower-case hex. */
import type { Graph } from './graph.js';
import { ROLE, type NodeKind, type OnOwnerLeave } from './kinds.js';

/** A thing by its name; `issuer` is '' where nobody gave it a name of its own. */
export interface Named {
  readonly issuer: string;
  readonly id: string;
}

/** A grant or session, and when an entry first named it (microseconds since 1970). */
export interface Begun extends Named {
  readonly firstUs: number;
}

/** What somebody answers for. */
export interface Owned extends Named {
  readonly type: 'agent' | 'client';
  /** Null: nothing was said. */
  readonly onOwnerLeave: OnOwnerLeave | null;
  readonly successor: string | null;
}

/** What is known of a token: what it names (its own claims, and what events about it say). */
export interface SeenToken {
  readonly issuer: string;
  readonly jti: string | null;
  /** SHA-256 of the token in lower-case hex, where it has no id. */
  readonly digest: string | null;
  readonly subjects: readonly string[];
  readonly agents: readonly string[];
  readonly clientId: string | null;
  readonly sessionId: string | null;
  readonly grants: readonly string[];
  readonly delegations: readonly string[];
  readonly issuedAtUs: bigint | null;
  readonly expiresAtUs: bigint | null;
}

const DIGEST = /^[0-9a-f]{64}$/;

export function viewToken(graph: Graph, token: number): SeenToken {
  const { edges, nodes } = graph;
  const names = new Map<NodeKind, string[]>();
  for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
    if ((edges.roles(edge) & ROLE.names) === 0) continue;
    const parent = edges.parent(edge);
    const kind = nodes.kind(parent);
    const ids = names.get(kind);
    if (ids === undefined) names.set(kind, [nodes.id(parent)]);
    else ids.push(nodes.id(parent));
  }
  const issuer = nodes.issuer(token);
  const id = nodes.id(token);
  // Without an issuer the two are one name to a guard, too.
  const isDigest = issuer === '' && DIGEST.test(id);
  return {
    issuer,
    jti: isDigest ? null : id,
    digest: isDigest ? id : null,
    subjects: names.get('principal') ?? [],
    agents: names.get('agent') ?? [],
    clientId: names.get('client')?.[0] ?? null,
    sessionId: names.get('session')?.[0] ?? null,
    grants: names.get('grant') ?? [],
    delegations: names.get('delegation') ?? [],
    issuedAtUs: timeOf(graph.issuedUs(token)),
    expiresAtUs: timeOf(graph.expiresUs(token)),
  };
}

/** The grants that a token names. */
export function viewGrants(graph: Graph, token: number): Begun[] {
  const { edges, nodes } = graph;
  const grants: Begun[] = [];
  for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
    const parent = edges.parent(edge);
    if ((edges.roles(edge) & ROLE.names) !== 0 && nodes.kind(parent) === 'grant') grants.push(viewBegun(graph, parent));
  }
  return grants;
}

const timeOf = (us: number): bigint | null => (us === 0 ? null : BigInt(us));

export const viewName = ({ nodes }: Graph, node: number): Named => ({ issuer: nodes.issuer(node), id: nodes.id(node) });

export const viewBegun = (graph: Graph, node: number): Begun => ({
  ...viewName(graph, node),
  firstUs: graph.firstUs(node),
});

/** As it stands in a graph: who asks on about it need not have it found again by its name. What can be owned stays in the graph. */
class OwnedNode implements Owned {
  readonly #graph: Graph;
  readonly #node: number;
  readonly type: Owned['type'];
  readonly issuer: string;
  readonly id: string;
  readonly onOwnerLeave: OnOwnerLeave | null;
  readonly successor: string | null;

  constructor(graph: Graph, node: number, type: Owned['type']) {
    const { successor, onOwnerLeave } = graph.registration(node);
    this.#graph = graph;
    this.#node = node;
    this.type = type;
    this.issuer = graph.nodes.issuer(node);
    this.id = graph.nodes.id(node);
    this.onOwnerLeave = onOwnerLeave ?? null;
    this.successor = successor < 0 ? null : graph.nodes.id(successor);
  }

  static nodeOf(graph: Graph, one: object): number | undefined {
    return #node in one && one.#graph === graph ? one.#node : undefined;
  }
}

/** The node of what `viewOwned` told; undefined: it is of another graph, or somebody else's word. */
export const nodeOfOwned = (graph: Graph, one: object): number | undefined => OwnedNode.nodeOf(graph, one);

/** Agents and clients with this owner that are not retired. */
export function viewOwned(graph: Graph, person: number): Owned[] {
  const owned: Owned[] = [];
  for (const node of graph.ownedBy(person)) {
    const type = graph.nodes.kind(node);
    if ((type === 'agent' || type === 'client') && !graph.isEnded(node)) owned.push(new OwnedNode(graph, node, type));
  }
  return owned;
}
