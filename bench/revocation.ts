/**
 * How long it takes from HR's request to the order in the ledger: a leaver after the other over HTTP to the real server, idle, and with
 * a backlog of decisions that is being sequenced, made searchable and folded into the identity graph. Beside it, in the same run, a bare
 * route that inserts the same bytes into a table of the same Postgres.
 *
 *     npm run bench:revocation -- [--samples 300] [--backlog 1000000] [--logs postgres,kafka]
 */
import { parseArgs } from 'node:util';
import { startCluster, type BenchCluster, type BenchDatabase } from './support/cluster.js';
import { CommitWatch } from './support/commit-watch.js';
import { openServerLog, type ServerLog } from './support/event-log-of-server.js';
import { runInserts, runLeavers, startBareInsert, type Sample, type Target } from './support/leavers.js';
import { decisions, makeDecision, makeRecord, Packer } from './support/records.js';
import { Api } from '../test/support/api.js';
import { makeDataFolder, startServer, type ServerProcess } from '../test/support/server.js';

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '300' },
    backlog: { type: 'string', default: '1000000' },
    logs: { type: 'string', default: 'postgres,kafka' },
  },
});
const samples = Number(values.samples);
const backlog = Number(values.backlog);
/** The first ones pay for what is done once: schemas, the term, connections, compiling. */
const WARM_UP = 30;

const cluster = await startCluster();
try {
  for (const kind of values.logs.split(',')) await runOn(cluster, kind);
} finally {
  await cluster.stop();
}

async function runOn(on: BenchCluster, kind: string): Promise<void> {
  const database = await on.createDatabase(`bench_${kind}`);
  const log = await openServerLog(kind);
  const dataFolder = await makeDataFolder();
  const env = {
    ...log.env,
    KEELSON_DATABASE_URL: database.url,
    KEELSON_MIGRATION_URL: database.adminUrl,
    KEELSON_REVOCATION_HOLD_COUNT: '1000000',
  };
  const watch = await CommitWatch.open(database.adminUrl);
  const bare = await startBareInsert(database);
  try {
    const first = await startServer({ env, dataFolder });
    const target = { url: first.url, token: await first.adminToken() };
    await warmUp(first, target, watch, database);
    await runInserts(bare, WARM_UP);
    const rows = [
      { name: 'bare insert', samples: await runInserts(bare, samples) },
      { name: 'idle', samples: await runLeavers(target, watch, database, (count) => count < samples) },
    ];
    await first.end();
    if (backlog > 0) {
      await fill(log, database, backlog);
      rows.push(...(await runBehind(database, env, dataFolder, watch)));
    }
    print(kind, rows);
  } finally {
    await bare.stop();
    await watch.close();
    await database.drop();
    await log.close();
  }
}

async function warmUp(
  server: ServerProcess,
  target: Target,
  watch: CommitWatch,
  database: BenchDatabase,
): Promise<void> {
  const api = await Api.admin(server);
  // The first decision also brings its schema, which the backlog then relies on.
  const { status } = await api.post('/v1/decisions', makeDecision(backlog), { prefer: 'wait=10' });
  if (status !== 200) throw new Error(`the first decision was answered ${status}`);
  await runLeavers(target, watch, database, (count) => count < WARM_UP);
}

/** Puts decisions into the event log while nobody sequences it. */
async function fill(log: ServerLog, database: BenchDatabase, count: number): Promise<void> {
  const { eventLog, close } = await log.open(database);
  const packer = new Packer((pack) => eventLog.append(decisions, pack));
  for (let index = 0; index < count; index++) await packer.add(makeRecord(index));
  await packer.finish();
  await close();
}

/** Starts the server again; leavers from the moment it listens until the backlog is behind it. */
async function runBehind(
  database: BenchDatabase,
  env: Record<string, string>,
  dataFolder: string,
  watch: CommitWatch,
): Promise<{ name: string; samples: Sample[] }[]> {
  const server = await startServer({ env, dataFolder, readyTimeoutMs: 0 });
  try {
    await untilListening(server);
    const target = { url: server.url, token: await server.adminToken() };
    const left: Behind[] = [];
    const goOn = async (count: number): Promise<boolean> => {
      if (count % 5 > 0) return true;
      const now = await readBehind(database);
      left.push(now);
      return Math.max(now.sequencer, now.search, now.identity) > 0;
    };
    const all = await runLeavers(target, watch, database, goOn);
    const isBehind = (pick: (behind: Behind) => number) => (_: Sample, i: number) => pick(left[Math.floor(i / 5)]!) > 0;
    const [begun, ended] = [left[0]!, left.at(-1)!];
    console.log(`backlog at the first leaver: ${JSON.stringify(begun)}; at the last: ${JSON.stringify(ended)}`);
    return [
      { name: 'while decisions are sequenced', samples: all.filter(isBehind(({ sequencer }) => sequencer)) },
      { name: 'while anything is behind', samples: all },
    ];
  } finally {
    await server.end();
  }
}

/** Decisions that are not sequenced, searchable, in the graph. */
interface Behind {
  readonly sequencer: number;
  readonly search: number;
  readonly identity: number;
}

async function readBehind(database: BenchDatabase): Promise<Behind> {
  const { rows } = await database.query(
    `select h.size as size, (select next_index from keelson.projection_position p where p.log = l.id and projection = 'search') as search,
       (select next_index from keelson.projection_position p where p.log = l.id and projection = 'identity') as identity
     from keelson.head h join keelson.log l on l.id = h.log where l.path = 'decisions/0/g1'`,
  );
  const { size, search, identity } = rows[0]!;
  const behind = (position: unknown): number => Math.max(0, backlog - Number(position ?? 0));
  return { sequencer: behind(size), search: behind(search), identity: behind(identity) };
}

async function untilListening(server: ServerProcess): Promise<void> {
  for (;;) {
    if (await fetch(`${server.url}/healthz`).catch(() => undefined)) return;
    if (!server.running) throw new Error(`the server ended:\n${server.log}`);
  }
}

function print(kind: string, rows: readonly { name: string; samples: readonly Sample[] }[]): void {
  const quantile = (of: readonly Sample[], pick: (sample: Sample) => number | undefined, q: number): number => {
    const sorted = of.flatMap((sample) => pick(sample) ?? []).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
  };
  const picks = [
    ({ answered }: Sample) => answered,
    ({ causeCommitted }: Sample) => causeCommitted,
    ({ orderCommitted }: Sample) => orderCommitted,
    ({ causeCommitted, orderCommitted }: Sample) =>
      orderCommitted === undefined ? undefined : orderCommitted - causeCommitted!,
  ];
  const format = (ms: number): string => (Number.isNaN(ms) ? '' : ms.toFixed(1));
  console.log(`\nevent log: ${kind}; milliseconds since the request was sent, p50 / p99`);
  console.log(
    '| what | leavers | answered | cause committed | order committed | of it: cause to order | ratio to idle |',
  );
  console.log('|---|---|---|---|---|---|---|');
  const idle = rows.find(({ name }) => name === 'idle')!;
  for (const row of rows) {
    const cells = picks.map((pick) =>
      [0.5, 0.99]
        .map((q) => format(quantile(row.samples, pick, q)))
        .join(' / ')
        .replace(/^ \/ $/, ''),
    );
    const ratios = [0.5, 0.99].map((q) => quantile(row.samples, picks[2]!, q) / quantile(idle.samples, picks[2]!, q));
    const ratio = ratios.some(Number.isNaN) ? '' : ratios.map((one) => one.toFixed(2)).join(' / ');
    console.log(`| ${row.name} | ${row.samples.length} | ${cells.join(' | ')} | ${ratio} |`);
  }
}
