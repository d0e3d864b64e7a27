/** Which parts a search has to touch, in which order, and how it reads each. */
import type { Access, Conditions, Direction, Place } from './statement.js';

/** What the summary knows of a part. */
export interface PartSummary {
  readonly id: number;
  readonly rows: number;
  /** Undefined while the part has no indexes: then nothing is known of what it holds. */
  readonly bounds?: {
    readonly firstAppendedUs: bigint;
    readonly lastAppendedUs: bigint;
    readonly firstOccurredUs: bigint;
    readonly lastOccurredUs: bigint;
    /** Log id → greatest index. */
    readonly lastIndexes: ReadonlyMap<number, bigint>;
    /** Name → rows that hold it, for every name the search asks for. */
    readonly holdings: ReadonlyMap<number, number>;
  };
}

export interface PartPlan {
  readonly part: PartSummary;
  readonly access: Access;
  /** About how many hits it holds, as far as names and append times tell. */
  readonly expected: number;
}

/** Rows up to which looking up several names at once beats guessing how they go together. */
const LOOK_UP_ROWS = 50_000;
/** What a row costs that an index finds, in rows that a walk passes. */
const LOOK_UP_COST = 3;

/** The parts that may hold hits, those without indexes first, then in the order of the search; none that surely holds no hit. */
export function planParts(
  parts: readonly PartSummary[],
  conditions: Conditions,
  direction: Direction,
  limit: number,
): PartPlan[] {
  const plans = parts
    .filter((part) => mayHold(part, conditions, direction))
    .map((part) => planPart(part, conditions, limit));
  const sign = direction === 'asc' ? 1 : -1;
  return plans.sort((a, b) => sign * compareBounds(edge(a.part, direction, sign), edge(b.part, direction, sign)));
}

/** The first append time a part's hits can have in the direction of the search. Unknown: before all others. */
export function edge({ bounds }: PartSummary, direction: Direction, sign = direction === 'asc' ? 1 : -1): bigint {
  if (bounds === undefined) return BigInt(-sign) * (1n << 63n);
  return direction === 'asc' ? bounds.firstAppendedUs : bounds.lastAppendedUs;
}

const compareBounds = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

function mayHold({ bounds }: PartSummary, conditions: Conditions, direction: Direction): boolean {
  if (bounds === undefined) return true;
  const { after, within, names } = conditions;
  if (below(bounds.lastAppendedUs, conditions.appendedFromUs) || below(conditions.appendedToUs, bounds.firstAppendedUs))
    return false;
  if (below(bounds.lastOccurredUs, conditions.occurredFromUs) || below(conditions.occurredToUs, bounds.firstOccurredUs))
    return false;
  if (after !== undefined && isPassed(bounds, after, direction)) return false;
  if (!within.some(({ log, from }) => (bounds.lastIndexes.get(log) ?? -1n) >= from)) return false;
  return names.every((group) => group.some((name) => bounds.holdings.has(name)));
}

const below = (a: bigint | undefined, b: bigint | undefined): boolean => a !== undefined && b !== undefined && a < b;

const isPassed = (bounds: NonNullable<PartSummary['bounds']>, after: Place, direction: Direction): boolean =>
  direction === 'asc' ? bounds.lastAppendedUs < after.appendedAtUs : bounds.firstAppendedUs > after.appendedAtUs;

/**
 * A look-up reads every row that its index finds and sorts them; a walk reads rows in order until it has enough. So rare names are
 * looked up, frequent ones walked to; where several frequent names meet nobody knows how often they do, and the index is asked.
 */
function planPart(part: PartSummary, conditions: Conditions, limit: number): PartPlan {
  const { bounds, rows } = part;
  if (bounds === undefined) return { part, access: 'walk', expected: 0 };
  if (conditions.things.some(({ kind }) => kind !== 'task')) return { part, access: 'look-up', expected: 1 };
  const counts = conditions.names.map((group) =>
    group.reduce((sum, name) => sum + (bounds.holdings.get(name) ?? 0), 0),
  );
  const inRange = rows * shareOfRange(bounds, conditions);
  const share = counts.reduce((product, count) => product * Math.min(1, count / rows), 1);
  const expected = inRange * share;
  if (counts.length > 0) {
    const rarest = Math.min(rows, ...counts);
    if (counts.length > 1 && rarest <= LOOK_UP_ROWS) return { part, access: 'look-up', expected };
    const walked = Math.min(limit / share, inRange);
    return { part, access: walked < rarest * LOOK_UP_COST ? 'walk' : 'look-up', expected };
  }
  const { occurredFromUs, occurredToUs } = conditions;
  const cut = below(bounds.firstOccurredUs, occurredFromUs) || below(occurredToUs, bounds.lastOccurredUs);
  return { part, access: cut ? 'look-up' : 'walk', expected };
}

/** About which share of a part's rows lies in the range of append times asked for. */
function shareOfRange(
  bounds: NonNullable<PartSummary['bounds']>,
  { appendedFromUs, appendedToUs }: Conditions,
): number {
  const { firstAppendedUs: first, lastAppendedUs: last } = bounds;
  const from = appendedFromUs === undefined || appendedFromUs < first ? first : appendedFromUs;
  const to = appendedToUs === undefined || appendedToUs > last ? last : appendedToUs;
  return last === first ? 1 : Math.max(0, Number(to - from) / Number(last - first));
}
