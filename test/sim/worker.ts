/** A process that plays seeds and tells of each, a line of JSON: `node worker.ts '{"seeds": [1, 3], "rounds": 540}'`. */
import { register } from 'node:module';

export interface Task {
  readonly seeds: readonly number[];
  readonly rounds: number;
  /** Files with another text than they have. */
  readonly files?: Readonly<Record<string, string>>;
}

const { seeds, rounds, files } = JSON.parse(process.argv[2]!) as Task;
if (files !== undefined) register('./mutant-hooks.mjs', import.meta.url, { data: files });
const { Simulation } = await import('./simulation.js');
for (const seed of seeds) {
  const report = new Simulation(seed).run(rounds);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (report.violation !== undefined) break;
}
