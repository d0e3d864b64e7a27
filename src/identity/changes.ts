/** What folding changed since it was last saved. Nodes and edges are told by their numbers; times are microseconds since 1970. */
import type { OnOwnerLeave } from './kinds.js';
import type { Link } from './links.js';
import type { VerdictRow } from './verdicts.js';

/** What an entry says of a node's own state. */
export interface NodeState {
  /** See `PHASE`. */
  readonly phase: number;
  /** 0: it does not end by itself. */
  readonly expiresUs: number;
  /** Of what is registered with an owner. */
  readonly registration?: Registration | undefined;
}

/** Who answers for an agent, a client or a tool, and at which risk, as its last registration or approval says. */
export interface Registration {
  /** A principal; −1: nobody was named. */
  readonly owner: number;
  /** A principal; −1: nobody was named. */
  readonly successor: number;
  readonly onOwnerLeave: OnOwnerLeave | undefined;
  readonly riskLevel: string | undefined;
}

/** One entry that is about a node. */
export interface HistoryRow {
  readonly node: number;
  readonly log: number;
  readonly index: bigint;
  readonly atUs: number;
  readonly type: string;
  /** Undefined: it says nothing of the node's state. */
  readonly state?: NodeState | undefined;
}

/** Which entry told a node's state last, and when one first said that it is registered (0: none did). */
export interface Told {
  readonly index: bigint;
  readonly registeredUs: number;
}

export class Changes {
  readonly nodes: number[] = [];
  /** Nodes that were not in memory; the tables may hold them. */
  readonly fresh = new Set<number>();
  readonly told = new Map<number, Told>();
  /** Edges, and since when each of its roles is known to hold: one time for each of `ROLES`, 0 where nothing new is said of one. */
  readonly edges = new Map<number, number[]>();
  readonly uses = new Set<number>();
  readonly digests = new Map<number, string[]>();
  /** Tokens, and when an entry first said that a point took them, that they ended. */
  readonly accepted = new Map<number, number>();
  readonly ended = new Map<number, number>();
  readonly linked: Link[] = [];
  /** Links that hold no more, and since when. */
  readonly unlinked = new Map<Link, number>();
  readonly absent: { readonly principal: number; readonly issuer: string }[] = [];
  readonly history: HistoryRow[] = [];
  readonly verdicts: VerdictRow[] = [];
}

/** Keeps the earliest time for a node. */
export function keepEarliest(times: Map<number, number>, node: number, atUs: number): void {
  const before = times.get(node);
  if (before === undefined || atUs < before) times.set(node, atUs);
}
