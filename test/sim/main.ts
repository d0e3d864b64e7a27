/**
 * `npm run test:sim`: what a guard may never do, tried by seeds; then with guards, feeds and tables that are wrong in one place, each of
 * which must be found out.
 *
 *     npm run test:sim -- --seeds 5000         more of them
 *     npm run test:sim -- --seed 17            one of them, as it was
 *     npm run test:sim -- --mutant '<name>'    one mutant alone
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { applyMutant, MUTANTS, type Mutant } from './mutants.js';
import { FAULTS } from './network.js';
import type { Report } from './simulation.js';
import type { Task } from './worker.js';

/** Rounds of a seed: three times misfortune and calm. */
const ROUNDS = 540;
const SEEDS = 240;
/** Seeds in which a mutant has to be found. */
const MUTANT_SEEDS = 120;
const LEAST_LEASES = 20;
const LEAST_ORDERS = 3;
const LEAST_FAULTS = 1000;

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, mutant: { type: 'string' } },
});
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
let failed = 0;
const fail = (line: string): void => {
  failed++;
  say(`FAILED  ${line}`);
};
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

/** Plays seeds in a process of its own. */
async function play(task: Task): Promise<Report[]> {
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), [JSON.stringify(task)], {
    execArgv: ['--import', fileURLToPath(new URL('../support/typescript.mjs', import.meta.url))],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const reports: Report[] = [];
  for await (const line of createInterface({ input: child.stdout! })) reports.push(JSON.parse(line) as Report);
  const code = await ended;
  if (code !== 0) throw new Error(`a process that played seeds ended with ${code}`);
  return reports;
}

/** Several at once, each by somebody who is free. */
async function shareOut<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const one = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(range(0, availableParallelism()).map(one));
}

async function playAll(seeds: readonly number[]): Promise<void> {
  const reports: Report[] = [];
  const workers = availableParallelism();
  const shares = range(0, workers).map((n) => seeds.filter((_, i) => i % workers === n));
  await shareOut(
    shares.filter((share) => share.length > 0),
    async (share) => {
      reports.push(...(await play({ seeds: share, rounds: ROUNDS })));
    },
  );
  for (const { seed, violation, leases, orders } of reports) {
    if (violation !== undefined) fail(`${violation}\n        again: npm run test:sim -- --seed ${seed}`);
    else if (leases < LEAST_LEASES || orders < LEAST_ORDERS)
      fail(`seed ${seed}: only ${leases} leases, ${orders} orders`);
  }
  const sum = (of: (report: Report) => number): number => reports.reduce((sum, report) => sum + of(report), 0);
  say(
    `${reports.length} seeds of ${ROUNDS} rounds: ${sum(({ leases }) => leases)} leases, ${sum(({ orders }) => orders)} orders, ` +
      `${sum(({ acks }) => acks)} acks, cases ${(['enforced', 'fenced', 'incomplete'] as const)
        .map((result) => `${sum(({ cases }) => cases[result])} ${result}`)
        .join(
          ', ',
        )}, ${sum(({ certificates }) => certificates)} certificates, ${sum(({ allowed }) => allowed)} times allowed, ${sum(({ refused }) => refused)} refused`,
  );
  for (const fault of FAULTS) {
    const count = sum(({ faults }) => faults[fault]);
    say(`  ${String(count).padStart(7)}  ${fault}`);
    if (seeds.length >= SEEDS && count < LEAST_FAULTS) fail(`${fault}: only ${count} times`);
  }
  const [first] = await play({ seeds: seeds.slice(0, 1), rounds: ROUNDS });
  if (JSON.stringify(first) !== JSON.stringify(reports.find(({ seed }) => seed === first!.seed))) {
    fail(`seed ${first!.seed} is not the same when it is played again`);
  }
  if (seeds.length > 1 && reports.length < seeds.length) fail(`${seeds.length - reports.length} seeds were not played`);
}

async function hunt(mutant: Mutant): Promise<void> {
  const reports = await play({ seeds: range(1, MUTANT_SEEDS), rounds: ROUNDS, files: applyMutant(mutant) });
  const found = reports.find(({ violation }) => violation !== undefined);
  if (found === undefined) fail(`mutant survives: ${mutant.name}`);
  else say(`mutant found: ${mutant.name}: ${found.violation!.split('\n')[0]}`);
}

const hunted = values.mutant === undefined ? MUTANTS : MUTANTS.filter(({ name }) => name === values.mutant);
if (values.seed !== undefined) await playAll([Number(values.seed)]);
else {
  if (values.mutant === undefined) await playAll(range(1, Number(values.seeds ?? SEEDS)));
  await shareOut(hunted, hunt);
  if (hunted.length === 0) fail(`no mutant ${values.mutant}`);
}
say(failed === 0 ? 'simulation: passed' : `simulation: ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
