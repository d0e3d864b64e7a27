/**
 * How many events a second go from an HTTP request into the event log, durably: batches of decisions, and chunks as OPA uploads
 * them, gzip. Beside each, in the same run, a bare fastify route that only parses the same bodies. The load comes from a process of
 * its own; the server is the real one on the embedded default, ledger and search following behind. What of its CPU is intake's own
 * shows a second table: the same bodies from bytes to packs, in this process, into an event log in memory.
 *
 *     npm run bench:intake -- [--events 50000] [--batch 100] [--rounds 3] [--connections 8]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { openIntakeAlone, type Kind } from './support/intake-alone.js';
import { makeItems, type LoadOptions } from './support/load.js';
import { median } from './support/measure.js';
import { startBareServer } from './support/bare-server.js';
import { processCpuUs } from './support/process-cpu.js';
import { buildProgram, startServer } from '../test/support/server.js';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '50000' },
    batch: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '8' },
  },
});
const kinds: readonly Kind[] = ['decisions', 'opa'];
const names: Readonly<Record<Kind, string>> = { decisions: 'batches of decisions', opa: 'OPA chunks, gzip' };
const printRate = (rate: number): string => Math.round(rate).toLocaleString('en');
const load = { events: Number(values.events), batch: Number(values.batch), connections: Number(values.connections) };

interface Run {
  readonly eventsPerS: number;
  /** Of the process that answered, until it had. */
  readonly cpuUs: number;
}

/** All of the load, answered 2xx by process `pid`. */
async function run(pid: number, options: Omit<LoadOptions, keyof typeof load>): Promise<Run> {
  const before = processCpuUs(pid);
  const child = fork(fileURLToPath(new URL('support/load.ts', import.meta.url)), { execArgv: process.execArgv });
  const exited = once(child, 'exit');
  child.send({ ...load, ...options });
  const seconds = await Promise.race([
    once(child, 'message').then(([message]) => message as number),
    exited.then(([code]) => Promise.reject(new Error(`the load ended with ${code}`))),
  ]);
  const cpuUs = (processCpuUs(pid) - before) / load.events;
  await exited;
  await sleep(1500);
  return { eventsPerS: load.events / seconds, cpuUs };
}

/** CPU µs an event of intake by itself. */
async function runAlone(kind: Kind): Promise<number> {
  const accept = await openIntakeAlone(kind);
  const bodies = Array.from({ length: Math.ceil(load.events / load.batch) }, (_, i) =>
    Buffer.from(`[${makeItems(kind, 0, i * load.batch, (i + 1) * load.batch).join()}]`),
  );
  const rounds: number[] = [];
  for (let round = -1; round < Number(values.rounds); round++) {
    const before = process.cpuUsage();
    for (const body of bodies) await accept(body);
    const used = process.cpuUsage(before);
    if (round >= 0) rounds.push((used.user + used.system) / (bodies.length * load.batch));
  }
  return median(rounds);
}

await buildProgram();
const bare = await startBareServer();
const server = await startServer();
try {
  const token = (await readFile(`${server.dataFolder}/admin.token`, 'utf8')).trim();
  console.log(`\n${load.events} events in requests of ${load.batch}, ${load.connections} connections`);
  console.log('| what | bare route, events/s | Keelson, events/s | ratio | CPU µs bare | CPU µs Keelson |');
  console.log('|---|---|---|---|---|---|');
  for (const kind of kinds) {
    const rounds: { bare: Run; keelson: Run }[] = [];
    for (let round = -1; round < Number(values.rounds); round++) {
      const bareRun = await run(process.pid, { kind, url: bare.url, token, round });
      const keelsonRun = await run(server.pid, { kind, url: server.url, token, round });
      if (round >= 0) rounds.push({ bare: bareRun, keelson: keelsonRun }); // the first one warms up
    }
    const of = (pick: (round: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
    console.log(
      `| ${names[kind]} | ${printRate(of(({ bare }) => bare.eventsPerS))} | ${printRate(of(({ keelson }) => keelson.eventsPerS))} | ` +
        `${of(({ bare, keelson }) => keelson.eventsPerS / bare.eventsPerS).toFixed(2)} | ` +
        `${of(({ bare }) => bare.cpuUs).toFixed(1)} | ${of(({ keelson }) => keelson.cpuUs).toFixed(1)} |`,
    );
  }
} finally {
  await server.stop();
  await bare.stop();
}

console.log('\n| intake alone | bytes of an event | CPU µs |');
console.log('|---|---|---|');
for (const kind of kinds) {
  const [item] = makeItems(kind, 0, 0, 1);
  console.log(`| ${names[kind].split(',')[0]} | ${item!.length} | ${(await runAlone(kind)).toFixed(1)} |`);
}
