/**
 * The processor: what to do next, given everything folded. Pure: the shell (processor.ts) folds, asks and writes; what it is told to
 * write counts only once it is folded again, so it may stop anywhere and somebody else goes on.
 */
import { isObject } from '../events/json.js';
import type { OwnEvent } from '../intake/encoder.js';
import { isWaiting, type Cause } from './cause.js';
import { decide } from './decide.js';
import { expire } from './expire.js';
import { writeFired, writeHeld, writeRefused, type Office } from './decision.js';
import type { World } from './world.js';

export interface StepSettings {
  /** More leavers of one source within an hour than both of these wait for a second person. */
  readonly holdCount: number;
  readonly holdShare: number;
  /** How long they wait at most. */
  readonly holdUs: number;
  /** No token lives longer than this: older cutoffs and blocks of single tokens are forgotten. */
  readonly tokenLifeUs: number;
}

export type Input =
  /** Something was folded, or it is time; the graph knows by now what these orders were behind. */
  | { readonly kind: 'look'; readonly reached: readonly string[] }
  /** The answers to a survey, by order. */
  | { readonly kind: 'surveyed'; readonly worlds: ReadonlyMap<string, World> };

export interface Effects {
  /** Orders whose worlds are to be asked for; answered with `surveyed`. */
  readonly survey: readonly string[];
  /** To be written, in this order; it counts when it is folded. */
  readonly publish: readonly OwnEvent[];
  /** Look again at this time. */
  readonly wakeUs?: number;
}

/** Causes and orders in one round: of one source no more than its share, so that no flood keeps others waiting. */
const ROUND = 256;
const ROUND_SOURCE = 64;
/** Holds, firings and refusals in one round. */
const ROUND_NOTES = 512;
/** What fires later than this says so. */
const LATE_US = 5_000_000;

/** What follows from an input. Changes nothing of the state but what it notes as looked at. */
export function step(office: Office, input: Input, settings: StepSettings): Effects {
  return input.kind === 'look'
    ? look(office, input.reached, settings)
    : { survey: [], publish: decideAll(office, input.worlds) };
}

function look(office: Office, reached: readonly string[], settings: StepSettings): Effects {
  const { state } = office;
  for (const order of reached) state.lookAtBehind(order);
  const notes: { readonly note: OwnEvent; readonly dueUs: number }[] = [];
  const pending: Cause[] = [];
  let wakeUs = Infinity;
  for (const order of state.waiting) {
    const cause = state.causes.get(order)!;
    const note = takeNote(office, cause, settings);
    if (note !== undefined) notes.push({ note, dueUs: cause.dueUs });
    else if (cause.state === 'pending') pending.push(cause);
    else wakeUs = Math.min(wakeUs, cause.dueUs);
  }
  // What was due first counts first, however long nobody looked.
  notes.sort((a, b) => a.dueUs - b.dueUs);
  const publish = notes.slice(0, ROUND_NOTES).map(({ note }) => note);
  const survey = choose(pending);
  // Orders in force come after those that are not there yet.
  for (const order of state.touched.keys()) {
    if (survey.length >= ROUND) break;
    const is = state.causes.get(order)?.state;
    if (is === 'ordered') survey.push(order);
    // What is about to be ordered is looked at when it is.
    else if (is !== 'pending') state.touched.delete(order);
  }
  if (publish.length + survey.length === 0) publish.push(...expire(office, settings.tokenLifeUs));
  return { survey, publish, ...(wakeUs === Infinity ? {} : { wakeUs }) };
}

/** What has to be said of a cause without asking anybody: that it is refused, held, or fires. */
function takeNote(office: Office, cause: Cause, settings: StepSettings): OwnEvent | undefined {
  const { nowUs } = office;
  if (cause.code !== undefined) return writeRefused(office, cause, cause.code);
  const untilUs = holdUntil(cause, settings);
  if (untilUs !== undefined && untilUs > nowUs) return writeHeld(office, cause, untilUs);
  if (cause.state === 'pending' || cause.dueUs > nowUs) return undefined;
  return writeFired(office, cause, nowUs - cause.dueUs > LATE_US);
}

/** Until when a cause has to wait because too many leave its source at once; undefined where it has not. */
function holdUntil(cause: Cause, { holdCount, holdShare, holdUs }: StepSettings): number | undefined {
  const { burst, heldUntilUs, decidedBy, firedUs, state } = cause;
  if (burst === undefined || heldUntilUs !== undefined || decidedBy !== undefined || firedUs !== undefined)
    return undefined;
  if (state !== 'pending' && state !== 'scheduled') return undefined;
  if (burst.leavers <= holdCount || burst.leavers <= holdShare * burst.population) return undefined;
  return Math.max(cause.committedUs + holdUs, cause.scheduledUs ?? 0);
}

/** Compromises first, then what people ask for, then sources by turns; each in the order in which it came. */
function choose(pending: readonly Cause[]): string[] {
  const chosen: string[] = [];
  const taken = new Map<string, number>();
  const rank = (cause: Cause): number =>
    cause.security ? 0 : cause.kind === 'request' || cause.kind === 'lift' ? 1 : 2;
  for (const cause of [...pending].sort((a, b) => rank(a) - rank(b) || a.index - b.index)) {
    if (chosen.length >= ROUND) break;
    if (rank(cause) === 2) {
      const count = taken.get(cause.producer) ?? 0;
      if (count >= ROUND_SOURCE) continue;
      taken.set(cause.producer, count + 1);
    }
    chosen.push(cause.order);
  }
  return chosen;
}

function decideAll(office: Office, worlds: ReadonlyMap<string, World>): OwnEvent[] {
  const { state } = office;
  const publish: OwnEvent[] = [];
  const changed = new Set<unknown>();
  for (const [order, world] of worlds) {
    const cause = state.causes.get(order);
    if (cause === undefined || (!isWaiting(cause) && cause.state !== 'ordered')) continue;
    const decided = decide(office, cause, world);
    // Two decisions of one round don't know of each other: an order that one lifts, the other would bring back.
    const orders = decided.events.flatMap(ordersIn);
    if (orders.some((one) => changed.has(one))) continue;
    for (const one of orders) changed.add(one);
    publish.push(...decided.events);
    if (decided.isBehind) state.setBehind(cause);
    else if (decided.isDone) state.touched.delete(order);
  }
  return publish;
}

/** The orders that a record changes: its own, and those whose keys it lifts. */
const ordersIn = ({ event: { order, changes } }: OwnEvent): unknown[] => [
  ...(order === undefined ? [] : [order]),
  ...(Array.isArray(changes)
    ? changes.flatMap((one) => (isObject(one) && one.order !== undefined ? [one.order] : []))
    : []),
];

/** Whether a cause needs anybody to be asked. */
export const needsSurvey = (cause: Cause): boolean => cause.principal !== undefined || cause.target !== undefined;
