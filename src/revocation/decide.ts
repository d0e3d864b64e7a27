/** Deciding about one cause, given its world. Pure. */
import type { OwnEvent } from '../intake/encoder.js';
import { countsFrom, isAfter, isLeave, isWaiting, type Cause, type Incomplete, type OrderKey } from './cause.js';
import { writeDecisions, writeRefused, type Decision, type KeyEntry, type Office } from './decision.js';
import { lostKeys, regainedKeys, wantedKeys } from './order-keys.js';
import type { RevocationState } from './state.js';
import { countUnseen, type World } from './world.js';

export interface Decided {
  readonly events: readonly OwnEvent[];
  /** False where it has to be looked at again: something is being written, or another cause comes first. */
  readonly isDone: boolean;
  /** Nothing is to be written, but the graph did not know everything: to be looked at when it does. */
  readonly isBehind: boolean;
}

const LATER: Decided = { events: [], isDone: false, isBehind: false };

export function decide(office: Office, cause: Cause, world: World): Decided {
  switch (cause.kind) {
    case 'reinstatement':
    case 'rehire':
      return giveBack(office, cause, world);
    case 'lift':
      return liftNamed(office, cause);
    case 'leaver':
    case 'scope_loss':
    case 'mover':
    case 'request':
      return orderKeys(office, cause, world);
  }
}

/** Orders what a cause is to hold and does not yet, and lifts what it holds wrongly. */
function orderKeys(office: Office, cause: Cause, world: World): Decided {
  const { state, nowUs } = office;
  const isComplete = world.lifecycleSize >= state.sizeFor(cause) && (cause.complete || world.knowsOthers);
  const isFirst = cause.state !== 'ordered';
  if (isFirst && cause.kind === 'mover' && hasEarlier(state, cause, world)) return LATER;
  const held = state.keys.get(cause.order) ?? new Map<string, OrderKey>();
  const hasHeirLeft = (heir: string): boolean => {
    state.relyOn(heir, cause.order);
    return state.hasLeft([heir]);
  };
  const asked = isFirst || cause.kind !== 'mover' ? cause : { ...cause, groups: stillLost(state, cause, world) };
  const wanted = wantedKeys(state.material, asked, world, hasHeirLeft);
  const { keys } = wanted;
  const incomplete = [...wanted.incomplete, ...compareWorld(state, cause, keys)];
  const entries: KeyEntry[] = [];
  if (isFirst && cause.kind === 'mover') entries.push(...regained(office, cause, world));
  const isDead = (key: string): boolean => !isFirst && state.deadTokens.has(key);
  // A cutoff is not enough for what turned out to have been there before.
  const isHeld = (key: string, { change }: OrderKey): boolean =>
    held.get(key)?.change === 'block' || held.get(key)?.change === change;
  const missing = [...keys]
    .filter(([key, one]) => !isHeld(key, one) && !isDead(key))
    .sort(([, a], [, b]) => compareKeys(a, b));
  for (const [key, { type, change }] of missing) {
    if (change === 'block') entries.push({ key, change, order: cause.order, type });
    else entries.push({ key, change, atUs: cutoffTime(cause, nowUs), type });
  }
  const human = cause.principal === undefined ? [] : world.human.subjects;
  // Whom the order is not about any more is forgotten only with the last lift: until then somebody else has to know what to lift.
  const meanwhile = [...new Set([...cause.subjects, ...human])].sort();
  const subjects = isComplete ? human : meanwhile;
  const shared = { order: cause.order, last: isComplete, subjects, meanwhile };
  const told = isComplete ? incomplete : [...incomplete, { reason: 'behind' } as const];
  const decisions: Decision[] = [];
  const isNews = isFirst || entries.length > 0 || cause.complete !== isComplete || !isSame(cause.incomplete, told);
  if (isNews) {
    const type = isFirst ? 'revocation.ordered' : 'revocation.extended';
    decisions.push({ ...shared, type, entries, incomplete: told });
  }
  const wrong = isFirst || !isComplete ? [] : wrongKeys(office, cause, world, held, keys);
  if (wrong.length > 0 || (!isFirst && isComplete && !isNews && !isSame(cause.subjects, subjects))) {
    decisions.push({ ...shared, type: 'revocation.lifted', entries: wrong, incomplete: told });
  }
  // What is written is looked at again when it is folded: it may have been lost.
  const isSettled = decisions.length === 0;
  return {
    events: writeDecisions(office, cause, decisions),
    isDone: isSettled && isComplete,
    isBehind: isSettled && !isComplete,
  };
}

/** What a dry run did not see: said, and ordered all the same. */
function compareWorld(
  { material }: RevocationState,
  { world }: Cause,
  keys: ReadonlyMap<string, OrderKey>,
): Incomplete[] {
  const count = world === undefined ? 0 : countUnseen(material.hasher, world, keys);
  return count === 0 ? [] : [{ reason: 'world_changed', count }];
}

const compareKeys = (a: OrderKey, b: OrderKey): number =>
  a.change === b.change ? (a.type < b.type ? -1 : a.type > b.type ? 1 : 0) : a.change === 'block' ? -1 : 1;

/** A cutoff is as of when the order was to be given; a later one, found by an extension, as of then. */
const cutoffTime = (cause: Cause, nowUs: number): number =>
  cause.state === 'ordered' && cause.orderedUs !== undefined ? cause.orderedUs : Math.max(nowUs, cause.committedUs);

const isSame = (a: readonly unknown[], b: readonly unknown[]): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What an order holds only through somebody who turned out to be another, or of an agent that has a new owner. */
function wrongKeys(
  { state, nowUs }: Office,
  cause: Cause,
  world: World,
  held: ReadonlyMap<string, OrderKey>,
  wanted: ReadonlyMap<string, OrderKey>,
): KeyEntry[] {
  const isShrunk = cause.subjects.some((subject) => !world.human.subjects.includes(subject));
  const lost = isShrunk ? lostKeys(state.material, cause, world) : new Set<string>();
  const wrong: KeyEntry[] = [];
  for (const [key, { type, change }] of held) {
    if (change !== 'block' || wanted.has(key)) continue;
    const isTakenOver =
      (type === 'agent_held' || type === 'client_held') && hasNewOwner(state, cause.order, key, world);
    if (lost.has(key) || isTakenOver) wrong.push({ key, change: 'lift', order: cause.order, atUs: nowUs });
  }
  return wrong;
}

function hasNewOwner(state: RevocationState, order: string, key: string, world: World): boolean {
  const owner = state.newOwners.get(key);
  if (owner === undefined || world.human.subjects.includes(owner)) return false;
  state.relyOn(owner, order);
  return !state.hasLeft([owner]);
}

/**
 * The groups of a mover that the same source did not give again: said later, and in force later. An order in force must not take those
 * back.
 */
function stillLost(state: RevocationState, cause: Cause, { human }: World): string[] {
  const given = state
    .about(human.subjects)
    .filter(
      (one) =>
        one.kind === 'mover' &&
        one.producer === cause.producer &&
        one.index > cause.index &&
        countsFrom(one) > countsFrom(cause) &&
        (one.state === 'pending' || one.state === 'ordered'),
    )
    .flatMap(({ groupsAdded }) => groupsAdded);
  return cause.groups.filter((group) => !given.includes(group));
}

/** Lifts of memberships that this source took and gives again. */
function regained({ state, nowUs }: Office, cause: Cause, world: World): KeyEntry[] {
  const keys = regainedKeys(state.material, cause, world);
  const entries: KeyEntry[] = [];
  for (const earlier of state.about(world.human.subjects)) {
    if (earlier.kind !== 'mover' || earlier.producer !== cause.producer || earlier.index >= cause.index) continue;
    for (const [key, { change }] of state.keys.get(earlier.order) ?? []) {
      if (change === 'block' && keys.has(key)) entries.push({ key, change: 'lift', order: earlier.order, atUs: nowUs });
    }
  }
  return entries;
}

/** Whether something of the same source about the same human, which counts from earlier on, is not ordered yet: it comes first. */
const hasEarlier = (state: RevocationState, cause: Cause, { human }: World): boolean =>
  state
    .about(human.subjects)
    .some(
      (one) =>
        one.producer === cause.producer &&
        countsFrom(one) < countsFrom(cause) &&
        one.state === 'pending' &&
        one.code === undefined,
    );

/** Lifts what this source itself ordered about somebody who is back; never a compromise, never another source's. */
function giveBack(office: Office, cause: Cause, world: World): Decided {
  const { state } = office;
  if (world.lifecycleSize < state.sizeFor(cause) || hasEarlier(state, cause, world)) return LATER;
  const orders = state
    .about(world.human.subjects)
    .filter(
      (one) =>
        isLeave(one) &&
        !one.security &&
        one.state === 'ordered' &&
        one.producer === cause.producer &&
        one.index < cause.index &&
        isAfter(cause, one),
    );
  return liftAll(office, cause, orders);
}

/** Lifts the orders that an administrator named, whoever's they are. */
function liftNamed(office: Office, cause: Cause): Decided {
  const { state } = office;
  const orders = cause.orders.map((name) => state.find(name));
  if (orders.some((one) => one !== undefined && one.index < cause.index && one.state === 'pending')) return LATER;
  const open = orders.filter((one): one is Cause => one?.state === 'ordered');
  if (orders.includes(undefined)) return refuse(office, cause, 'unknown_order');
  return liftAll(office, cause, open);
}

function liftAll(office: Office, cause: Cause, orders: readonly Cause[]): Decided {
  const { state, nowUs } = office;
  if (orders.length === 0) return settle(office, cause);
  const decisions = orders.map(({ order, subjects }): Decision => {
    const blocks = [...(state.keys.get(order) ?? [])].filter(([, { change }]) => change === 'block');
    const entries = blocks.map(([key]): KeyEntry => ({ key, change: 'lift', order, atUs: nowUs }));
    return { type: 'revocation.lifted', order, entries, last: true, subjects, incomplete: [] as Incomplete[] };
  });
  return { events: writeDecisions(office, cause, decisions), isDone: true, isBehind: false };
}

/** Nothing is left to lift: there was nothing, or all of it is lifted or was called off, and only that this is all was not told. */
function settle(office: Office, cause: Cause): Decided {
  const lifted = [...office.state.causes.values()].find(
    ({ endedBy, state }) => (state === 'lifted' || state === 'cancelled') && endedBy === cause.order,
  );
  if (lifted === undefined) return refuse(office, cause, 'nothing_to_lift');
  const { order, subjects } = lifted;
  const end: Decision = { type: 'revocation.lifted', order, entries: [], last: true, subjects, incomplete: [] };
  return { events: writeDecisions(office, cause, [end]), isDone: true, isBehind: false };
}

const refuse = (office: Office, cause: Cause, code: string): Decided => ({
  events: isWaiting(cause) ? [writeRefused(office, cause, code)] : [],
  isDone: true,
  isBehind: false,
});
