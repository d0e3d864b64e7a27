/** Search without a database: every row against every filter. And what random entries and searches look like. */
import fc from 'fast-check';
import type { Facts, Row } from './facts.js';
import type { Filter, TimeRange } from '../../src/search/filter.js';
import { comparePlaces } from '../../src/search/search.js';
import type { Direction, Place } from '../../src/search/statement.js';

/** Subjects by a small number, as the vault would give them. */
export const subjectOf = (n: number): Buffer => Buffer.alloc(16, n + 1);

/** All rows that match, in order; after `after`. */
export function searchModel(rows: readonly Row[], filter: Filter, direction: Direction, after?: Place): Place[] {
  const sign = direction === 'asc' ? 1 : -1;
  return rows
    .filter(({ facts, appendedAtUs }) => matches(facts, appendedAtUs, filter, rows))
    .map(({ log, index, appendedAtUs }): Place => ({ log, index, appendedAtUs }))
    .sort((a, b) => sign * comparePlaces(a, b))
    .filter((place) => after === undefined || sign * comparePlaces(place, after) > 0);
}

function matches(facts: Facts, appendedAtUs: bigint, filter: Filter, rows: readonly Row[]): boolean {
  const held = {
    agent: facts.agents,
    tool: [facts.tool],
    type: [facts.type],
    decision: [facts.decision],
    environment: [facts.environment],
    producer: [facts.producer],
    policy: facts.policies,
    principal: facts.principals.map((subject) => Buffer.from(subject).toString('hex')),
  };
  const things = { event: [facts.eventId], token: facts.tokens, session: facts.sessions, task: [facts.task] };
  const within = (value: bigint, { fromUs, toUs }: TimeRange): boolean =>
    value >= (fromUs ?? value) && value <= (toUs ?? value);
  const { riskMin, riskMax } = filter;
  return (
    filter.names.every(({ kind, texts }) => {
      const meant = kind === 'principal' ? linked(texts, rows) : new Set(texts);
      return held[kind].some((text) => text !== undefined && meant.has(text));
    }) &&
    filter.things.every(({ kind, text }) => (things[kind] as readonly (string | undefined)[]).includes(text)) &&
    within(appendedAtUs, filter.appended) &&
    within(facts.occurredAtUs, filter.occurred) &&
    (riskMin === undefined || (facts.risk !== undefined && facts.risk >= riskMin)) &&
    (riskMax === undefined || (facts.risk !== undefined && facts.risk <= riskMax))
  );
}

function linked(subjects: readonly string[], rows: readonly Row[]): Set<string> {
  const found = new Set(subjects);
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { facts } of rows) {
      const one = (facts.linked ?? []).map((subject) => Buffer.from(subject).toString('hex'));
      if (one.some((subject) => found.has(subject))) for (const subject of one) found.add(subject);
    }
  }
  return found;
}

const few = (prefix: string, count: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: count }).map((n) => `${prefix}${n}`);
const subject = fc.integer({ min: 0, max: 7 }).map(subjectOf);
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });

/** Drops members that are undefined: what facts and filters mean by absent. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}

const uuid = fc.constantFrom(
  '0190b5a0-0000-7000-8000-000000000001',
  '0190b5a0-0000-7000-8000-000000000002',
  '0190b5a0-0000-8000-8000-000000000003',
);

export const factsArbitrary: fc.Arbitrary<Facts> = fc
  .record({
    eventId: fc.oneof(uuid, few('event', 20)),
    type: few('type', 2),
    occurredAtUs: fc.bigInt({ min: 0n, max: 60n }),
    producer: few('same', 2),
    decision: maybe(fc.constantFrom('allow', 'deny')),
    agents: fc.array(few('same', 4), { maxLength: 2 }),
    tool: maybe(few('same', 3)),
    environment: maybe(few('env', 1)),
    principals: fc.array(subject, { maxLength: 3 }),
    policies: fc.array(few('policy', 2), { maxLength: 2 }),
    tokens: fc.array(few('same', 5), { maxLength: 2 }),
    sessions: fc.array(few('same', 5), { maxLength: 2 }),
    task: maybe(few('task', 2)),
    risk: maybe(fc.constantFrom(0, 0.1, 0.5, 0.7, 1)),
    linked: maybe(fc.array(subject, { minLength: 2, maxLength: 2 })),
  })
  .map((facts) => defined({ ...facts, linked: facts.type === 'type0' ? facts.linked : undefined }));

const range: fc.Arbitrary<TimeRange> = fc
  .record({ fromUs: maybe(fc.bigInt({ min: 0n, max: 60n })), toUs: maybe(fc.bigInt({ min: 0n, max: 60n })) })
  .map(defined);

const oneOf = (text: fc.Arbitrary<string>): fc.Arbitrary<string[]> => fc.array(text, { minLength: 1, maxLength: 2 });

export const filterArbitrary: fc.Arbitrary<Filter> = fc
  .record({
    names: fc.array(
      fc.oneof(
        fc.record({
          kind: fc.constantFrom('agent' as const, 'tool' as const, 'producer' as const),
          texts: oneOf(few('same', 5)),
        }),
        fc.record({ kind: fc.constant('type' as const), texts: oneOf(few('type', 3)) }),
        fc.record({ kind: fc.constant('decision' as const), texts: oneOf(fc.constantFrom('allow', 'deny')) }),
        fc.record({ kind: fc.constant('policy' as const), texts: oneOf(few('policy', 2)) }),
        fc.record({ kind: fc.constant('environment' as const), texts: oneOf(few('env', 1)) }),
        fc.record({
          kind: fc.constant('principal' as const),
          texts: oneOf(subject.map((bytes) => bytes.toString('hex'))),
        }),
      ),
      { maxLength: 2 },
    ),
    things: fc.array(
      fc.oneof(
        fc.record({ kind: fc.constantFrom('token' as const, 'session' as const), text: few('same', 6) }),
        fc.record({ kind: fc.constant('event' as const), text: fc.oneof(uuid, few('event', 20)) }),
        fc.record({ kind: fc.constant('task' as const), text: few('task', 2) }),
      ),
      { maxLength: 1 },
    ),
    appended: range,
    occurred: range,
    riskMin: maybe(fc.constantFrom(0, 0.1, 0.6)),
    riskMax: maybe(fc.constantFrom(0.1, 0.6, 1)),
  })
  .map((filter) => defined(filter));
