/** What happens to whoever decides, at one point between a cause and the end of its order. */
import { expect } from 'vitest';
import type { Point } from './gates.js';
import { Stage, type Contender } from './stage.js';

/**
 * - `killed`: SIGKILL; the standby takes over.
 * - `frozen`: SIGSTOP; the standby takes over and orders all of it; then SIGCONT: what the zombie still writes counts for nothing.
 * - `zombie first`: SIGSTOP; the standby takes the next term and is held before it says so; what the zombie writes lands before it.
 */
export type Fate = 'killed' | 'frozen' | 'zombie first';
export type Play = readonly [point: Point, fate: Fate];

/** Where a zombie that wakes up still has a part to hand to the event log. */
const STILL_WRITES: readonly Point[] = ['part 1', 'part 1 written', 'part 2', 'part 2 written', 'part 3'];
/** Where a zombie can come before the next term with all that it has to write. */
export const CAN_BE_FIRST: readonly Point[] = ['term', 'part 1', 'part 2', 'part 3'];

/** Who decides in which term, and who comes next. */
interface Pair {
  readonly active: Contender;
  readonly next: Promise<Contender>;
  readonly term: bigint;
}

/** Plays one after the other on a stage of their own. @param log what an event log of its own needs; none: the one in Postgres */
export async function playAll(log: Record<string, string>, plays: readonly Play[]): Promise<void> {
  const stage = await Stage.open(log);
  try {
    const active = await stage.contender();
    let pair: Pair = { active, term: await active.term(), next: stage.contender() };
    for (const one of plays) {
      console.log(`at ${one[0]}: ${one[1]}`);
      pair = await play(stage, pair, one);
    }
    await pair.next;
  } finally {
    await stage.close();
  }
}

/** Points that a term has only once, at its first decision. */
const ONCE_A_TERM: readonly Point[] = ['term', 'term written'];

/** Whoever comes next decides, in a term in which nothing is decided yet. */
async function beginTerm(stage: Stage, { active, next, term }: Pair): Promise<Pair> {
  const successor = await next;
  await stage.kill(active);
  return { active: successor, term: await successor.term(term), next: stage.contender() };
}

async function play(stage: Stage, pair: Pair, [point, fate]: Play): Promise<Pair> {
  const { active, next, term: old } = ONCE_A_TERM.includes(point) ? await beginTerm(stage, pair) : pair;
  const leaver = await stage.prepareLeaver();
  const standby = await next;
  const held = active.hold(point);
  await stage.offboard(leaver);
  await held;
  if (fate === 'zombie first') {
    const begins = standby.hold('term');
    active.signal('SIGSTOP');
    await begins;
    active.signal('SIGCONT');
    // It may see at once that its term is taken, or only after it ordered everything.
    await active.goUntilLost();
    standby.say({ go: true });
  } else active.signal(fate === 'killed' ? 'SIGKILL' : 'SIGSTOP');
  const term = await standby.term(old);
  const before = await stage.check(leaver);
  if (fate === 'frozen') {
    active.signal('SIGCONT');
    active.say({ go: true });
    if (STILL_WRITES.includes(point)) await stage.untilParts(leaver, before.length + 1);
  }
  const parts = await stage.check(leaver);
  const late = parts.slice(before.length);
  if (fate === 'frozen' && STILL_WRITES.includes(point)) expect(late).not.toEqual([]);
  expect(late.map((part) => [part.term, part.counts])).toEqual(late.map(() => [old, false]));
  // All of it was there before the next term began, or nothing of it: so nobody orders a part of it.
  if (fate === 'zombie first') {
    const by = point === 'term' && parts[0]!.term !== old ? term : old;
    expect(parts.map((part) => [part.term, part.counts])).toEqual(Array(3).fill([by, true]));
  }
  await stage.kill(active);
  return { active: standby, term, next: stage.contender() };
}
