/** The entries of a case that goes on for long, or has ended: `case.late`, `case.closed`, schema `case.v3`. Pure. */
import type { JsonObject } from '../../events/index.js';
import { formatTimestamp } from '../../events/time.js';
import type { CaseGap, CaseOutcome, StandingInstance } from './outcome.js';
import type { OpenCase, Standing } from './standing.js';

/** What fits into an entry beside the rest; all of them are in the ledger by themselves. */
const MAX_INSTANCES = 150;
const MAX_POINTS = 200;
/** Who is named first. */
const RANK: Readonly<Partial<Record<Standing, number>>> = {
  contradicting: 0,
  partial: 1,
  unfenced: 2,
  fenced: 3,
  absent: 4,
  acked: 5,
};
const COUNTED = ['acked', 'fenced', 'partial', 'contradicting', 'absent'] as const;

export function describeClosed(
  { order, seq, orderedUs }: OpenCase,
  { result, instances, incomplete }: CaseOutcome,
  nowUs: bigint,
): JsonObject {
  const ranked = [...instances].sort((a, b) => RANK[a.standing]! - RANK[b.standing]!);
  return {
    order,
    seq,
    result,
    ordered_at: formatTimestamp(BigInt(orderedUs)),
    closed_at: formatTimestamp(nowUs),
    points: describePoints(instances),
    instances: ranked.slice(0, MAX_INSTANCES).map(describeInstance),
    incomplete: incomplete.map(describeGap),
  };
}

/** That a case goes on for long, and who has not attested it. */
export const describeLate = (
  { order, seq, orderedUs }: OpenCase,
  waitedUs: number,
  stragglers: readonly StandingInstance[],
): JsonObject => ({
  order,
  seq,
  ordered_at: formatTimestamp(BigInt(orderedUs)),
  waited_ms: Math.floor(waitedUs / 1000),
  count: stragglers.length,
  instances: stragglers.slice(0, MAX_INSTANCES).map(describeInstance),
});

/** How many of each point's instances stand how, and when the first and the last of them attested it. */
function describePoints(instances: readonly StandingInstance[]): JsonObject[] {
  const points = new Map<string, StandingInstance[]>();
  for (const one of instances) {
    const some = points.get(one.point);
    if (some === undefined) points.set(one.point, [one]);
    else some.push(one);
  }
  return [...points].slice(0, MAX_POINTS).map(([point, some]) => {
    const times = some.flatMap(({ standing, ack }) => (hasAcked(standing) ? [ack!.appendedUs] : []));
    return {
      point,
      ...Object.fromEntries(COUNTED.map((what) => [what, some.filter(({ standing }) => standing === what).length])),
      ...(times.length === 0
        ? {}
        : {
            first_acked_at: formatTimestamp(BigInt(times.reduce((a, b) => Math.min(a, b)))),
            last_acked_at: formatTimestamp(BigInt(times.reduce((a, b) => Math.max(a, b)))),
          }),
    };
  });
}

const hasAcked = (standing: Standing): boolean => standing === 'acked' || standing === 'partial';

function describeInstance({ instance, point, standing, ack, unmapped }: StandingInstance): JsonObject {
  const where = hasAcked(standing) || standing === 'contradicting' ? ack : undefined;
  return {
    instance,
    point,
    status: standing,
    ...(where === undefined
      ? {}
      : { log: where.log, index: Number(where.index), acked_at: formatTimestamp(BigInt(where.appendedUs)) }),
    ...(unmapped.length === 0 ? {} : { unmapped: [...unmapped] }),
  };
}

const describeGap = ({ keyTypes, index, ...more }: CaseGap): JsonObject => ({
  ...more,
  ...(keyTypes === undefined ? {} : { key_types: [...keyTypes] }),
  ...(index === undefined ? {} : { index: Number(index) }),
});
