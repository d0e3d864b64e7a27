/** When a case is over, and how. Pure. */
import type { KeyType } from '../../protocol/keys.js';
import {
  FENCED_AFTER_US,
  mayHaveHeldLease,
  standingOf,
  unmappedTypes,
  type CaseInstance,
  type Contradiction,
  type OpenCase,
  type Standing,
} from './standing.js';

/** What is not proven, and whom it is about. */
export interface CaseGap {
  /** Of the order (`Incomplete`), or `no_instances`, `unmapped_keys`, `contradicting_ack`, `unfenced`, `signalled_only`, `allowed_after`. */
  readonly reason: string;
  readonly issuer?: string;
  readonly count?: number;
  readonly point?: string;
  readonly instance?: string;
  readonly keyTypes?: readonly KeyType[];
  readonly log?: string;
  readonly index?: bigint;
}

export interface StandingInstance extends CaseInstance {
  readonly standing: Standing;
  readonly unmapped: readonly KeyType[];
}

export interface CaseOutcome {
  readonly result: 'enforced' | 'fenced' | 'incomplete';
  /** Those whom the order concerns: who is retired, or came later and attested nothing, is left out. */
  readonly instances: readonly StandingInstance[];
  readonly incomplete: readonly CaseGap[];
}

/** Named one by one so far; the rest of a kind is left to their entries. */
const MAX_NAMED = 50;

/**
 * How a case ends by now; undefined: it goes on.
 * @param waitedUs how long its last part is known to have been committed, by a clock that is never set. Less is safe: a grant that did not
 *   know of it is older.
 */
export function closeCase(order: OpenCase, all: readonly CaseInstance[], waitedUs: number): CaseOutcome | undefined {
  // Asked again and again of many, and of most cases somebody is still waited for.
  for (const one of all) if (isWaitedFor(order, one, waitedUs)) return undefined;
  const instances = standingsOf(order, all, waitedUs).filter(
    ({ standing }) => standing !== 'retired' && standing !== 'later',
  );
  const incomplete = gapsOf(order, instances);
  const has = (standing: Standing): boolean => instances.some((one) => one.standing === standing);
  const isEnforced = has('acked') && !has('fenced');
  return { result: incomplete.length > 0 ? 'incomplete' : isEnforced ? 'enforced' : 'fenced', instances, incomplete };
}

export const standingsOf = (order: OpenCase, all: readonly CaseInstance[], waitedUs: number): StandingInstance[] =>
  all.map((one) => {
    const standing = standingOf(order, one, waitedUs);
    return { ...one, standing, unmapped: standing === 'partial' ? unmappedTypes(order, one) : [] };
  });

/** Who contradicts may still attest what is true, as long as it may have an old lease. */
function isWaitedFor(order: OpenCase, one: CaseInstance, waitedUs: number): boolean {
  const standing = standingOf(order, one, waitedUs);
  return (
    standing === 'silent' ||
    (standing === 'contradicting' && mayHaveHeldLease(order, one) && waitedUs < FENCED_AFTER_US)
  );
}

/** What is not proven, by now. */
export function gapsOf(order: OpenCase, instances: readonly StandingInstance[]): CaseGap[] {
  const contradicting = instances.filter(({ standing }) => standing === 'contradicting').slice(0, MAX_NAMED);
  return [
    ...order.incomplete,
    ...(instances.length === 0 ? [{ reason: 'no_instances' }] : []),
    ...unmappedByPoint(instances),
    ...unfencedByPoint(instances),
    ...order.signalled.slice(0, MAX_NAMED).map((point) => ({ reason: 'signalled_only', point })),
    ...contradicting.map(({ point, instance }) => ({ reason: 'contradicting_ack', point, instance })),
    ...order.contradictions.slice(0, MAX_NAMED).map(sayAllowed),
  ];
}

function unmappedByPoint(instances: readonly StandingInstance[]): CaseGap[] {
  const points = new Map<string, { types: Set<KeyType>; count: number }>();
  for (const { point, unmapped } of instances) {
    if (unmapped.length === 0) continue;
    const found = points.get(point) ?? { types: new Set(), count: 0 };
    points.set(point, found);
    for (const type of unmapped) found.types.add(type);
    found.count++;
  }
  return [...points]
    .slice(0, MAX_NAMED)
    .map(([point, { types, count }]) => ({ reason: 'unmapped_keys', point, count, keyTypes: [...types].sort() }));
}

function unfencedByPoint(instances: readonly StandingInstance[]): CaseGap[] {
  const points = new Map<string, number>();
  for (const { point, standing } of instances) {
    if (standing === 'unfenced') points.set(point, (points.get(point) ?? 0) + 1);
  }
  return [...points].slice(0, MAX_NAMED).map(([point, count]) => ({ reason: 'unfenced', point, count }));
}

const sayAllowed = ({ log, index, point, instance }: Contradiction): CaseGap => ({
  reason: 'allowed_after',
  log,
  index,
  ...(point === undefined ? {} : { point }),
  ...(instance === undefined ? {} : { instance }),
});
