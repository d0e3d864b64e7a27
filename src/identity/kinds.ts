/** What the nodes of the graph are, and what an edge between two of them says. */

/** Order is storage's: a kind is its place here. */
export const NODE_KINDS = [
  'principal',
  'agent',
  'client',
  'token',
  'grant',
  'session',
  'delegation',
  'tool',
  'environment',
  'point',
  /** A token as another one names it that was exchanged for it: by jti or digest alone, so not yet the token itself. */
  'parent',
] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** The place of a kind. */
export const kindNumber = Object.fromEntries(NODE_KINDS.map((kind, i) => [kind, i])) as Readonly<
  Record<NodeKind, number>
>;

/** What may be named with or without its issuer: a thing named without one stands for that thing at every issuer. */
export const SCOPED_KINDS: ReadonlySet<NodeKind> = new Set(['client', 'grant', 'session']);

/** Why a node hangs on another: bits, because two events may each say one. */
export const ROLE = {
  /** It names it: whoever is shown the token knows. Of what is no token: it was made under it, and ends with it. */
  names: 1,
  /** Who holds the token, as an event about the token says; the token itself does not. */
  user: 2,
  /** It was used so, once or more; it may be used otherwise. */
  context: 4,
  /** An enforcement point that accepted, so may cache, the token. */
  caches: 8,
  /** Belongs together, but neither ends with the other by itself. */
  related: 16,
  /** A person whom it served, where the token itself does not say so: it may serve others as well. */
  served: 32,
} as const;
export type Role = keyof typeof ROLE;
export const ROLES = Object.keys(ROLE) as readonly Role[];

/** How far a node has come, in order. What nothing was told of is `seen`: other things name it. */
export const PHASE = { seen: 0, registered: 1, approved: 2, ended: 3 } as const;

/**
 * Kinds that come and go without bound. What of them is over, and what nothing was told of, is in the tables alone once nothing in
 * memory hangs on it.
 */
export const PASSING_KINDS: ReadonlySet<NodeKind> = new Set(['token', 'grant', 'session', 'delegation', 'parent']);

/** What becomes of something when its owner leaves (schemas, `on_owner_leave`). */
export type OnOwnerLeave = 'block' | 'hold' | 'transfer';
