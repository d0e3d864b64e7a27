/** The simulation (`npm run test:sim`), as far as a mutant is worth it. */
import { expect, it } from 'vitest';
import { Simulation } from '../sim/simulation.js';

it.each([1, 2, 3, 4, 5, 6])('seed %d keeps what a guard promises', (seed) => {
  const { violation, leases, orders } = new Simulation(seed).run(540);
  expect(violation).toBeUndefined();
  expect(leases).toBeGreaterThanOrEqual(20);
  expect(orders).toBeGreaterThanOrEqual(3);
});
