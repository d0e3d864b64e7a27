/** What the processor decided: `revocation.*` of Keelson's own. Records of a term that another one followed count for nothing. */
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import { KEY_BYTES } from '../protocol/keys.js';
import { parsePart, type Change, type Part } from '../protocol/part.js';
import { numberOf, objectOf, objectsOf, textOf, textsOf } from './body.js';
import { callOff } from './fold-causes.js';
import type { Cause, Incomplete, OrderKey, OrderKeyType } from './cause.js';
import type { LifecycleEvent } from './lifecycle.js';
import type { RevocationState } from './state.js';

export function foldOrder(state: RevocationState, event: LifecycleEvent): void {
  const { body, index } = event;
  let part: Part;
  try {
    part = parsePart(event.type, body);
  } catch (error) {
    if (error instanceof KeelsonError) return;
    throw error;
  }
  const applied = state.table.apply(BigInt(index), part);
  if (applied === undefined) return;
  if (part.changes !== undefined) state.tableChanges.push({ index, ...applied });
  const from = objectOf(body, 'cause');
  const cause = from && causeOf(state, from);
  if (cause !== undefined) countPart(cause, numberOf(body, 'number'));
  switch (event.type) {
    case 'revocation.term':
      state.holder = textOf(body, 'holder');
      break;
    case 'revocation.held':
      if (cause !== undefined) hold(cause, event);
      break;
    case 'revocation.fired':
      if (cause !== undefined) fire(state, cause, event);
      break;
    case 'revocation.refused':
      if (cause !== undefined) {
        cause.state = 'refused';
        cause.code = textOf(body, 'code') ?? 'refused';
      }
      break;
    case 'revocation.ordered':
    case 'revocation.extended':
      if (cause === undefined) break;
      order(state, event, cause, part.changes ?? []);
      cause.seq = applied.seq;
      break;
    case 'revocation.lifted':
      lift(state, event, cause, part.changes ?? []);
      break;
    case 'revocation.expired':
      state.expiries++;
      for (const change of part.changes ?? []) if (change.change === 'expire') forget(state, change.keys);
      break;
  }
  if (cause !== undefined) state.update(cause);
}

function causeOf(state: RevocationState, from: NonNullable<ReturnType<typeof objectOf>>): Cause | undefined {
  const index = numberOf(from, 'index');
  const id = textOf(from, 'id');
  const producer = textOf(from, 'producer');
  const name = id === undefined || producer === undefined ? undefined : state.orderOf(producer, id);
  const cause = name === undefined ? undefined : state.causes.get(name);
  return cause?.index === index ? cause : undefined;
}

/** Parts are counted by their numbers: one that was lost leaves a gap, and what comes behind it is not the whole. */
function countPart(cause: Cause, number = cause.parts): void {
  if (number > cause.parts) cause.hasGap = true;
  cause.parts = Math.max(cause.parts, number + 1);
}

/** Whether a decision ends with this record, and is there whole; with a gap it is looked at again. */
function endsWhole(cause: Cause, { body }: LifecycleEvent): boolean {
  if (body.last !== true) return false;
  const hasGap = cause.hasGap === true;
  delete cause.hasGap;
  return !hasGap;
}

function hold(cause: Cause, { body }: LifecycleEvent): void {
  const untilUs = numberOf(body, 'held_until');
  if (untilUs === undefined || (cause.state !== 'pending' && cause.state !== 'scheduled')) return;
  cause.state = 'held';
  cause.heldUntilUs = untilUs;
  cause.dueUs = untilUs;
}

function fire(state: RevocationState, cause: Cause, { body, appendedUs, index }: LifecycleEvent): void {
  if (cause.state !== 'scheduled' && cause.state !== 'held') return;
  cause.state = 'pending';
  cause.firedUs = appendedUs;
  cause.firedIndex = index;
  cause.dueUs = appendedUs;
  if (body.late === true) cause.late = true;
  if (cause.kind === 'reinstatement' || cause.kind === 'rehire') callOff(state, cause);
}

function order(state: RevocationState, event: LifecycleEvent, cause: Cause, changes: readonly Change[]): void {
  const { body, appendedUs, index } = event;
  if (cause.state !== 'ordered') {
    cause.state = 'ordered';
    cause.orderedUs = appendedUs;
    cause.orderedIndex = index;
  }
  cause.lastPartUs = appendedUs;
  cause.complete = endsWhole(cause, event);
  if (!cause.complete) state.touched.set(cause.order, cause.index);
  cause.incomplete = objectsOf(body, 'incomplete').map(readIncomplete);
  if (cause.principal !== undefined) state.setSubjects(cause, textsOf(body, 'subjects'));
  const types = readTypes(event);
  for (const change of changes) {
    if (change.change === 'lift') takeBack(state, change);
    else if (change.change !== 'expire') give(state, cause.order, change, types);
  }
}

/** The type of each key that a record adds, in order: its counts, spelled out. */
function* readTypes({ body }: LifecycleEvent): Generator<OrderKeyType, undefined, undefined> {
  for (const one of objectsOf(body, 'counts')) {
    for (let left = numberOf(one, 'count') ?? 0; left > 0; left--) yield (textOf(one, 'type') ?? '') as OrderKeyType;
  }
  return undefined;
}

function give(
  state: RevocationState,
  order: string,
  { change, keys }: Extract<Change, { change: 'block' | 'cutoff' }>,
  types: Iterator<OrderKeyType, undefined>,
): void {
  let held = state.keys.get(order);
  if (held === undefined) state.keys.set(order, (held = new Map<string, OrderKey>()));
  for (const key of splitKeys(keys)) {
    const next = types.next();
    const type = next.done === true ? 'key' : next.value;
    held.set(key, { type, change });
    state.keyChanges.push({ order, key, type, change });
  }
}

function takeBack(state: RevocationState, { order, keys }: Extract<Change, { change: 'lift' }>): void {
  const held = state.keys.get(order);
  for (const key of splitKeys(keys)) {
    held?.delete(key);
    state.keyChanges.push({ order, key });
  }
  if (held?.size === 0) state.keys.delete(order);
}

function lift(
  state: RevocationState,
  event: LifecycleEvent,
  cause: Cause | undefined,
  changes: readonly Change[],
): void {
  for (const change of changes) if (change.change === 'lift') takeBack(state, change);
  const lifted = state.causes.get(textOf(event.body, 'order') ?? '');
  const isWhole = cause !== undefined && cause !== lifted;
  if (isWhole && lifted !== undefined && lifted.state !== 'cancelled' && !hasBlocks(state, lifted.order)) {
    for (const key of state.keys.get(lifted.order)?.keys() ?? []) state.keyChanges.push({ order: lifted.order, key });
    state.keys.delete(lifted.order);
    lifted.state = 'lifted';
    lifted.endedBy = cause.order;
    // What it gave back is lost again.
    if (lifted.groupsAdded.length > 0) state.touch(lifted.subjects);
    state.update(lifted);
  }
  if (isWhole && endsWhole(cause, event)) cause.state = 'settled';
  if (cause === lifted && cause !== undefined && cause.principal !== undefined) {
    state.setSubjects(cause, textsOf(event.body, 'subjects'));
  }
}

export function hasBlocks(state: RevocationState, order: string): boolean {
  for (const { change } of state.keys.get(order)?.values() ?? []) if (change === 'block') return true;
  return false;
}

function forget(state: RevocationState, keys: Uint8Array): void {
  const gone = new Set(splitKeys(keys));
  for (const [order, held] of state.keys) {
    for (const key of held.size < gone.size ? [...held.keys()] : gone) {
      const type = held.get(key)?.type;
      if (!gone.has(key) || !held.delete(key)) continue;
      if (type === 'token') state.deadTokens.add(key);
      state.keyChanges.push({ order, key });
    }
    if (held.size === 0) state.keys.delete(order);
  }
}

function* splitKeys(keys: Uint8Array): Generator<string, void, undefined> {
  for (let at = 0; at < keys.length; at += KEY_BYTES) yield formatHex(keys.subarray(at, at + KEY_BYTES));
}

function readIncomplete(body: Parameters<typeof textOf>[0]): Incomplete {
  const issuer = textOf(body, 'issuer');
  const count = numberOf(body, 'count');
  return {
    reason: (textOf(body, 'reason') ?? 'no_alias') as Incomplete['reason'],
    ...(issuer === undefined ? {} : { issuer }),
    ...(count === undefined ? {} : { count }),
  };
}
