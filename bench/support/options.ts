import { parseArgs } from 'node:util';

/** What the ledger's benchmark takes from its command line. */
export interface BenchOptions<Race extends string> {
  readonly events: number;
  readonly rounds: number;
  /** Which event logs. */
  readonly logs: readonly string[];
  readonly races: readonly Race[];
}

export function readOptions<Race extends string>(defaults: {
  readonly events: number;
  readonly rounds: number;
  readonly races: readonly Race[];
}): BenchOptions<Race> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: String(defaults.events) },
      rounds: { type: 'string', default: String(defaults.rounds) },
      logs: { type: 'string', default: 'postgres,kafka' },
      races: { type: 'string', default: defaults.races.join() },
    },
  });
  const chosen = values.races.split(',');
  return {
    events: Number(values.events),
    rounds: Number(values.rounds),
    logs: values.logs.split(','),
    races: defaults.races.filter((race) => chosen.includes(race)),
  };
}
