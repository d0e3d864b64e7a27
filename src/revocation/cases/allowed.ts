/**
 * Decisions that allowed something, and whether an order forbids it. What was decided before an order, or by a table that may still have
 * been without it, contradicts nothing. Pure.
 *
 * Clocks: a decision has the time that its producer says, and the time at which the event log took it. The earlier one counts: a decision
 * that was kept for an hour before it was sent has an early first, one by a clock that is ahead an early second. So what a clock that is
 * behind hides goes unseen for as long as it is behind; and what is shown though it was right needs both: a clock ahead, and a late delivery.
 */
import { formatHex } from '../../core/bytes.js';
import type { KeyType } from '../../protocol/keys.js';
import { typedKeysOfToken, type Named, type TokenFacts } from '../../protocol/token-keys.js';
import type { KeyMaterial } from '../state.js';
import { FENCED_AFTER_US } from './standing.js';

/** A decision to allow, as far as it matters. Times are microseconds since 1970. */
export interface Allowed {
  readonly log: string;
  readonly index: bigint;
  readonly appendedUs: number;
  readonly decidedUs: number;
  readonly producer: string;
  readonly point: string | undefined;
  readonly instance: string | undefined;
  /** The table that it was made by, as its guard says. */
  readonly seq: number | undefined;
  /** Of the token and what it was used for; without the persons. */
  readonly facts: readonly TokenFacts[];
  /** Pseudonyms in hex. */
  readonly persons: readonly string[];
  readonly issuedAtUs: number | undefined;
}

/** A key that an order in force holds. */
export interface Forbidden {
  readonly order: string;
  readonly seq: number;
  readonly lastPartUs: number;
  /** Undefined: refused whatever the token; else what was issued up to then. */
  readonly cutoffUs: number | undefined;
}

export interface Contradicted {
  readonly allowed: Allowed;
  readonly forbidden: Forbidden;
  readonly keyType: KeyType;
}

/** A guard stamps a decision with its table when it hands it on, a moment after it made it. */
const STAMP_US = 5_000_000;

/** The keys of a decision, in hex, each with its type. @param persons who is behind the pseudonyms, where that is known */
export function keysOfAllowed(
  { hasher, guardKey }: KeyMaterial,
  { facts, persons }: Allowed,
  known: ReadonlyMap<string, Named>,
): Map<string, KeyType> {
  const subjects = persons.flatMap((pseudonym) => known.get(pseudonym) ?? []);
  return new Map(
    [...facts, { subjects }]
      .flatMap((one) => typedKeysOfToken(hasher, guardKey, one))
      .map(({ type, key }) => [formatHex(key), type]),
  );
}

/** The orders that a decision contradicts, each once. @param forbidden by key in hex */
export function contradictionsOf(
  allowed: Allowed,
  keys: ReadonlyMap<string, KeyType>,
  forbidden: ReadonlyMap<string, readonly Forbidden[]>,
): Contradicted[] {
  const found = new Map<string, Contradicted>();
  for (const [key, keyType] of keys) {
    for (const one of forbidden.get(key) ?? []) {
      if (isForbidden(allowed, one) && isAfter(allowed, one))
        found.set(one.order, { allowed, forbidden: one, keyType });
    }
  }
  return [...found.values()];
}

const isForbidden = ({ issuedAtUs }: Allowed, { cutoffUs }: Forbidden): boolean =>
  cutoffUs === undefined || (issuedAtUs !== undefined && issuedAtUs <= cutoffUs);

function isAfter({ decidedUs, appendedUs, seq: madeBy }: Allowed, { lastPartUs, seq }: Forbidden): boolean {
  const afterUs = Math.min(decidedUs, appendedUs) - lastPartUs;
  return afterUs > FENCED_AFTER_US || (madeBy !== undefined && madeBy >= seq && afterUs > STAMP_US);
}
