/** What is known of those whom a cause is about, at the moment of deciding: handed to `step`, which asks nobody itself. */
import { encodeUtf8, formatHex } from '../core/bytes.js';
import type { Hasher } from '../core/hasher.js';
import type { Descendants, Human } from '../identity/identity.js';
import type { Owned } from '../identity/views.js';

export interface Person {
  readonly issuer: string;
  readonly id: string;
}

/** What its configuration says of the source of a cause, and of issuers altogether. */
export interface Policy {
  /** Issuers that the source owns. */
  readonly owns: readonly string[];
  /** Issuers at which every person is expected to be known. */
  readonly expects: readonly string[];
  /** Issuers whose tokens list no groups. */
  readonly groupless: readonly string[];
}

export interface Belongings {
  readonly owned: readonly Owned[];
  /** Of the persons, and of what they own and does not go on. */
  readonly descendants: Descendants;
}

export interface World extends Belongings {
  /** Lifecycle entries that the graph had folded before it was asked; −1 where it did not answer. */
  readonly lifecycleSize: number;
  /** Whether it had folded as much of every other log as was committed when the cause was first looked at. */
  readonly knowsOthers: boolean;
  readonly human: Human;
  /** Who is behind the pseudonyms of the human, of tokens and of the order so far; erased ones are missing. */
  readonly persons: ReadonlyMap<string, Person>;
  /** What belongs to pseudonyms that the order is about and the human is not any more. */
  readonly lost?: Belongings;
  readonly policy: Policy;
}

export const NO_DESCENDANTS: Descendants = {
  grants: [],
  sessions: [],
  delegations: [],
  agents: [],
  clients: [],
  tokens: [],
  sharedCount: 0,
};

/** Where nothing has to be asked: a cause that names its orders. */
export const EMPTY_WORLD: World = {
  lifecycleSize: Number.MAX_SAFE_INTEGER,
  knowsOthers: true,
  human: { subjects: [], absentIssuers: [] },
  persons: new Map(),
  owned: [],
  descendants: NO_DESCENDANTS,
  policy: { owns: [], expects: [], groupless: [] },
};

/** The name of what a dry run saw: how many keys, and a digest of all of them. The pair of `countUnseen`. */
export const nameWorld = (hasher: Hasher, keys: ReadonlyMap<string, unknown>): string =>
  `w1-${keys.size}-${digestOf(hasher, keys)}`;

/**
 * How many keys, at least, the dry run of this name did not see. Where there are fewer than it saw, that can't be told, and is 0; so is
 * it for a name that no dry run gave.
 * @param name as `nameWorld` made it, also in the quotes of an ETag.
 */
export function countUnseen(hasher: Hasher, name: string, keys: ReadonlyMap<string, unknown>): number {
  const [, size, digest] = /^"?w1-(0|[1-9][0-9]{0,8})-([0-9a-f]{32})"?$/.exec(name) ?? [];
  if (size === undefined || keys.size < Number(size)) return 0;
  // As many, and not the same ones: for each that is gone another one came.
  return Math.max(keys.size - Number(size), digest === digestOf(hasher, keys) ? 0 : 1);
}

function digestOf(hasher: Hasher, keys: ReadonlyMap<string, unknown>): string {
  const digest = new Uint8Array(32);
  hasher.sha256(encodeUtf8([...keys.keys()].sort().join('\n')), digest, 0);
  return formatHex(digest.subarray(0, 16));
}
