import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Facts, Row } from './facts.js';
import { EVERYTHING, type Filter } from '../../src/search/filter.js';
import { search, type Continuation, type Hit, type SearchOptions } from '../../src/search/search.js';
import type { Direction } from '../../src/search/statement.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { clear, foldBatches, keepHouse, makeLogs, SCHEMA } from './harness.js';
import { factsArbitrary, filterArbitrary, searchModel, subjectOf } from './model.js';

let test: TestDatabase;
let logs: number[];
let options: SearchOptions;

beforeAll(async () => {
  test = await createDatabase();
  logs = await makeLogs(test.database, 3);
  options = { database: test.database, schema: SCHEMA, timeoutMs: 10_000 };
});
afterAll(() => test.drop());

const bare: Facts = {
  eventId: '',
  type: 'decision.made',
  occurredAtUs: 0n,
  producer: 'gateway',
  agents: [],
  principals: [],
  policies: [],
  tokens: [],
  sessions: [],
};

/** Facts dealt to logs, each with a time that mostly rises, cut into batches. */
function deal(facts: readonly Facts[], lots: readonly number[], cut: number): Row[][] {
  const sizes = new Map<number, bigint>();
  const batches: Row[][] = [];
  facts.forEach((each, i) => {
    const log = logs[lots[i % lots.length]! % logs.length]!;
    const index = sizes.get(log) ?? 0n;
    sizes.set(log, index + 1n);
    const row: Row = {
      log,
      index,
      appendedAtUs: BigInt(Math.floor(i / 2) - (lots[i % lots.length]! % 5)),
      facts: each,
    };
    const batch = batches.at(-1);
    if (batch !== undefined && batch[0]!.log === log && batch.length < cut) batch.push(row);
    else batches.push([row]);
  });
  return batches;
}

/** All pages of a search downwards, or upwards to the present. */
async function readAll(
  filter: Filter,
  direction: Direction,
  limit: number,
  begin?: Continuation,
): Promise<{ hits: Hit[]; next?: Continuation }> {
  const hits: Hit[] = [];
  let next = begin;
  for (;;) {
    const page = await search(options, filter, direction, limit, next);
    expect(page.hits.length).toBeLessThanOrEqual(limit);
    hits.push(...page.hits);
    next = page.next;
    if (next === undefined) return { hits };
    if (next.after === undefined) return { hits, next };
  }
}

const places = (hits: readonly { log: number; index: bigint }[]): string[] =>
  hits.map(({ log, index }) => `${log}/${index}`);

describe('search', () => {
  it('finds what the model finds, in its order, through parts of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(factsArbitrary, { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 7 }),
        fc.record({
          cut: fc.integer({ min: 1, max: 9 }),
          partRows: fc.integer({ min: 1, max: 25 }),
          smallRows: fc.integer({ min: 1, max: 8 }),
          names: fc.constantFrom(2, 5, 100),
          house: fc.constantFrom('none', 'indexed', 'merged'),
        }),
        fc.array(
          fc.tuple(filterArbitrary, fc.constantFrom('asc' as const, 'desc' as const), fc.integer({ min: 1, max: 20 })),
          {
            minLength: 4,
            maxLength: 8,
          },
        ),
        async (facts, lots, shape, searches) => {
          await clear(test.database);
          const batches = deal(facts, lots, shape.cut);
          await foldBatches(test.database, batches, shape.partRows, shape.smallRows, shape.names);
          const rule = shape.house === 'merged' ? { smallRows: 2, fan: 2, maxRows: 40 } : undefined;
          if (shape.house !== 'none') await keepHouse(test.database, rule);
          for (const [filter, direction, limit] of [[EVERYTHING, 'desc', 7] as const, ...searches]) {
            const { hits } = await readAll(filter, direction, limit);
            expect(places(hits)).toEqual(places(searchModel(batches.flat(), filter, direction)));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('finds by any of several names, also where a part holds only one of them', async () => {
    await clear(test.database);
    const rows = ['a', 'b', 'c', 'a'].map((tool, i): Row => ({
      log: logs[0]!,
      index: BigInt(i),
      appendedAtUs: BigInt(i),
      facts: { ...bare, tool },
    }));
    await foldBatches(
      test.database,
      rows.map((row) => [row]),
      1,
      1,
    );
    await keepHouse(test.database, undefined);
    const filter: Filter = { ...EVERYTHING, names: [{ kind: 'tool', texts: ['a', 'b'] }] };
    expect(places((await search(options, filter, 'asc', 10)).hits)).toEqual([0, 1, 3].map((i) => `${logs[0]}/${i}`));
  });

  it('finds a person by each alias, directly linked or not', async () => {
    await clear(test.database);
    const one = (i: number, facts: Partial<Facts>): Row => ({
      log: logs[0]!,
      index: BigInt(i),
      appendedAtUs: BigInt(i),
      facts: { ...bare, ...facts },
    });
    const linked = (i: number, ...subjects: number[]): Row =>
      one(i, { type: 'principal.linked', linked: subjects.map(subjectOf) });
    const seen = [1, 2, 3, 4, 5].map((n, i) => one(i, { principals: [subjectOf(n)] }));
    await foldBatches(test.database, [[...seen, linked(5, 1, 2), linked(6, 3, 2), linked(7, 4, 5)]], 4, 2);
    const findBy = async (n: number): Promise<string[]> => {
      const texts = [subjectOf(n).toString('hex')];
      return places((await search(options, { ...EVERYTHING, names: [{ kind: 'principal', texts }] }, 'asc', 10)).hits);
    };
    for (const n of [1, 2, 3]) expect(await findBy(n)).toEqual([0, 1, 2].map((i) => `${logs[0]}/${i}`));
    for (const n of [4, 5]) expect(await findBy(n)).toEqual([3, 4].map((i) => `${logs[0]}/${i}`));
  });

  it('follows: upwards, every entry is answered once, whatever comes when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(factsArbitrary, { minLength: 2, maxLength: 40 }),
        fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 7 }),
        filterArbitrary,
        fc.integer({ min: 1, max: 5 }),
        async (facts, lots, filter, limit) => {
          await clear(test.database);
          const batches = deal(facts, lots, 3);
          const seen: string[] = [];
          let next: Continuation | undefined;
          for (let at = 0; at < batches.length; at += 2) {
            await foldBatches(test.database, batches.slice(at, at + 2), 10, 2);
            if (at % 3 === 0) await keepHouse(test.database, { smallRows: 2, fan: 2, maxRows: 40 });
            const page = await search(options, filter, 'asc', limit, next);
            seen.push(...places(page.hits));
            next = page.next;
          }
          const rest = await readAll(filter, 'asc', limit, next);
          const { hits: last } = await readAll(filter, 'asc', limit, rest.next);
          // Aliases grow with what is folded: what had matched already was answered with fewer.
          const rows = batches.flat();
          const expected = places(searchModel(rows, filter, 'asc'));
          const answered = [...seen, ...places(rest.hits), ...places(last)];
          expect(new Set(answered).size).toBe(answered.length);
          if (filter.names.some(({ kind }) => kind === 'principal'))
            expect(expected).toEqual(expect.arrayContaining(answered));
          else expect(answered.sort()).toEqual(expected.sort());
        },
      ),
      { numRuns: 25 },
    );
  });
});
