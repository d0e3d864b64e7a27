/** What administrators ask for: orders, other times, an end to them, an answer to those that wait for a second person. */
import { numberOf, objectOf, textOf, textsOf } from './body.js';
import { isSignOut, isWaiting, type Cause } from './cause.js';
import { makeCause } from './fold-causes.js';
import type { LifecycleEvent } from './lifecycle.js';
import type { RevocationState } from './state.js';

/** What can be named as a target. */
export const TARGETS = [
  'agent',
  'client',
  'token',
  'grant',
  'session',
  'delegation',
  'tool',
  'environment',
  'key',
] as const;

/** Folds `revocation.*` of anybody but Keelson itself. */
export function foldRequest(state: RevocationState, event: LifecycleEvent): void {
  switch (event.type) {
    case 'revocation.requested':
      state.add(makeRequest(state, event));
      break;
    case 'revocation.lift_requested':
      state.add(makeCause(state, event, 'lift', { orders: textsOf(event.body, 'orders') }));
      break;
    case 'revocation.rescheduled':
      refer(state, event, reschedule);
      break;
    case 'revocation.cancelled':
      refer(state, event, cancel);
      break;
    case 'revocation.approved':
    case 'revocation.denied':
      refer(state, event, answer);
      break;
  }
}

function makeRequest(state: RevocationState, event: LifecycleEvent): Cause {
  const { body } = event;
  const target = objectOf(body, 'target');
  const group = textOf(body, 'group');
  const mode = textOf(body, 'mode');
  const world = textOf(body, 'world');
  const digest = target && textOf(target, 'digest')?.toLowerCase();
  const named = target && {
    type: textOf(target, 'type') ?? '',
    issuer: textOf(target, 'issuer') ?? '',
    value: textOf(target, 'value') ?? '',
    ...(digest === undefined ? {} : { digest }),
    ...(target.grants === true ? { grants: true as const } : {}),
  };
  const cause = makeCause(state, event, 'request', {
    security: body.security === true,
    effect: textOf(body, 'effect') === 'cutoff' ? 'cutoff' : 'block',
    groups: group === undefined ? [] : [group],
    ...(named === undefined ? {} : { target: named }),
    ...(mode === 'revoke' || mode === 'hold' || mode === 'transfer' ? { mode } : {}),
    ...(world === undefined ? {} : { world }),
  });
  const code = checkRequest(cause);
  return code === undefined ? cause : { ...cause, code, state: 'pending', dueUs: event.appendedUs };
}

/** Why a request can't be followed. */
function checkRequest({ principal, target }: Cause): string | undefined {
  if (target === undefined) return principal === undefined ? 'no_target' : undefined;
  if (!(TARGETS as readonly string[]).includes(target.type)) return 'unsupported_target';
  const { type, value, digest } = target;
  if (digest !== undefined && (type !== 'token' || !/^[0-9a-f]{64}$/.test(digest))) return 'unsupported_target';
  if (value === '' && digest === undefined && !isSignOut({ target, ...(principal && { principal }) })) {
    return 'unsupported_target';
  }
  return target.type === 'key' && !/^[0-9a-f]{32}$/.test(target.value) ? 'unsupported_target' : undefined;
}

/** Does what an event says of another cause; where it can't, the event becomes a cause of its own that is to be refused. */
function refer(
  state: RevocationState,
  event: LifecycleEvent,
  follow: (state: RevocationState, event: LifecycleEvent, cause: Cause) => string | undefined,
): void {
  const cause = findMeant(state, event);
  const code = cause === undefined ? 'unknown_cause' : (checkSource(event, cause) ?? follow(state, event, cause));
  if (code === undefined) state.update(cause!);
  else state.add(makeCause(state, event, 'request', { code, state: 'pending', dueUs: event.appendedUs }));
}

/** A source that speaks for itself means none but its own: another's event of the same name changes nothing. */
function findMeant(state: RevocationState, { body, producer }: LifecycleEvent): Cause | undefined {
  const name = textOf(body, 'cause') ?? '';
  if (body.by_source !== true) return state.find(name);
  const cause = state.causes.get(name) ?? state.causes.get(state.orderOf(producer, name));
  return cause?.producer === producer ? cause : undefined;
}

/** Why a source may not take back what it said: it is a compromise, or a second person is, or was, asked. */
function checkSource({ body }: LifecycleEvent, cause: Cause): string | undefined {
  if (body.by_source !== true || !isWaiting(cause)) return undefined;
  if (cause.security) return 'security';
  return cause.heldUntilUs === undefined && cause.decidedBy === undefined ? undefined : 'second_person';
}

function reschedule(_state: RevocationState, { body }: LifecycleEvent, cause: Cause): string | undefined {
  const atUs = numberOf(body, 'effective_at');
  if (cause.state !== 'scheduled') return 'not_scheduled';
  if (atUs === undefined) return 'no_time';
  cause.scheduledUs = atUs;
  cause.dueUs = atUs;
  return undefined;
}

function cancel(_state: RevocationState, event: LifecycleEvent, cause: Cause): string | undefined {
  if (cause.state !== 'scheduled' && cause.state !== 'held') return 'not_waiting';
  cause.state = 'cancelled';
  cause.decidedBy = event.persons.get('/actor') ?? event.producer;
  return undefined;
}

function answer(_state: RevocationState, event: LifecycleEvent, cause: Cause): string | undefined {
  const code = checkAnswer(event, cause);
  if (code !== undefined) return code;
  cause.decidedBy = event.persons.get('/actor')!;
  if (typeof event.body.holder_known === 'boolean') cause.deciderKnown = event.body.holder_known;
  if (event.type === 'revocation.denied') cause.state = 'denied';
  else {
    const isAhead = cause.scheduledUs !== undefined && cause.scheduledUs > event.appendedUs;
    cause.state = isAhead ? 'scheduled' : 'pending';
    cause.dueUs = isAhead ? cause.scheduledUs! : event.appendedUs;
  }
  return undefined;
}

/** Two persons: neither who caused it nor whom it is about may answer; a source does not answer for itself. */
function checkAnswer({ persons, producer }: LifecycleEvent, cause: Cause): string | undefined {
  const actor = persons.get('/actor');
  if (cause.state !== 'held') return 'not_held';
  if (actor === undefined) return 'no_actor';
  if (actor === cause.actor || cause.subjects.includes(actor)) return 'own_approval';
  return cause.actor === undefined && producer === cause.producer ? 'own_approval' : undefined;
}
