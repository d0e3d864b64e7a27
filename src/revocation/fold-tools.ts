/** How stale a guard's table may be where a tool is called: as its registration says, and never longer than where nothing is said. Pure. */
import { deriveKey } from '../protocol/keys.js';
import { DEFAULT_STALENESS_US } from '../protocol/staleness.js';
import { numberOf, textOf } from './body.js';
import type { LifecycleEvent } from './lifecycle.js';
import type { RevocationState } from './state.js';

const HIGH_RISK_US = 15_000_000;
const MIN_US = 1_000_000;
const HIGH_RISK = new Set(['high', 'critical']);

export function foldTool(state: RevocationState, { index, type, body }: LifecycleEvent): void {
  const tool = textOf(body, 'tool');
  if (tool === undefined) return;
  const risk = textOf(body, 'risk_level');
  const stalenessMs = numberOf(body, 'max_staleness_ms');
  const isRetired = type === 'tool.retired';
  // What says nothing of either leaves it as it was.
  if (!isRetired && risk === undefined && stalenessMs === undefined) return;
  const us = stalenessMs === undefined ? byRisk(risk) : Math.max(MIN_US, stalenessMs * 1000);
  const { hasher, guardKey } = state.material;
  const key = deriveKey(hasher, guardKey, 'staleness', '', tool);
  const said = isRetired || us >= DEFAULT_STALENESS_US ? undefined : us;
  const applied = state.table.setStaleness(BigInt(index), key, said);
  if (applied !== undefined && applied.facts.length > 0) state.tableChanges.push({ index, ...applied });
}

const byRisk = (risk: string | undefined): number =>
  HIGH_RISK.has(risk?.toLowerCase() ?? '') ? HIGH_RISK_US : DEFAULT_STALENESS_US;
