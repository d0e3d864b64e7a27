/**
 * One part's share of a search as SQL. Every value is a parameter; what stands in the text are column names and integers
 * that the database gave out.
 *
 * Which index Postgres uses is decided here, from the summary, and forced by the form of the statement, because parts have no
 * statistics: a *look-up* writes conditions as an index can answer them and an order that none can; a *walk* has the order of the
 * index on append times, and conditions none can answer, so that it stops at the limit.
 */
import type { ThingKind } from './keys.js';
import { partTable } from './tables.js';

/** A position in the order of answers. */
export interface Place {
  readonly appendedAtUs: bigint;
  readonly log: number;
  readonly index: bigint;
}

export type Direction = 'asc' | 'desc';

/** A filter whose names have become integers. */
export interface Conditions {
  /** Groups of names; of each, any one. No group is empty. */
  readonly names: readonly (readonly number[])[];
  readonly things: readonly { readonly kind: ThingKind; readonly key: string }[];
  readonly appendedFromUs?: bigint;
  readonly appendedToUs?: bigint;
  readonly occurredFromUs?: bigint;
  readonly occurredToUs?: bigint;
  readonly riskMin?: number;
  readonly riskMax?: number;
  /** Hits after it, in the direction of the search. */
  readonly after?: Place;
  /** Per log, indexes `[from, to)`; of other logs nothing. */
  readonly within: readonly { readonly log: number; readonly from: bigint; readonly to: bigint }[];
}

export type Access = 'look-up' | 'walk';

/** Parameters of one statement; equal values share a number. */
export class Parameters {
  readonly values: unknown[] = [];
  readonly #numbers = new Map<string, string>();

  add(value: bigint | number | string | readonly number[], type: string): string {
    const key = `${type} ${String(value)}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      this.values.push(typeof value === 'bigint' ? String(value) : value);
      this.#numbers.set(key, (number = `$${this.values.length}::${type}`));
    }
    return number;
  }
}

/** The statement that finds the first `limit` hits of a part, in order: `select appended_at_us, log, index`. */
export function selectFromPart(
  schema: string,
  part: number,
  access: Access,
  direction: Direction,
  conditions: Conditions,
  limit: number,
  parameters: Parameters,
): string {
  const first = access === 'walk' ? 'appended_at_us' : 'appended_at_us + 0';
  const where = [
    ...conditions.things.map(({ kind, key }) => thingCondition(kind, parameters.add(key, 'uuid'))),
    ...nameConditions(conditions.names, access, parameters),
    ...rangeConditions(conditions, parameters),
    ...placeConditions(conditions, direction, parameters),
  ];
  return (
    `(select appended_at_us, log, index from ${partTable(schema, part)} where ${where.join(' and ')} ` +
    `order by ${first} ${direction}, log ${direction}, index ${direction} limit ${limit})`
  );
}

const THING_COLUMNS: Record<ThingKind, readonly string[]> = {
  event: ['event'],
  token: ['token', 'other_token'],
  session: ['session', 'other_session'],
  task: ['task'],
};

const thingCondition = (kind: ThingKind, key: string): string =>
  `(${THING_COLUMNS[kind].map((column) => `${column} = ${key}`).join(' or ')})`;

function nameConditions(names: Conditions['names'], access: Access, parameters: Parameters): string[] {
  const single = names.flatMap((group) => (group.length === 1 ? group : []));
  const several = names.filter((group) => group.length > 1);
  if (access === 'walk') {
    return [
      ...single.map((id) => `${parameters.add(id, 'int')} = any (keys)`),
      ...several.map((group) => `(keys && ${parameters.add(group, 'int[]')}) is true`),
    ];
  }
  return [
    ...(single.length > 0 ? [`keys @> ${parameters.add(single, 'int[]')}`] : []),
    ...several.map((group) => `keys && ${parameters.add(group, 'int[]')}`),
  ];
}

function rangeConditions(conditions: Conditions, parameters: Parameters): string[] {
  const { appendedFromUs, appendedToUs, occurredFromUs, occurredToUs, riskMin, riskMax } = conditions;
  const where: string[] = [];
  const add = (column: string, comparison: string, value: bigint | number | undefined, type: string): void => {
    if (value !== undefined) where.push(`${column} ${comparison} ${parameters.add(value, type)}`);
  };
  add('appended_at_us', '>=', appendedFromUs, 'bigint');
  add('appended_at_us', '<=', appendedToUs, 'bigint');
  add('occurred_at_us', '>=', occurredFromUs, 'bigint');
  add('occurred_at_us', '<=', occurredToUs, 'bigint');
  add('risk', '>=', riskMin, 'float8');
  add('risk', '<=', riskMax, 'float8');
  return where;
}

function placeConditions({ after, within }: Conditions, direction: Direction, parameters: Parameters): string[] {
  const where: string[] = [];
  const logs = within.map(
    ({ log, from, to }) =>
      `log = ${parameters.add(log, 'smallint')} and index < ${parameters.add(to, 'bigint')}` +
      (from === 0n ? '' : ` and index >= ${parameters.add(from, 'bigint')}`),
  );
  where.push(logs.length === 0 ? 'false' : `(${logs.join(' or ')})`);
  if (after !== undefined) {
    const place = `(${parameters.add(after.appendedAtUs, 'bigint')}, ${parameters.add(after.log, 'smallint')}, ${parameters.add(after.index, 'bigint')})`;
    where.push(`(appended_at_us, log, index) ${direction === 'asc' ? '>' : '<'} ${place}`);
  }
  return where;
}
