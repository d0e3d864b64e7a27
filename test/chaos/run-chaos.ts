import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from './dice.js';
import type { Fleet } from './fleet.js';
import { startWorkload, type Workload } from './workload.js';

/** One kind of misfortune, and how often it comes compared with the others, after each has come once. */
export interface Misfortune {
  readonly name: string;
  readonly weight: number;
  readonly strike: (fleet: Fleet, dice: Dice) => Promise<void>;
}

export const KILL_SERVER: Misfortune = { name: 'SIGKILL server', weight: 5, strike: (fleet) => fleet.killServer() };
export const ZOMBIE: Misfortune = {
  name: 'SIGSTOP server, another takes over, SIGCONT',
  weight: 0,
  strike: (fleet, dice) => fleet.freezeAndReplace(dice.between(0, 3_000), dice.between(500, 3_000)),
};

export const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 12);
export const EVENTS = Number(process.env.CHAOS_EVENTS ?? 20_000);

/**
 * Lets events flow, an equal share before each round, and misfortunes strike at random points of time in them: each once, then
 * by lot, `ROUNDS` in all. Ends when every event is acknowledged. Whatever ended by itself is started again, as a supervisor
 * would.
 */
export async function runChaos(fleet: Fleet, dice: Dice, misfortunes: readonly Misfortune[]): Promise<Workload> {
  const workload = startWorkload(dice, fleet.target, { events: EVENTS, publishers: 8, pauseMs: 200 });
  const lottery = misfortunes.flatMap((misfortune) => Array<Misfortune>(misfortune.weight).fill(misfortune));
  for (let round = 1; round <= ROUNDS; round++) {
    workload.release((EVENTS * round) / (ROUNDS + 1));
    await sleep(dice.between(10, 1_000));
    const misfortune = misfortunes[round - 1] ?? dice.pick(lottery);
    console.log(`round ${round}/${ROUNDS}: ${misfortune.name} (${workload.accepted.size} acknowledged)`);
    await misfortune.strike(fleet, dice);
    if (!fleet.serving.running) await fleet.restart();
    await fleet.serving.untilReady(120_000);
  }
  workload.release(EVENTS);
  await workload.done;
  console.log(`${workload.accepted.size} acknowledged, ${workload.retries()} uploads sent again`);
  return workload;
}
