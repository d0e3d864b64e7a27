/**
 * How many events a second go from an HTTP request into the event log, durably: batches of decisions, and chunks as OPA uploads
 * them, gzip. Beside each, in the same run, a bare fastify route that only parses the same bodies. The load comes from a process of
 * its own; the server is the real one on the embedded default, ledger and search following behind.
 *
 *     npm run bench:intake -- [--events 50000] [--batch 100] [--rounds 3] [--connections 8]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadOptions } from './support/load.js';
import { median } from './support/measure.js';
import { startBareServer } from './support/bare-server.js';
import { buildProgram, startServer } from '../test/support/server.js';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '50000' },
    batch: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '8' },
  },
});
const load = { events: Number(values.events), batch: Number(values.batch), connections: Number(values.connections) };

/** Seconds that the load took, all of it answered 2xx. */
async function run(options: Omit<LoadOptions, keyof typeof load>): Promise<number> {
  const child = fork(fileURLToPath(new URL('support/load.ts', import.meta.url)), { execArgv: process.execArgv });
  const exited = once(child, 'exit');
  child.send({ ...load, ...options });
  const seconds = await Promise.race([
    once(child, 'message').then(([message]) => message as number),
    exited.then(([code]) => Promise.reject(new Error(`the load ended with ${code}`))),
  ]);
  await exited;
  await sleep(1500);
  return seconds;
}

await buildProgram();
const bare = await startBareServer();
const server = await startServer();
try {
  const token = (await readFile(`${server.dataFolder}/admin.token`, 'utf8')).trim();
  console.log(`\n${load.events} events in requests of ${load.batch}, ${load.connections} connections`);
  console.log('| what | bare route, events/s | Keelson, events/s | ratio |');
  console.log('|---|---|---|---|');
  for (const kind of ['decisions', 'opa'] as const) {
    const rates: { bare: number; keelson: number }[] = [];
    for (let round = -1; round < Number(values.rounds); round++) {
      const bareS = await run({ kind, url: bare.url, token, round });
      const keelsonS = await run({ kind, url: server.url, token, round });
      if (round >= 0) rates.push({ bare: load.events / bareS, keelson: load.events / keelsonS }); // the first one warms up
    }
    const print = (rate: number): string => Math.round(rate).toLocaleString('en');
    console.log(
      `| ${kind === 'opa' ? 'OPA chunks, gzip' : 'batches of decisions'} | ${print(median(rates.map((one) => one.bare)))} | ` +
        `${print(median(rates.map((one) => one.keelson)))} | ${median(rates.map((one) => one.keelson / one.bare)).toFixed(2)} |`,
    );
  }
} finally {
  await server.stop();
  await bare.stop();
}
