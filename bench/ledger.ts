/**
 * How fast a backlog in the event log becomes provable (pages, tree, published checkpoint, duplicate keys), and provable and
 * searchable (every part of the search projection closed so far has its indexes). Beside them, in the same run and on the same
 * Postgres, raw binary COPY of one row per entry, and of that row and one of a search table with live btrees.
 *
 *     npm run bench:ledger -- [--events 1000000] [--rounds 3] [--logs postgres,kafka] [--races provable,searchable]
 */
import { growHeap } from '../src/platform/heap.js';
import { BaselineRows, createBaselineTables } from './support/baseline.js';
import { startCluster, type BenchCluster, type BenchDatabase } from './support/cluster.js';
import { openKafkaLog, openPostgresLog, openRunner, type BenchEventLog } from './support/ledger-run.js';
import { measure, printTable, type Figures } from './support/measure.js';
import { readOptions } from './support/options.js';
import { decisions, makeRecord, Packer } from './support/records.js';

/** What opens a log: its opening and three schemas. */
const OPENING_ENTRIES = 4;
const RACES = ['provable', 'searchable'] as const;
type Race = (typeof RACES)[number];

growHeap(); // as the service does
const { events, rounds, logs, races } = readOptions({ events: 1_000_000, rounds: 3, races: RACES });
const cluster = await startCluster();
const eventLogs = new Map<string, BenchEventLog>();
try {
  console.log(`preparing ${events} records`);
  for (const kind of logs)
    eventLogs.set(kind, kind === 'kafka' ? await openKafkaLog() : await openPostgresLog(cluster));
  const { baseline, bytes } = await prepare();
  const copy: Record<Race, (database: BenchDatabase) => Promise<void>> = {
    provable: (database) => baseline.copyEntries(database),
    searchable: (database) => baseline.copySearchable(database),
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

/** Fills every event log with the same records, and encodes the baseline's rows. Answers the bytes of a record. */
async function prepare(): Promise<{ baseline: BaselineRows; bytes: number }> {
  const baseline = new BaselineRows();
  const packers = [...eventLogs.values()].map(({ eventLog }) => new Packer((pack) => eventLog.append(decisions, pack)));
  for (const packer of packers) await packer.open(decisions);
  let bytes = 0;
  for (let index = 0; index < events; index++) {
    const record = makeRecord(index);
    bytes += record.length;
    baseline.add(index, record);
    for (const packer of packers) await packer.add(record);
  }
  for (const packer of packers) await packer.finish();
  baseline.finish();
  return { baseline, bytes: Math.round(bytes / events) };
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
