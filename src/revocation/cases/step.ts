/**
 * When a case is over: every instance attested that it enforces the order, or its lease has run out. An ack attests, a lease fences: whoever
 * has not attested can't have a table that is older than the longest lease. Pure.
 */
import { DEFAULT_STALENESS_US } from '../../protocol/staleness.js';
import type { Incomplete } from '../cause.js';

/** How much faster than ours a clock of an instance may go. */
const DRIFT = 0.01;

export interface CaseInstance {
  readonly instance: string;
  readonly point: string;
  readonly retired: boolean;
  /** Undefined: it attested nothing yet. */
  readonly ack: { readonly seq: number; readonly log: string; readonly index: bigint } | undefined;
}

export interface OpenCase {
  readonly order: string;
  readonly seq: number;
  /** When the event log took its last part, microseconds since 1970. */
  readonly orderedUs: number;
  readonly incomplete: readonly Incomplete[];
}

export interface CaseOutcome {
  readonly result: 'enforced' | 'fenced' | 'incomplete';
  readonly acked: readonly CaseInstance[];
  readonly fenced: readonly CaseInstance[];
  readonly incomplete: readonly { readonly reason: string; readonly issuer?: string; readonly count?: number }[];
}

/** After so long nobody has a lease any more that was granted before: microseconds. */
export const FENCED_AFTER_US = Math.ceil(DEFAULT_STALENESS_US * (1 + DRIFT));

/**
 * How a case ends by now; undefined: it goes on.
 * @param waitedUs how long its last part is known to have been committed, by a clock that is never set. Less is safe: a grant that did not
 *   know of it is older.
 */
export function closeCase(
  { seq, incomplete }: OpenCase,
  instances: readonly CaseInstance[],
  waitedUs: number,
): CaseOutcome | undefined {
  const present = instances.filter(({ retired }) => !retired);
  const acked = present.filter(({ ack }) => ack !== undefined && ack.seq >= seq);
  const silent = present.filter((one) => !acked.includes(one));
  if (silent.length > 0 && waitedUs < FENCED_AFTER_US) return undefined;
  const gaps = present.length === 0 ? [...incomplete, { reason: 'no_instances' }] : [...incomplete];
  const result = gaps.length > 0 ? 'incomplete' : silent.length > 0 ? 'fenced' : 'enforced';
  return { result, acked, fenced: silent, incomplete: gaps };
}
