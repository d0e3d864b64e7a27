/** What HR and identity systems say of persons, and what changes around those who left. */
import { formatHex } from '../core/bytes.js';
import { deriveKey } from '../protocol/keys.js';
import { numberOf, textOf, textsOf } from './body.js';
import { isAfter, isLeave, isWaiting, type Cause, type CauseKind } from './cause.js';
import type { LifecycleEvent } from './lifecycle.js';
import { orderName } from './names.js';
import type { RevocationState } from './state.js';

/** A new cause of an event; what it does not say is as it mostly is. */
export function makeCause(
  state: RevocationState,
  event: LifecycleEvent,
  kind: CauseKind,
  more: Partial<Cause> = {},
): Cause {
  const { body, persons } = event;
  const principal = persons.get('/principal');
  const actor = persons.get('/actor');
  const successor = persons.get('/successor');
  const reasonCode = textOf(body, 'reason_code');
  const sourceSystem = textOf(body, 'source_system');
  const cause: Cause = {
    order: orderName(state.material.hasher, event.producer, event.id),
    id: event.id,
    type: event.type,
    producer: event.producer,
    index: event.index,
    committedUs: event.appendedUs,
    ...(event.saidUs === undefined ? {} : { saidUs: event.saidUs }),
    kind,
    groups: [],
    groupsAdded: [],
    effect: 'block',
    security: false,
    orders: [],
    state: 'pending',
    dueUs: event.appendedUs,
    subjects: principal === undefined ? [] : [principal],
    parts: 0,
    complete: false,
    incomplete: [],
    ...(principal === undefined ? {} : { principal }),
    ...(actor === undefined ? {} : { actor }),
    ...(successor === undefined ? {} : { successor }),
    ...(reasonCode === undefined ? {} : { reasonCode }),
    ...(sourceSystem === undefined ? {} : { sourceSystem }),
    ...more,
  };
  const effectiveUs = numberOf(body, 'effective_at');
  if (effectiveUs !== undefined && effectiveUs > event.appendedUs && body.urgent !== true && kind !== 'lift') {
    cause.state = 'scheduled';
    cause.scheduledUs = effectiveUs;
    cause.dueUs = effectiveUs;
  }
  return cause;
}

/** Folds an event that is neither Keelson's own nor a request. */
export function foldCause(state: RevocationState, event: LifecycleEvent): void {
  const principal = event.persons.get('/principal');
  if (principal !== undefined && event.type.startsWith('principal.')) state.know(event.producer, principal);
  switch (event.type) {
    case 'principal.offboarded':
      if (principal !== undefined) foldLeaver(state, event, principal);
      break;
    case 'principal.reinstated':
      if (principal !== undefined) foldReturn(state, event, 'reinstatement');
      break;
    case 'principal.joined':
      if (principal !== undefined && ownLeaves(state, [principal], event).length > 0)
        foldReturn(state, event, 'rehire');
      if (principal !== undefined) rememberGroups(state, event, principal);
      break;
    case 'principal.moved':
    case 'principal.updated':
      if (principal !== undefined) foldMover(state, event, principal);
      break;
  }
  // Whoever left may have got something more by it, or be somebody else than was thought.
  state.touch(event.persons.values());
  touchHeld(state, event);
}

function foldLeaver(state: RevocationState, event: LifecycleEvent, principal: string): void {
  const kind = textOf(event.body, 'scope') === 'source' ? 'scope_loss' : 'leaver';
  const burst = state.countLeaver(event.producer, principal, event.appendedUs);
  const cause = makeCause(state, event, kind, { burst });
  if (state.causes.has(cause.order)) return;
  // The last word of a source on when somebody leaves counts, as long as no second person was asked.
  for (const leave of ownLeaves(state, [principal], event)) {
    const isFree = leave.heldUntilUs === undefined && leave.decidedBy === undefined;
    if (leave.kind === kind && leave.state === 'scheduled' && isFree) cancel(state, leave, cause);
  }
  state.add(cause);
}

function cancel(state: RevocationState, leave: Cause, by: Cause): void {
  leave.state = 'cancelled';
  leave.endedBy = by.order;
  state.update(leave);
}

/** A leaver who comes back: what is in force, the processor lifts. */
function foldReturn(state: RevocationState, event: LifecycleEvent, kind: 'reinstatement' | 'rehire'): void {
  const cause = makeCause(state, event, kind);
  if (state.causes.has(cause.order)) return;
  callOff(state, cause);
  state.add(cause);
}

/**
 * What the source of a return still has waiting about them is off. Whoever is to leave before they come back leaves all the same, and comes
 * back when that is due.
 */
export function callOff(state: RevocationState, back: Cause): void {
  for (const leave of ownLeaves(state, back.subjects, back)) {
    if (leave.state !== 'scheduled' && leave.state !== 'held') continue;
    if (!isAfter(back, leave) || (back.state === 'scheduled' && leave.dueUs < back.dueUs)) continue;
    cancel(state, leave, back);
  }
}

/** What this source itself ordered about this person, or is about to. */
const ownLeaves = (
  state: RevocationState,
  subjects: readonly string[],
  { producer, index }: Pick<Cause, 'producer' | 'index'>,
): Cause[] =>
  state
    .about(subjects)
    .filter(
      (cause) =>
        isLeave(cause) &&
        !cause.security &&
        cause.producer === producer &&
        cause.index < index &&
        (isWaiting(cause) || cause.state === 'ordered'),
    );

function foldMover(state: RevocationState, event: LifecycleEvent, principal: string): void {
  const removed = new Set(textsOf(event.body, 'groups_removed'));
  const added = new Set(textsOf(event.body, 'groups_added'));
  const before = state.groupsOf(event.producer, principal);
  const all = rememberGroups(state, event, principal);
  if (all !== undefined) {
    for (const group of before) if (!all.has(group)) removed.add(group);
    for (const group of all) if (!before.includes(group)) added.add(group);
  }
  for (const group of removed) {
    const isThere = all?.has(group) === true;
    const isBoth = added.has(group);
    if (isThere || isBoth) removed.delete(group);
    // Taken and given in one breath: nothing is taken, and nothing given back.
    if (isBoth && !isThere) added.delete(group);
  }
  if (removed.size === 0 && !hasLost(state, event, added)) return;
  state.add(makeCause(state, event, 'mover', { groups: [...removed], groupsAdded: [...added] }));
}

/** Whether a group that is given again had been taken by this source. */
const hasLost = (state: RevocationState, { producer, persons }: LifecycleEvent, groups: ReadonlySet<string>): boolean =>
  groups.size > 0 &&
  state
    .about([persons.get('/principal')!])
    .some(
      (cause) =>
        cause.kind === 'mover' && cause.producer === producer && cause.groups.some((group) => groups.has(group)),
    );

function rememberGroups(
  state: RevocationState,
  event: LifecycleEvent,
  principal: string,
): ReadonlySet<string> | undefined {
  if (!Array.isArray(event.body.groups)) return undefined;
  const groups = textsOf(event.body, 'groups');
  state.setGroups(event.producer, principal, groups);
  return new Set(groups);
}

/** An agent or client that waits for a new owner was spoken of: an approval that names one, or follows on who was registered, counts. */
function touchHeld(state: RevocationState, { type, body, persons }: LifecycleEvent): void {
  const [what, happened] = type.split('.');
  if (what !== 'agent' && what !== 'client') return;
  const id = textOf(body, what);
  if (id === undefined) return;
  const { hasher, guardKey } = state.material;
  const issuers = what === 'agent' ? [''] : ['', textOf(body, 'issuer') ?? ''];
  for (const issuer of issuers) {
    const key = deriveKey(hasher, guardKey, what, issuer, id);
    const name = formatHex(key);
    const held = state.table.orders
      .of(key)
      .filter((order) => state.keys.get(order)?.get(name)?.type === `${what}_held`);
    if (held.length === 0) continue;
    const owner = persons.get('/owner');
    if (happened === 'registered' && owner !== undefined) state.candidates.set(name, owner);
    const approved = owner ?? state.candidates.get(name);
    if (happened !== 'approved' || approved === undefined) continue;
    state.newOwners.set(name, approved);
    for (const order of held) state.touched.set(order, state.index);
  }
}
