/** Writes that are lost, late, or done and reported lost; processors that come and go: the same table in the end, and no order lost. */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { OwnEvent } from '../../src/intake/encoder.js';
import { Simulation } from './simulation.js';

const PERSONS = 4;

/** What is said, by number. */
function speak(sim: Simulation, verb: number, who: number, source: number): void {
  const principal = sim.person(`p-${who}`);
  const alias = sim.person(`p-${who}`, 'https://mail.example');
  const producer = source === 0 ? 'hr' : 'okta';
  const group = `g-${source}`;
  if (verb === 0) sim.say(producer, { type: 'principal.offboarded', principal });
  else if (verb === 1) sim.say(producer, { type: 'principal.reinstated', principal });
  else if (verb === 2) sim.say(producer, { type: 'principal.moved', principal, groups_removed: [group] });
  else if (verb === 3) sim.say(producer, { type: 'principal.moved', principal, groups_added: [group] });
  else if (verb === 4) {
    if (!sim.graph.humans.some((human) => human.includes(alias))) sim.graph.humans.push([principal, alias]);
    sim.say(producer, { type: 'principal.linked', principal, aliases: [alias] });
  } else if (verb === 5) sim.say('admin', { type: 'revocation.requested', principal, security: true });
  else if (verb === 6) {
    const tokens = Array.from({ length: 3001 }, (_, i) => ({
      issuer: 'https://opaque.example',
      jti: `t-${who}-${i}`,
      digest: null,
      subjects: [],
      agents: [],
      clientId: null,
      sessionId: null,
      grants: [],
      delegations: [],
      issuedAtUs: null,
      expiresAtUs: null,
    }));
    sim.graph.below.set(principal, { tokens });
    sim.state.touch([principal]);
  }
}

/** What is blocked, and which keys each order holds: without times and numbers, which may differ. */
const outcome = ({ state }: Simulation): unknown => ({
  blocked: hash(
    'sha256',
    [...state.table.orders.entries()].map(({ key, orders }) => [key.join(), orders.sort()]).join(),
  ),
  keys: [...state.keys].map(([order, { size }]) => [order, size]).sort(),
  causes: [...state.causes.values()].map((cause) => [cause.id, cause.state, cause.complete, cause.subjects]),
});

const verbs = fc.array(fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: PERSONS - 1 }), fc.nat({ max: 1 }), fc.boolean()), {
  minLength: 1,
  maxLength: 14,
});
/** What becomes of each record: written; lost; late, so that a zombie's lands after others decided; twice. */
const fates = fc.array(fc.constantFrom('written', 'lost', 'late', 'twice', 'killed', 'zombie first'), {
  minLength: 10,
  maxLength: 40,
});

/** Of two records that lift two orders the first is lost, and the second is there. */
const LOST_BEFORE_THE_LAST: [[number, number, number, boolean][], string[]] = [
  [
    [0, 1, 0, false],
    [0, 0, 0, false],
    [0, 1, 0, false],
    [1, 1, 0, false],
  ],
  ['written', 'late', 'written', 'written', 'late', ...Array<string>(6).fill('written')],
];

it('comes to the same table whatever happens to its writes', async () => {
  await fc.assert(
    fc.asyncProperty(verbs, fates, async (said, faults) => {
      const calm = new Simulation();
      for (const [verb, who, source] of said) {
        speak(calm, verb, who, source);
        await calm.settle();
      }

      const sim = new Simulation();
      const late: OwnEvent[] = [];
      let next = 0;
      const fate = (): string => faults[next++] ?? 'written';
      /** A processor writes what it decided, until something happens to it. */
      const write = (events: readonly OwnEvent[]): void => {
        for (const event of events) {
          const what = fate();
          if (what === 'written' || what === 'twice') sim.write(event);
          if (what === 'twice') sim.write(event);
          if (what === 'late') late.push(event);
          // It dies between two parts; another takes over, which folds everything first.
          if (what === 'killed') {
            sim.state = sim.refold();
            sim.takeTerm();
            return;
          }
          // It was frozen before it wrote; its part lands before, or after, the next term begins.
          if (what === 'zombie first') {
            sim.write(event);
            sim.takeTerm();
            return;
          }
        }
      };
      for (const [verb, who, source, lands] of said) {
        speak(sim, verb, who, source);
        for (let round = 0; round < 4; round++) write(await sim.decide());
        sim.takeTerm();
        if (lands) for (const event of late.splice(0)) sim.write(event);
        await sim.settle();
      }
      sim.takeTerm();
      for (const event of late) sim.write(event);
      await sim.settle();
      expect(outcome(sim)).toEqual(outcome(calm));
      expect(sim.refold().table.head()).toEqual(sim.state.table.head());
    }),
    { numRuns: 30, seed: Number(process.env['MODEL_SEED'] ?? 1), examples: [LOST_BEFORE_THE_LAST] },
  );
});

it('a record of a lower term counts for nothing, said again it is the same record', async () => {
  const sim = new Simulation();
  sim.say('hr', { type: 'principal.offboarded', principal: sim.person('anna') });
  const [zombie] = await sim.decide();
  sim.takeTerm();
  const before = sim.state.table.head();
  sim.write(zombie!);
  expect(sim.state.table.head()).toEqual(before);
  const [part] = await sim.decide();
  expect(part!.id).not.toBe(zombie!.id);
  sim.write(part!);
  const after = sim.state.table.head();
  sim.write(part!);
  expect(sim.state.table.head()).toEqual(after);
  expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
});
