import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/json.js';
import { compareIdentity } from '../../src/identity/compare.js';
import type { Graph } from '../../src/identity/graph.js';
import { dropStaging } from '../../src/identity/staging.js';
import { Sweep } from '../../src/identity/sweep.js';
import { createTables, TABLES } from '../../src/identity/tables.js';
import type { Log } from '../../src/ledger/log.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { logsArbitrary } from './random-events.js';
import { foldLogs, makeLog, makeLogs, NOW_US, stagingOf, type Deal, type TestEvent } from './support.js';

const SCRATCH = 'identity_scratch';
let test: TestDatabase;
let logs: Log[];

beforeAll(async () => {
  test = await createDatabase();
  logs = await makeLogs(test.database, [
    ['lifecycle', 0],
    ['activity', 0],
    ['activity', 1],
    ['decisions', 0],
    ['decisions', 1],
  ]);
  await test.tamper(`create schema ${SCRATCH} authorization keelson_writer`);
  for (const schema of ['keelson_identity', SCRATCH]) {
    await test.database.transaction((tx) => createTables(tx, schema));
  }
});
afterAll(() => test.drop());

const clear = async (): Promise<void> => {
  await test.database.transaction((tx) => dropStaging(tx, 'keelson_identity'));
  for (const schema of ['keelson_identity', SCRATCH]) {
    for (const table of TABLES) await test.database.query(`delete from ${schema}.${table}`);
  }
};

const differences = async (): Promise<string[]> =>
  test.database.transaction(async (tx) => {
    const found: string[] = [];
    for await (const { reason } of compareIdentity(tx, 'keelson_identity', SCRATCH)) found.push(reason);
    return found;
  });

/** Everything a graph says, by names. */
function describeGraph(graph: Graph): unknown {
  const { nodes, edges, uses, links } = graph;
  const name = (node: number): string =>
    node < 0 ? '-' : `${nodes.kind(node)} ${nodes.issuer(node)} ${nodes.id(node)}`;
  const all = Array.from({ length: nodes.end }, (_, node) => node).filter((node) => nodes.has(node));
  return {
    nodes: all
      .map((node) => {
        const { owner, successor, onOwnerLeave, riskLevel } = graph.registration(node);
        const state = [graph.phase(node), graph.isAccepted(node), graph.isExchanged(node), riskLevel ?? '-'];
        const times = [graph.firstUs(node), graph.issuedUs(node), graph.expiresUs(node), graph.usedDay(node)];
        const human = links.humanOf(node).map(name).sort();
        return [
          name(node),
          ...state,
          ...times,
          name(owner),
          name(successor),
          onOwnerLeave ?? '-',
          human,
          [...links.absentOf(node)].sort(),
        ];
      })
      .sort(),
    edges: Array.from({ length: edges.end }, (_, edge) =>
      edges.roles(edge) === 0 ? '' : `${name(edges.parent(edge))} > ${name(edges.child(edge))} ${edges.roles(edge)}`,
    )
      .filter((text) => text !== '')
      .sort(),
    uses: Array.from(
      { length: uses.count },
      (_, use) => `${name(uses.user(use))} > ${name(uses.used(use))} ${uses.firstUs(use)}`,
    ).sort(),
    owned: all
      .map((node) => [name(node), [...graph.ownedBy(node)].map(name).sort()])
      .filter(([, owned]) => owned!.length > 0)
      .sort(),
  };
}

/** What a process that starts now has in memory. */
const loadAgain = (): Promise<Graph> => foldLogs(test.database, 'keelson', logs, [], []);

/** Without delegations, sessions and tokens that stem from each other in a circle: memory drops such a circle at a restart only. */
const straighten = (events: TestEvent[][]): TestEvent[][] =>
  events.map((log) =>
    log.map(({ event: { parent, ...event }, ...rest }) => {
      const child = (event.token as JsonObject | undefined)?.jti ?? event.delegation ?? event.session_id ?? 'z';
      const keeps = parent !== undefined && parent! < child;
      return { ...rest, event: keeps ? { ...event, parent } : event };
    }),
  );

const dealArbitrary: fc.Arbitrary<Deal> = fc
  .array(fc.record({ log: fc.nat(4), count: fc.integer({ min: 1, max: 12 }) }), { maxLength: 30 })
  .map((deal) => [...deal, ...[3, 1, 0, 4, 2].map((log) => ({ log, count: 100 }))]);

/** Entries that it is behind, time and again; 0: no rows are staged. Of all that tests make up it may be more. */
const behindArbitrary = fc.array(fc.nat(60), { maxLength: 4 });
/** `KEELSON_FOLD_RUNS` instead of a few, however long they take. */
const RUNS = process.env['KEELSON_FOLD_RUNS'];
const runs = (few: number): { numRuns: number; interruptAfterTimeLimit?: number } =>
  RUNS === undefined ? { numRuns: few, interruptAfterTimeLimit: 40_000 } : { numRuns: Number(RUNS) };
const TIMEOUT_MS = RUNS === undefined ? 120_000 : 3_600_000;

describe('the graph', () => {
  it(
    'is the same however logs interleave and batches are cut, in memory and in the tables, and after it is loaded',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          logsArbitrary.map(straighten),
          dealArbitrary,
          dealArbitrary,
          behindArbitrary,
          async (events, one, other, behind) => {
            await clear();
            const entries = events.map((log, i) => makeLog(log, 1_700_000_000_000_000 + i * 7, 1000 + i));
            const graph = await foldLogs(test.database, 'keelson', logs, entries, one, [], stagingOf(behind));
            const again = await foldLogs(test.database, SCRATCH, logs, entries, other);
            expect(again.nodes.size).toBe(0); // fsck's own fold puts its graph nowhere
            expect(await differences()).toEqual([]);
            // Some of what has passed was dropped on the way, and came back where it was named again; the rest is dropped now.
            new Sweep(graph).step(NOW_US);
            expect(describeGraph(await loadAgain())).toEqual(describeGraph(graph));
          },
        ),
        { ...runs(15), endOnFailure: true, markInterruptAsFailure: false },
      );
    },
    TIMEOUT_MS,
  );

  it(
    'goes on after a load at any place, as if there had been none',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          logsArbitrary,
          dealArbitrary,
          fc.nat(30),
          behindArbitrary,
          async (events, deal, cut, behind) => {
            await clear();
            const entries = events.map((log, i) => makeLog(log, 1_700_000_000_000_000 + i * 7, 1000 + i));
            await foldLogs(test.database, SCRATCH, logs, entries, deal);
            const done = logs.map(() => 0);
            for (const { log, count } of deal.slice(0, cut))
              done[log] = Math.min(done[log]! + count, entries[log]!.length);
            await foldLogs(test.database, 'keelson', logs, entries, deal.slice(0, cut), [], stagingOf(behind));
            // As the runner: the rest of each log, from where it was left.
            await foldLogs(test.database, 'keelson', logs, entries, deal, done, stagingOf(behind));
            expect(await differences()).toEqual([]);
          },
        ),
        { ...runs(10), endOnFailure: true, markInterruptAsFailure: false },
      );
    },
    TIMEOUT_MS,
  );

  it('is told apart from another, row by row', async () => {
    await clear();
    const [events] = fc.sample(logsArbitrary, { numRuns: 1, seed: 3 });
    const entries = events!.map((log, i) => makeLog(log, 1_700_000_000_000_000 + i, 1000));
    const whole: Deal = [0, 1, 2, 3, 4].map((log) => ({ log, count: 100 }));
    await foldLogs(test.database, 'keelson', logs, entries, whole);
    await foldLogs(test.database, SCRATCH, logs, entries, whole);
    expect(await differences()).toEqual([]);
    await test.database.query(
      'update keelson_identity.token set accepted_us = accepted_us + 1 where key = (select min(key::text)::uuid from keelson_identity.token)',
    );
    await test.database.query(
      'delete from keelson_identity.edge where (parent, child) = (select parent, child from keelson_identity.edge limit 1)',
    );
    const found = await differences();
    expect(found.filter((reason) => reason.includes('table token'))).toHaveLength(2);
    expect(found.filter((reason) => reason.includes('table edge'))).toHaveLength(1);
  });
});
