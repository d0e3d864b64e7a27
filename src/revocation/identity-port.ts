/**
 * What the processor asks of the identity graph. Pseudonyms are lower-case hex. Answers may be older than the question: each says how far
 * it is complete, and what appears later extends the order.
 */
import type { Positions } from '../ledger/projection.js';

/** Something that a token may name; `issuer` is empty where nobody gave it a name of its own. */
export interface Named {
  readonly issuer: string;
  readonly id: string;
}

/** An agent or client that a person owns, and what becomes of it when they leave. */
export interface Owned extends Named {
  readonly type: 'agent' | 'client';
  readonly onOwnerLeave: 'block' | 'hold' | 'transfer' | null;
  /** Who was approved to go on with it, for `transfer`. */
  readonly successor: string | null;
}

/** A token that stems from what was asked about, as far as it was seen. */
export interface SeenToken {
  readonly issuer: string;
  readonly jti: string | null;
  /** SHA-256 of the token in lower-case hex, where it has no id. */
  readonly digest: string | null;
  /** What it names: a token that names an ancestor whose key is blocked needs no key of its own. */
  readonly subjects: readonly string[];
  readonly agents: readonly string[];
  readonly clientId: string | null;
  readonly sessionId: string | null;
  readonly grants: readonly string[];
  readonly delegations: readonly string[];
  readonly issuedAtUs: bigint | null;
  readonly expiresAtUs: bigint | null;
}

/** One human: every pseudonym they have. */
export interface Human {
  readonly subjects: readonly string[];
  /** Issuers at which a source said that they have no account. */
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
  readonly grants: readonly Named[];
  readonly sessions: readonly Named[];
  readonly delegations: readonly string[];
  /** An agent by the other names that its registration gives it. */
  readonly agents: readonly string[];
  /** Clients that only these agents use. */
  readonly clients: readonly Named[];
  /** Living ones that do not name an origin: they name one of the above, or nothing of it. */
  readonly tokens: readonly SeenToken[];
}

/** What an origin reaches, for people: counts and names, no facts. */
export interface Reach {
  readonly agents: readonly string[];
  readonly tools: readonly string[];
  readonly environments: readonly string[];
  /** Enforcement points that have seen one of the tokens. */
  readonly points: readonly string[];
  readonly sessionCount: number;
  readonly delegationCount: number;
  readonly tokenCount: number;
  readonly lastUsedAtUs: bigint | null;
}

export interface IdentityPort {
  /** Whether this process holds the graph; elsewhere the questions below are refused with `not_ready`. */
  readonly isHere: boolean;
  /** By log path, how many entries the answers are complete to. */
  positions(): Positions | Promise<Positions>;
  /** Resolves when lifecycle is folded to `size` entries, or after `timeoutMs`: answers whether it is. */
  waitForLifecycle(size: bigint, timeoutMs: number): Promise<boolean>;
  /** The human behind a pseudonym; of an unknown one: only itself. */
  aliasesOf(subject: string): Human | Promise<Human>;
  /** What these pseudonyms own, not retired. */
  ownedBy(subjects: readonly string[]): readonly Owned[] | Promise<readonly Owned[]>;
  /**
   * What stems from origins: of a person their grants, the delegations they gave with their children, sessions, and tokens of all these;
   * not what they own, which is an origin of its own.
   */
  descendantsOf(origins: readonly Origin[]): Descendants | Promise<Descendants>;
  /** For a dry run; with what the persons own. */
  reachOf(origins: readonly Origin[]): Reach | Promise<Reach>;
  /**
   * To whom and to what something was attached (token, session, grant, agent, delegation, alias) after `mark`; undefined `mark`: none, only
   * where to begin. A mark that is not known any more answers `all`.
   */
  changedSince(mark: string | undefined): Changed | Promise<Changed>;
}

export interface Changed {
  readonly mark: string;
  readonly subjects: readonly string[] | 'all';
  /** What is no person, and has something new below it. */
  readonly things: readonly Thing[];
}

export interface Thing extends Named {
  readonly type: OriginType;
}
