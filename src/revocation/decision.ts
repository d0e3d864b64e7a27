/** What is decided about one cause, as the records that say so. Pure. */
import { parseHex } from './hex.js';
import type { JsonObject } from '../events/json.js';
import { formatTimestamp } from '../events/time.js';
import type { OwnEvent } from '../intake/encoder.js';
import { KEY_BYTES } from '../protocol/keys.js';
import { formatChanges, MAX_PART_KEYS, type Change } from '../protocol/part.js';
import type { Cause, Incomplete, OrderKeyType, Target } from './cause.js';
import { partName } from './names.js';
import type { RevocationState } from './state.js';

/** One key and what happens to it. */
export type KeyEntry = { readonly key: string } & (
  | { readonly change: 'block'; readonly order: string; readonly type: OrderKeyType }
  | { readonly change: 'cutoff'; readonly atUs: number; readonly type: OrderKeyType }
  | { readonly change: 'lift'; readonly order: string; readonly atUs: number }
  | { readonly change: 'expire' }
);

/** Who decides, for which state. */
export interface Office {
  readonly state: RevocationState;
  readonly term: bigint;
  readonly nowUs: number;
}

export interface Decision {
  readonly type: 'revocation.ordered' | 'revocation.extended' | 'revocation.lifted';
  /** The order it is about. */
  readonly order: string;
  readonly entries: readonly KeyEntry[];
  /** Whether this is all, as far as is known. */
  readonly last: boolean;
  readonly subjects: readonly string[];
  /** Whom it is about until all that is decided with it is written; undefined: the same. */
  readonly meanwhile?: readonly string[];
  readonly incomplete: readonly Incomplete[];
}

/**
 * Decisions that follow from one cause as records of at most 3,000 keys each, numbered on from those that are committed. A name depends
 * on cause, term and number: said again, it is the same record.
 */
export function writeDecisions(office: Office, cause: Cause, decisions: readonly Decision[]): OwnEvent[] {
  const events: OwnEvent[] = [];
  for (const [i, decision] of decisions.entries()) {
    const isLastDecision = i === decisions.length - 1;
    for (let from = 0; from === 0 || from < decision.entries.length; from += MAX_PART_KEYS) {
      const entries = decision.entries.slice(from, from + MAX_PART_KEYS);
      const isLast = from + MAX_PART_KEYS >= decision.entries.length && isLastDecision;
      const { subjects, meanwhile = subjects, last } = decision;
      const part = { ...decision, entries, subjects: isLast ? subjects : meanwhile, last: isLast && last };
      events.push(writePart(office, cause, part, cause.parts + events.length));
    }
  }
  return events;
}

function writePart(
  office: Office,
  cause: Cause,
  { type, order, entries, last, subjects, incomplete }: Decision,
  number: number,
): OwnEvent {
  const { mode, target, reasonCode, sourceSystem, late } = cause;
  return own(office, cause, type, number, {
    order,
    last,
    kind: cause.kind,
    security: cause.security,
    subjects: [...subjects],
    changes: formatChanges(gather(entries)).map((change) => ({ ...change })),
    counts: countTypes(entries),
    incomplete: incomplete.map((one) => ({ ...one })),
    ...(mode === undefined ? {} : { mode }),
    ...(target === undefined ? {} : { target: tellTarget(target) }),
    ...(reasonCode === undefined ? {} : { reason_code: reasonCode }),
    ...(sourceSystem === undefined ? {} : { source_system: sourceSystem }),
    ...(late === true ? { late } : {}),
  });
}

/** A token by its id, else by its digest. */
const tellTarget = ({ type, issuer, value, digest }: Target): JsonObject => ({
  type,
  issuer,
  value: value === '' && digest !== undefined ? digest : value,
});

/** A record about a cause; its name is that of its part. */
export function own(
  { state, term }: Office,
  { id, type: causeType, producer, index }: Cause,
  type: OwnEvent['type'],
  number: number,
  event: JsonObject,
): OwnEvent {
  const part = partName(state.material.hasher, producer, id, term, number);
  const cause = { id, type: causeType, producer, index };
  return { type, id: part, event: { term: Number(term), part, number, cause, ...event } };
}

/** A part's keys by what happens to them, in order. */
export function gather(entries: readonly KeyEntry[]): Change[] {
  const changes: Change[] = [];
  for (let from = 0; from < entries.length;) {
    const first = entries[from]!;
    let to = from + 1;
    while (to < entries.length && isSameChange(entries[to]!, first)) to++;
    const keys = new Uint8Array((to - from) * KEY_BYTES);
    for (let i = from; i < to; i++) keys.set(parseHex(entries[i]!.key), (i - from) * KEY_BYTES);
    if (first.change === 'block') changes.push({ change: 'block', order: first.order, keys });
    else if (first.change === 'lift') changes.push({ change: 'lift', order: first.order, atUs: first.atUs, keys });
    else if (first.change === 'cutoff') changes.push({ change: 'cutoff', atUs: first.atUs, keys });
    else changes.push({ change: 'expire', keys });
    from = to;
  }
  return changes;
}

const isSameChange = (a: KeyEntry, b: KeyEntry): boolean =>
  a.change === b.change &&
  ('order' in a ? a.order : '') === ('order' in b ? b.order : '') &&
  ('atUs' in a ? a.atUs : 0) === ('atUs' in b ? b.atUs : 0);

/** How many keys of which type follow one another; what `fold-orders.ts` reads the type of each key from. */
function countTypes(entries: readonly KeyEntry[]): JsonObject[] {
  const counts: { type: string; count: number }[] = [];
  for (const entry of entries) {
    if (!('type' in entry)) continue;
    const last = counts.at(-1);
    if (last?.type === entry.type) last.count++;
    else counts.push({ type: entry.type, count: 1 });
  }
  return counts;
}

/** That a cause fires: its time has come, or nobody denied it. */
export const writeFired = (office: Office, cause: Cause, isLate: boolean): OwnEvent =>
  own(office, cause, 'revocation.fired', cause.parts, {
    order: cause.order,
    due_at: formatTimestamp(BigInt(cause.dueUs)),
    late: isLate,
  });

export const writeHeld = (office: Office, cause: Cause, untilUs: number): OwnEvent =>
  own(office, cause, 'revocation.held', cause.parts, {
    order: cause.order,
    kind: cause.kind,
    held_until: formatTimestamp(BigInt(untilUs)),
  });

export const writeRefused = (office: Office, cause: Cause, code: string): OwnEvent =>
  own(office, cause, 'revocation.refused', cause.parts, { order: cause.order, kind: cause.kind, code });
