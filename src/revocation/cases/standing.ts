/**
 * How an instance stands to an order. An ack attests, a lease fences: whoever has not attested can't have a table that is older than the
 * longest lease. Pure.
 */
import { DEFAULT_STALENESS_US } from '../../protocol/staleness.js';
import type { KeyType } from '../../protocol/keys.js';
import type { Incomplete } from '../cause.js';

/** How much faster than ours a clock of an instance may go. */
const DRIFT = 0.01;

/**
 * After so long nobody has a lease any more that was granted before: microseconds. No tool may ask for a staler table than the default, so
 * this is the end of every lease, whatever was committed of any tool meanwhile.
 */
export const FENCED_AFTER_US = Math.ceil(DEFAULT_STALENESS_US * (1 + DRIFT));

/** What an instance attested last, and where. */
export interface CaseAck {
  readonly seq: number;
  readonly log: string;
  readonly index: bigint;
  /** When the event log took it, microseconds since 1970. */
  readonly appendedUs: number;
  /** Whether the table at `seq` is the one that it attests; undefined: not known yet. */
  readonly isTrue: boolean | undefined;
  /** What its mapping can find. */
  readonly keyTypes: readonly KeyType[];
  /** SHA-256 of the mapping, hex. */
  readonly mappingHash: string;
}

export interface CaseInstance {
  readonly instance: string;
  readonly point: string;
  /** The entry in lifecycle by which it joined. */
  readonly joinedIndex: bigint;
  /** Taken out for good: because somebody said so, or as it was silent for a day, which proves nothing of where it is. */
  readonly retired: 'asked' | 'silent' | undefined;
  /** Its point is out of service: it gets no lease. */
  readonly quarantined: boolean;
  /** Tools that it lets be called once its lease has ended. */
  readonly failOpen: readonly string[];
  /** Undefined: it attested nothing yet. */
  readonly ack: CaseAck | undefined;
  /**
   * By when every lease is over that it had when this was read, microseconds since 1970 by whichever clock is latest; -Infinity: it had
   * none; Infinity: nobody knows.
   */
  readonly leasesEndUs: number;
}

/** A decision that was made although the order forbids it. */
export interface Contradiction {
  readonly log: string;
  readonly index: bigint;
  readonly point: string | undefined;
  readonly instance: string | undefined;
}

export interface OpenCase {
  readonly order: string;
  readonly seq: number;
  /** The entry in lifecycle that the change `seq` is of. */
  readonly index: bigint;
  /** When the event log took its last part, microseconds since 1970. */
  readonly orderedUs: number;
  /** Types of the keys that it holds. */
  readonly keyTypes: readonly KeyType[];
  readonly incomplete: readonly Incomplete[];
  /** Points, enrolled before it and not retired by then, that are told of it and attest nothing. */
  readonly signalled: readonly string[];
  readonly contradictions: readonly Contradiction[];
}

/**
 * - `acked`: it attested the order. `partial`: it did, and can't find keys of every type that the order holds.
 * - `contradicting`: it attested another table than there is, which is no ack.
 * - `silent`: it has not attested it (yet). `fenced`: nor has it a lease any more that was granted before.
 * - `unfenced`: the same, but tools of it fail open, so that no end of a lease proves anything.
 * - `absent`: it had no lease when the order was given, so nobody waits for it. `retired`: nor will it have one again; who fails open and was only silent
 *   stays `unfenced`.
 * - `later`: it joined after the order, so its first table held it.
 */
export type Standing =
  'acked' | 'partial' | 'contradicting' | 'silent' | 'fenced' | 'unfenced' | 'absent' | 'retired' | 'later';

/** @param leasesEndUs by instance; who is not in it may have any lease. */
export const withLeases = (
  instances: readonly CaseInstance[],
  leasesEndUs: ReadonlyMap<string, number>,
): CaseInstance[] => instances.map((one) => ({ ...one, leasesEndUs: leasesEndUs.get(one.instance) ?? Infinity }));

/** @param waitedUs how long the order's last part is known to have been committed, by a clock that is never set. */
export function standingOf(
  order: Pick<OpenCase, 'seq' | 'index' | 'orderedUs' | 'keyTypes'>,
  one: CaseInstance,
  waitedUs: number,
): Standing {
  const { ack } = one;
  if (ack !== undefined && ack.seq >= order.seq && ack.isTrue !== undefined) {
    if (!ack.isTrue) return 'contradicting';
    return unmappedTypes(order, one).length > 0 ? 'partial' : 'acked';
  }
  if (one.joinedIndex > order.index) return 'later';
  const fails = one.failOpen.length > 0;
  if (!mayHaveHeldLease(order, one)) {
    if (fails && one.retired !== 'asked') return 'unfenced';
    return one.retired === undefined ? 'absent' : 'retired';
  }
  return waitedUs < FENCED_AFTER_US ? 'silent' : fails ? 'unfenced' : 'fenced';
}

/** Whether it may have had a lease when the order was given: the event log takes an order before it is committed. */
export const mayHaveHeldLease = ({ orderedUs }: Pick<OpenCase, 'orderedUs'>, { leasesEndUs }: CaseInstance): boolean =>
  leasesEndUs > orderedUs;

/** Types of keys that the order holds, and the instance's mapping can't find in a token. */
export const unmappedTypes = ({ keyTypes }: Pick<OpenCase, 'keyTypes'>, { ack }: CaseInstance): KeyType[] =>
  ack === undefined ? [] : keyTypes.filter((type) => !ack.keyTypes.includes(type));
