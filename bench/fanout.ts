/**
 * How long it takes from HR's webhook to the last instance that refuses: leaver after leaver, over HTTP to the real server, whole guards
 * and bare connections in other processes, idle and while decisions are published. Beside it, in the same run, a bare WebSocket server that
 * sends as many bytes to as many connections, and as many that poll. At last the server is killed and started again, with all of them
 * coming back at once.
 *
 *     npm run bench:fanout -- [--guards 1000] [--connections 10000] [--orders 300] [--processes 8] [--load 2000] [--poll-s 10]
 *       [--logs postgres,kafka] [--row-s 120]
 *
 * 0 leaves a part out. A row ends after `row-s` seconds, whatever orders it has by then: it says how many.
 */
import { parseArgs } from 'node:util';
import { startCluster, type BenchCluster } from './support/cluster.js';
import { runBroadcast, runPolling } from './support/fan-baseline.js';
import { FanServer } from './support/fan-server.js';
import { runLeavers, type FanSample } from './support/fan-leavers.js';
import { Fan, type Listening } from './support/fan.js';
import { cpuSince, printStages, type FanCpu, type FanRow } from './support/fan-table.js';
import { requireOpenFiles } from './support/open-files.js';
import { say } from './support/progress.js';

const { values } = parseArgs({
  options: {
    guards: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '10000' },
    orders: { type: 'string', default: '300' },
    processes: { type: 'string', default: '8' },
    load: { type: 'string', default: '2000' },
    'poll-s': { type: 'string', default: '10' },
    'row-s': { type: 'string', default: '120' },
    logs: { type: 'string', default: 'postgres,kafka' },
  },
});
const sizes = { guards: Number(values.guards), connections: Number(values.connections) } as const;
const [orders, processes, load, pollS] = [values.orders, values.processes, values.load, values['poll-s']].map(
  Number,
) as [number, number, number, number];
const rowMs = Number(values['row-s']) * 1000;
/** The first ones pay for what is done once. */
const WARM_UP = 30;
const POLLS = 3;
/** By who listens, and how many bytes they are sent. */
const measured = new Map<string, Baselines>();

requireOpenFiles(Math.max(sizes.guards, sizes.connections));
const cluster = await startCluster();
try {
  for (const kind of values.logs.split(',')) await runOn(cluster, kind);
} finally {
  await cluster.stop();
}

async function runOn(on: BenchCluster, kind: string): Promise<void> {
  say(`event log ${kind}: the server starts`);
  const server = await FanServer.start(on, kind, Math.max(sizes.guards, sizes.connections) + processes + 1);
  try {
    for (const listening of ['guards', 'connections'] as const) {
      const count = sizes[listening];
      if (count > 0) await runWith({ on, server, kind }, listening, count);
    }
  } finally {
    await server.stop();
  }
}

interface Baselines {
  readonly bare: readonly { readonly spreadMs: number }[];
  readonly polling: readonly number[] | undefined;
}

interface Place {
  readonly on: BenchCluster;
  readonly server: FanServer;
  readonly kind: string;
}

async function runWith({ on, server, kind }: Place, listening: Listening, count: number): Promise<void> {
  console.log(`\n${count} ${listening} in ${processes} processes, event log ${kind}`);
  const { url, membership } = server;
  const witness = await server.witness(count + processes);
  say(`${count} ${listening} come`);
  const fan = await Fan.start(count, processes, { kind: listening, url, membership });
  say(`${count} ${listening} listen`);
  const cpu = (): FanCpu => ({ server: server.cpuUs(), postgres: on.cpuUs(), listeners: fan.cpuUs() });
  const run = async (): Promise<Omit<FanRow, 'name'>> => {
    await runLeavers(server, fan, witness, { count: WARM_UP, atMostMs: rowMs });
    const before = cpu();
    const samples = await runLeavers(server, fan, witness, { count: orders, atMostMs: rowMs });
    return { samples, cpu: cpuSince(before, cpu()) };
  };
  const rows: FanRow[] = [];
  try {
    say(`${orders} orders, idle`);
    rows.push({ name: 'idle', ...(await run()) });
    if (load > 0) {
      say(`${orders} orders, with ${load} decisions/s`);
      const steady = await server.startLoad(load);
      const row = await run();
      rows.push({ name: `${Math.round(await steady.stop())} decisions/s`, ...row });
    }
    printStages(rows);
    if (listening === 'connections') await runStorm(server, fan, count);
  } finally {
    witness.close();
    await fan.stop();
  }
  const bytes = medianBytes(rows[0]!.samples);
  const key = `${listening} ${bytes}`;
  const baselines = measured.get(key) ?? (await runBaselines(count, bytes));
  measured.set(key, baselines);
  printBaselines(rows, baselines, bytes);
}

/** No event log has a part in them: they are measured once, after the first. */
async function runBaselines(count: number, bytes: number): Promise<Baselines> {
  say(`${orders} bare broadcasts`);
  const bare = await runBroadcast({ count, processes, bytes, rounds: orders });
  if (pollS > 0) say(`${POLLS} changes, heard of by polling`);
  const polling = pollS > 0 ? await runPolling({ count, processes, pollS, rounds: POLLS }) : undefined;
  return { bare, polling };
}

/** The server is killed and started again; all come back by themselves. */
async function runStorm(server: FanServer, fan: Fan, count: number): Promise<void> {
  say('the server is killed and started again');
  fan.watchReconnect();
  const { downMs, listensMs } = await server.restart();
  const { halfMs, lastMs } = await fan.inSync(120_000);
  const format = (ms: number): string => (ms / 1000).toFixed(1);
  console.log(
    `\nrestart: killed, ${format(downMs)} s until it listens again; from then on ${format(halfMs - listensMs)} s until half of ${count} are in ` +
      `sync, ${format(lastMs - listensMs)} s until all are; ${Math.round(server.peakMemoryMb())} MB at most`,
  );
}

function medianBytes(samples: readonly FanSample[]): number {
  return samples.map(({ frameBytes }) => frameBytes).sort((a, b) => a - b)[samples.length >> 1]!;
}

function printBaselines(rows: readonly FanRow[], { bare, polling }: Baselines, bytes: number): void {
  const quantile = (of: readonly number[], q: number): number =>
    [...of].sort((a, b) => a - b)[Math.min(of.length - 1, Math.floor(q * of.length))]!;
  const pair = (of: readonly number[]): string => [0.5, 0.99].map((q) => quantile(of, q).toFixed(1)).join(' / ');
  const spreads = bare.map(({ spreadMs }) => spreadMs);
  console.log(`\nfrom the first send to the last receipt, ms, p50 / p99`);
  console.log('| what | ms | ratio |');
  console.log('|---|---|---|');
  console.log(`| bare broadcast of ${bytes} bytes | ${pair(spreads)} | 1.00 / 1.00 |`);
  for (const { name, samples } of rows) {
    const own = samples.map(({ frameSent, lastApplied }) => lastApplied - frameSent);
    const ratios = [0.5, 0.99].map((q) => (quantile(own, q) / quantile(spreads, q)).toFixed(2));
    console.log(`| frame, ${name} | ${pair(own)} | ${ratios.join(' / ')} |`);
  }
  if (polling !== undefined)
    console.log(`| polling every ${pollS} s, ${polling.length} changes | ${pair(polling)} | |`);
}
