import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchCluster, BenchDatabase } from './cluster.js';

/** One timed run over `events` events. */
export interface Figures {
  readonly events: number;
  readonly seconds: number;
  readonly nodeCpuUs: number;
  readonly postgresCpuUs: number;
  readonly walBytes: number;
}

/** Runs `work` alone: checkpoints first, so that nobody pays for the run before, and rests a little. */
export async function measure(
  cluster: BenchCluster,
  database: BenchDatabase,
  events: number,
  work: () => Promise<void>,
): Promise<Figures> {
  await database.query('checkpoint');
  await sleep(Number(process.env['BENCH_REST_MS'] ?? 2000));
  globalThis.gc?.();
  const wal = await database.walBytes();
  const postgresCpu = cluster.cpuUs();
  const nodeCpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const used = process.cpuUsage(nodeCpu);
  return {
    events,
    seconds,
    nodeCpuUs: used.user + used.system,
    postgresCpuUs: cluster.cpuUs() - postgresCpu,
    walBytes: (await database.walBytes()) - wal,
  };
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** A table of medians; the ratio is to the first row, round by round, then the median. */
export function printTable(title: string, rows: ReadonlyMap<string, readonly Figures[]>): void {
  const [baseline] = [...rows.values()];
  if (!baseline) throw new Error('a table needs a baseline');
  console.log(`\n${title}`);
  console.log('| what | events/s | ratio | CPU µs Node | CPU µs Postgres | WAL bytes |');
  console.log('|---|---|---|---|---|---|');
  const rate = (run: Figures): number => run.events / run.seconds;
  for (const [name, runs] of rows) {
    const per = (pick: (run: Figures) => number): number => median(runs.map((run) => pick(run) / run.events));
    const ratio = median(runs.map((run, round) => rate(run) / rate(baseline[round] ?? baseline[0]!)));
    console.log(
      `| ${name} | ${Math.round(median(runs.map(rate))).toLocaleString('en')} | ${ratio.toFixed(2)} | ` +
        `${per((run) => run.nodeCpuUs).toFixed(1)} | ${per((run) => run.postgresCpuUs).toFixed(1)} | ${Math.round(per((run) => run.walBytes))} |`,
    );
  }
}
