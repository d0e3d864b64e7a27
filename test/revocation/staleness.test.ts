import { expect, it } from 'vitest';
import { deriveKey } from '../../src/protocol/keys.js';
import { MATERIAL, Simulation } from './simulation.js';

const stalenessOf = ({ state }: Simulation, tool: string): number | undefined => {
  const { facts } = state.table;
  const slot = facts.find(deriveKey(MATERIAL.hasher, MATERIAL.guardKey, 'staleness', '', tool));
  return slot < 0 ? undefined : facts.stalenessUs(slot);
};

it.each([
  ['by its risk', [{ risk_level: 'High' }], 15_000_000],
  ['as it asks', [{ risk_level: 'critical', max_staleness_ms: 20_000 }], 20_000_000],
  ['but never longer than where nothing is said', [{ max_staleness_ms: 600_000 }], undefined],
  ['and never so short that it could not be called', [{ max_staleness_ms: 0 }], 1_000_000],
  ['the last that said so counts', [{ max_staleness_ms: 5_000 }, { risk_level: 'low' }], undefined],
  ['what says nothing changes nothing', [{ max_staleness_ms: 5_000 }, {}], 5_000_000],
  ['until it is retired', [{ max_staleness_ms: 5_000 }, { type: 'tool.retired' }], undefined],
])('a tool may be called by a table that is so stale: %s', (_, said, expected) => {
  const simulation = new Simulation();
  for (const members of said) simulation.say('registry', { type: 'tool.registered', tool: 'deploy', ...members });
  expect(stalenessOf(simulation, 'deploy')).toBe(expected);
  expect(stalenessOf(simulation, 'read')).toBeUndefined();
});
