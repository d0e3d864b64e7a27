/** Forgetting what no living token can need: cutoffs, and blocks of single tokens. Blocks of persons and agents stay. Pure. */
import { formatHex } from '../core/bytes.js';
import type { OwnEvent } from '../intake/encoder.js';
import { deriveCanaryKey } from '../protocol/keys.js';
import { formatChanges, MAX_PART_KEYS } from '../protocol/part.js';
import type { OrderKey } from './cause.js';
import { gather, type Office } from './decision.js';
import { partName } from './names.js';
import type { RevocationState } from './state.js';

/** The producer of what nobody caused: Keelson itself (`SELF` of events). */
const OWN = 'keelson';
const EVERY_US = 3_600_000_000;

/** The record that forgets up to 3,000 keys; nothing where there are none, or it was looked for lately. */
export function expire({ state, term, nowUs }: Office, tokenLifeUs: number): OwnEvent[] {
  if (nowUs - state.expiryLookedUs < EVERY_US) return [];
  const keys = expiredKeys(state, nowUs - tokenLifeUs).slice(0, MAX_PART_KEYS);
  if (keys.length === 0) {
    state.expiryLookedUs = nowUs;
    return [];
  }
  const part = partName(state.material.hasher, OWN, 'expiry', term, state.expiries);
  const changes = formatChanges(gather(keys.map((key) => ({ key, change: 'expire' }))));
  const event = { term: Number(term), part, number: state.expiries, changes: changes.map((one) => ({ ...one })) };
  return [{ type: 'revocation.expired', id: part, event: { ...event, kind: 'expiry' } }];
}

/** Keys that only tokens from before `beforeUs` can have. */
function expiredKeys(state: RevocationState, beforeUs: number): string[] {
  const canary = formatHex(deriveCanaryKey(state.material.hasher, state.material.guardKey));
  const expired: string[] = [];
  for (const { key, blocked, cutoffUs } of state.table.facts.facts()) {
    if (blocked || cutoffUs === undefined || cutoffUs >= beforeUs) continue;
    const name = formatHex(key);
    if (name !== canary) expired.push(name);
  }
  const tokens = new Map<string, boolean>();
  for (const [order, held] of state.keys) {
    const isOld = (state.causes.get(order)?.lastPartUs ?? Infinity) < beforeUs;
    for (const [key, one] of held) {
      if (isToken(one)) tokens.set(key, isOld && (tokens.get(key) ?? true));
    }
  }
  for (const [key, isOld] of tokens) if (isOld) expired.push(key);
  return expired;
}

const isToken = ({ type, change }: OrderKey): boolean => type === 'token' && change === 'block';
