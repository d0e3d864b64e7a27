/**
 * How fast a backlog in the event log becomes provable (pages, tree, published checkpoint, duplicate keys), and provable and
 * searchable (every part of the search projection closed so far has its indexes). Beside them, in the same run and on the same
 * Postgres, raw binary COPY of one row per entry, and of that row and one of a search table with live btrees.
 *
 *     npm run bench:ledger -- [--events 1000000] [--rounds 3] [--logs postgres,kafka] [--races provable,searchable]
 */
import { copyEntries, copySearchable, createBaselineTables, encodeBaseline } from './support/baseline.js';
import { startCluster, type BenchCluster, type BenchDatabase } from './support/cluster.js';
import { openKafkaLog, openPostgresLog, openRunner, type BenchEventLog } from './support/ledger-run.js';
import { measure, printTable, type Figures } from './support/measure.js';
import { readOptions } from './support/options.js';
import { decisions, makeRecord, packRecords } from './support/records.js';

/** What opens a log: its opening and three schemas. */
const OPENING_ENTRIES = 4;
const RACES = ['provable', 'searchable'] as const;
type Race = (typeof RACES)[number];

const { events, rounds, logs, races } = readOptions({ events: 1_000_000, rounds: 3, races: RACES });
const cluster = await startCluster();
const eventLogs = new Map<string, BenchEventLog>();
try {
  console.log(`preparing ${events} records`);
  const records = Array.from({ length: events }, (_, index) => makeRecord(index));
  const bytes = Math.round(records.reduce((sum, record) => sum + record.length, 0) / events);
  const baseline = encodeBaseline(records);
  for (const kind of logs) {
    const opened = kind === 'kafka' ? await openKafkaLog() : await openPostgresLog(cluster);
    eventLogs.set(kind, opened);
    await packRecords(decisions, records, (pack) => opened.eventLog.append(decisions, pack));
    console.log(`${kind}: the backlog is in the event log`);
  }
  records.length = 0;
  const copy: Record<Race, (database: BenchDatabase) => Promise<void>> = {
    provable: (database) => copyEntries(database, baseline),
    searchable: (database) => copySearchable(database, baseline),
  };
  for (const race of races) {
    const runs = new Map<string, Figures[]>([
      ['raw COPY', []],
      ...logs.map((kind): [string, []] => [`from ${kind}`, []]),
    ]);
    for (let round = 0; round < rounds; round++) {
      runs.get('raw COPY')!.push(await runBaseline(cluster, copy[race]));
      for (const [kind, log] of eventLogs) runs.get(`from ${kind}`)!.push(await takeBacklog(cluster, log, race));
    }
    printTable(`${race}: ${events} decisions of ${bytes} bytes, medians of ${rounds} rounds`, runs);
  }
} finally {
  for (const log of eventLogs.values()) await log.close();
  await cluster.stop();
}

async function runBaseline(on: BenchCluster, copy: (database: BenchDatabase) => Promise<void>): Promise<Figures> {
  const database = await on.createDatabase('bench_copy', false);
  await createBaselineTables(database);
  const figures = await measure(on, database, events, () => copy(database));
  await database.drop();
  return figures;
}

async function takeBacklog(on: BenchCluster, { eventLog }: BenchEventLog, race: Race): Promise<Figures> {
  const database = await on.createDatabase('bench_ledger');
  const runner = await openRunner(eventLog, database, race === 'searchable');
  const figures = await measure(on, database, events, () => runner.run(BigInt(events + OPENING_ENTRIES)));
  await runner.stop();
  await database.drop();
  return figures;
}
