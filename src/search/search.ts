/**
 * Searching: the hits of one page, in order of (append time, log, index), and where the next page begins.
 *
 * A chain of pages reads one fixed set of entries, those below the positions at its first page, so it is stable whatever is
 * appended meanwhile. Going upwards, a chain that has come to its end goes on with what was folded since: every entry that matches is
 * answered exactly once, also one that a slower log brings with an earlier time. That is what `tail` polls.
 *
 * Everything is read in one snapshot. A part merged and dropped meanwhile makes the read fail, and begin anew.
 */
import type { PoolClient } from 'pg';
import { KeelsonError } from '../core/error.js';
import type { Database } from '../platform/database.js';
import { aliasesOf } from './aliases.js';
import { readNames, readParts, readPositions, type LogPosition } from './catalogue.js';
import type { Filter } from './filter.js';
import { nameKey, thingKey, uuidText } from './keys.js';
import { edge, planParts, type PartPlan } from './plan.js';
import { Parameters, selectFromPart, type Conditions, type Direction, type Place } from './statement.js';

export interface Hit extends Place {
  readonly path: string;
}

/** Where a page begins: in which set of entries, and after which of them. */
export interface Continuation {
  /** Log id → indexes of the set. */
  readonly within: ReadonlyMap<number, { readonly from: bigint; readonly to: bigint }>;
  /** Undefined where the set is read to its end: the next page begins with what came since. */
  readonly after: Place | undefined;
}

export interface Page {
  readonly hits: readonly Hit[];
  /** Per log, to which size the projection is complete for this page. */
  readonly asOf: readonly LogPosition[];
  /** Undefined at the end of a search that goes downwards. */
  readonly next?: Continuation;
}

export interface SearchOptions {
  readonly database: Database;
  readonly schema: string;
  readonly timeoutMs: number;
}

/** Parts read at most in the first statement of a search; each further one reads twice as many. */
const PARTS_FIRST = 4;
const PARTS_MAX = 64;
/** A walk is an index scan in order: nothing to sort but what has the same append time (incremental sort). */
const WALKING = 'set local enable_bitmapscan = off; set local enable_sort = off';
const LOOKING_UP = 'set local enable_bitmapscan = on; set local enable_sort = on';
/** A part may be dropped once, seldom twice, between the snapshot and the read. */
const ATTEMPTS = 5;

/**
 * One page of a search.
 *
 * @param limit hits at most, at least 1.
 * @throws KeelsonError `timeout`; `not_ready` where the projection does not exist yet, or is being rebuilt and not yet as far as the page
 * before was; `database_unavailable`.
 */
export async function search(
  options: SearchOptions,
  filter: Filter,
  direction: Direction,
  limit: number,
  begin?: Continuation,
): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await options.database.transaction((client) =>
        searchOnce(client, options, filter, direction, limit, begin),
      );
    } catch (error) {
      if ((error as { code?: unknown }).code !== '42P01') throw error; // undefined_table
      if (attempt === ATTEMPTS)
        throw new KeelsonError('not_ready', 'there is no search projection yet', { retryAfterS: 1 });
    }
  }
}

async function searchOnce(
  client: PoolClient,
  { schema, timeoutMs }: SearchOptions,
  filter: Filter,
  direction: Direction,
  limit: number,
  begin: Continuation | undefined,
): Promise<Page> {
  await client.query(`
    set transaction isolation level repeatable read, read only;
    set local statement_timeout = ${Math.floor(timeoutMs)};
    set local enable_seqscan = off;
    set local max_parallel_workers_per_gather = 0;
    set local jit = off`);
  const positions = await readPositions(client);
  const set = entrySet(positions, begin);
  const asOf = positions.map(({ id, path }) => ({ id, path, size: set.get(id)!.to }));
  const conditions = await resolveFilter(client, schema, filter, set, begin?.after);
  const hits = conditions === undefined ? [] : await readHits(client, schema, conditions, direction, limit + 1);

  const paths = new Map(positions.map(({ id, path }) => [id, path]));
  const page = hits.slice(0, limit).map((place): Hit => ({ ...place, path: paths.get(place.log)! }));
  const last = page.at(-1);
  if (hits.length > limit && last !== undefined) return { hits: page, asOf, next: { within: set, after: last } };
  return { hits: page, asOf, ...(direction === 'asc' ? { next: { within: set, after: undefined } } : {}) };
}

/** The entries that this page is about: those of the chain, or what came since a chain that is at its end. */
function entrySet(positions: readonly LogPosition[], begin: Continuation | undefined): Continuation['within'] {
  const set = new Map<number, { from: bigint; to: bigint }>();
  const sizes = new Map(positions.map(({ id, size }) => [id, size]));
  for (const [id, { to }] of begin?.within ?? []) {
    if ((sizes.get(id) ?? 0n) < to) {
      throw new KeelsonError('not_ready', 'the search projection is being rebuilt and not yet as far as this cursor', {
        retryAfterS: 5,
      });
    }
  }
  for (const { id, size } of positions) {
    const before = begin?.within.get(id);
    if (begin === undefined) set.set(id, { from: 0n, to: size });
    else if (begin.after === undefined) set.set(id, { from: before?.to ?? 0n, to: size });
    // A log that was not there when the chain began has no entries in it.
    else set.set(id, before ?? { from: 0n, to: 0n });
  }
  return set;
}

/** Names to integers; undefined where one has none, or the set is empty, so that nothing can be found. */
async function resolveFilter(
  client: PoolClient,
  schema: string,
  filter: Filter,
  set: Continuation['within'],
  after: Place | undefined,
): Promise<Conditions | undefined> {
  const within = [...set].flatMap(([log, { from, to }]) => (from < to ? [{ log, from, to }] : []));
  if (within.length === 0) return undefined;
  const groups: string[][] = [];
  for (const { kind, texts } of filter.names) {
    const meant = kind === 'principal' ? await withAliases(client, schema, texts) : texts;
    groups.push(meant.map((text) => uuidText(nameKey(kind, text))));
  }
  const ids = await readNames(client, schema, groups.flat());
  const names = groups.map((group) => [...new Set(group.flatMap((key) => ids.get(key) ?? []))]);
  if (names.some((group) => group.length === 0)) return undefined;
  const { appended, occurred, riskMin, riskMax } = filter;
  return {
    names,
    things: filter.things.map(({ kind, text }) => ({ kind, key: uuidText(thingKey(kind, text)) })),
    ...(appended.fromUs === undefined ? {} : { appendedFromUs: appended.fromUs }),
    ...(appended.toUs === undefined ? {} : { appendedToUs: appended.toUs }),
    ...(occurred.fromUs === undefined ? {} : { occurredFromUs: occurred.fromUs }),
    ...(occurred.toUs === undefined ? {} : { occurredToUs: occurred.toUs }),
    ...(riskMin === undefined ? {} : { riskMin }),
    ...(riskMax === undefined ? {} : { riskMax }),
    ...(after === undefined ? {} : { after }),
    within,
  };
}

async function withAliases(client: PoolClient, schema: string, subjects: readonly string[]): Promise<string[]> {
  const all = new Set<string>();
  for (const subject of subjects) for (const alias of await aliasesOf(client, schema, subject)) all.add(alias);
  return [...all];
}

/** The first `limit` hits over all parts, in order. Stops at the first part that can't hold an earlier one. */
async function readHits(
  client: PoolClient,
  schema: string,
  conditions: Conditions,
  direction: Direction,
  limit: number,
): Promise<Place[]> {
  const parts = await readParts(client, schema, conditions.names.flat());
  const plans = planParts(parts, conditions, direction, limit);
  let hits: Place[] = [];
  let walking = false;
  for (let at = 0, most = PARTS_FIRST; at < plans.length; most = Math.min(most * 2, PARTS_MAX)) {
    if (hits.length === limit && isBeyond(plans[at]!, hits[limit - 1]!, direction)) break;
    const { access } = plans[at]!;
    const group = takeGroup(plans.slice(at, at + most), limit - hits.length);
    at += group.length;
    if ((access === 'walk') !== walking) {
      walking = access === 'walk';
      await client.query(walking ? WALKING : LOOKING_UP);
    }
    hits = merge(hits, await readGroup(client, schema, group, direction, conditions, limit), direction).slice(0, limit);
  }
  return hits;
}

/** The first part, and as many more of its access as it takes until enough hits are to be expected. */
function takeGroup(plans: readonly PartPlan[], wanted: number): PartPlan[] {
  const group: PartPlan[] = [];
  let expected = 0;
  for (const plan of plans) {
    if (group.length > 0 && (plan.access !== group[0]!.access || expected >= wanted)) break;
    group.push(plan);
    expected += plan.expected;
  }
  return group;
}

const isBeyond = ({ part }: PartPlan, last: Place, direction: Direction): boolean =>
  part.bounds !== undefined &&
  (direction === 'asc' ? edge(part, direction) > last.appendedAtUs : edge(part, direction) < last.appendedAtUs);

async function readGroup(
  client: PoolClient,
  schema: string,
  group: readonly PartPlan[],
  direction: Direction,
  conditions: Conditions,
  limit: number,
): Promise<Place[]> {
  const parameters = new Parameters();
  const selects = group.map(({ part, access }) =>
    selectFromPart(schema, part.id, access, direction, conditions, limit, parameters),
  );
  const { rows } = await client.query<{ appended_at_us: bigint; log: number; index: bigint }>(
    selects.join(' union all '),
    parameters.values,
  );
  return rows.map(({ appended_at_us, log, index }) => ({ appendedAtUs: appended_at_us, log, index }));
}

function merge(a: readonly Place[], b: readonly Place[], direction: Direction): Place[] {
  const sign = direction === 'asc' ? 1 : -1;
  return [...a, ...b].sort((one, other) => sign * comparePlaces(one, other));
}

/** The order of answers. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.appendedAtUs !== b.appendedAtUs) return a.appendedAtUs < b.appendedAtUs ? -1 : 1;
  if (a.log !== b.log) return a.log - b.log;
  return a.index < b.index ? -1 : a.index > b.index ? 1 : 0;
}
