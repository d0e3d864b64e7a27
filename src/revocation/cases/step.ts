/**
 * What is to be done about cases, by what is known of them now: closed, or made noise about. A case that goes on is warned of, its
 * stragglers are told again, somebody is called, and, where that is asked for, the points are put out of service. Pure.
 */
import { closeCase, standingsOf, type CaseOutcome, type StandingInstance } from './outcome.js';
import type { CaseInstance, OpenCase } from './standing.js';

/** After so long, microseconds, for as long as a case goes on; 0: never. */
export interface CaseTimers {
  readonly warnUs: number;
  readonly retryUs: number;
  readonly callUs: number;
  readonly quarantineUs: number;
}

export type CasesInput =
  /** The cases that go on, and all instances as they were after that. */
  | { readonly kind: 'looked'; readonly open: readonly OpenCase[]; readonly instances: readonly CaseInstance[] }
  /** Now and then, also where no case goes on: how long each instance that is not retired has not asked for a lease, at least. */
  | {
      readonly kind: 'silence';
      readonly instances: readonly CaseInstance[];
      readonly silentUs: ReadonlyMap<string, number>;
    };

export type CasesEffect =
  | { readonly kind: 'close'; readonly order: OpenCase; readonly outcome: CaseOutcome }
  /** It goes on for long: these have not attested it. */
  | {
      readonly kind: 'warn' | 'call';
      readonly order: OpenCase;
      readonly waitedUs: number;
      readonly stragglers: readonly StandingInstance[];
    }
  /** They are to connect again, and be told. */
  | { readonly kind: 'retry'; readonly order: OpenCase; readonly instances: readonly string[] }
  | { readonly kind: 'quarantine'; readonly order: OpenCase; readonly points: readonly string[] }
  /** An instance attested a table that there is not; once for each such ack. */
  | { readonly kind: 'contradicted'; readonly instance: CaseInstance }
  | { readonly kind: 'retire'; readonly instance: string; readonly silentUs: number };

/** Who asked for no lease for so long is retired. */
export const RETIRED_AFTER_US = 24 * 3_600_000_000;

interface Followed {
  readonly sinceUs: number;
  readonly done: Set<keyof CaseTimers>;
}

export class CasesState {
  /** By the name of the case's entry: since when its last part is known to be committed, and what was done about it. */
  followed = new Map<string, Followed>();
  /** Instances, and the ack of theirs that was made noise about. */
  contradicted = new Map<string, number>();
  /** Cases that go on for longer than somebody is warned, as of the last look. */
  late = 0;

  constructor(readonly timers: CaseTimers) {}
}

/** What was not done of a look is due again; a case that could not be closed, and who could not be retired, come again by themselves. */
export function putOff(state: CasesState, effects: readonly CasesEffect[]): void {
  for (const effect of effects) {
    switch (effect.kind) {
      case 'warn':
      case 'retry':
      case 'call':
      case 'quarantine':
        state.followed.get(caseId(effect.order))?.done.delete(`${effect.kind}Us`);
        break;
      case 'contradicted':
        state.contradicted.delete(effect.instance.instance);
        break;
      case 'close':
      case 'retire':
    }
  }
}

/** The id of the entry that closes a case, whoever writes it. */
export const caseId = ({ order, seq }: Pick<OpenCase, 'order' | 'seq'>): string => `case/${order}/${seq}`;

/** @param nowUs monotonic, microseconds. */
export function stepCases(state: CasesState, input: CasesInput, nowUs: number): CasesEffect[] {
  if (input.kind === 'silence') {
    const gone = [...input.silentUs].filter(([, silentUs]) => silentUs >= RETIRED_AFTER_US);
    return [
      ...noticeContradictions(state, input.instances),
      ...gone.map(([instance]): CasesEffect => ({ kind: 'retire', instance, silentUs: RETIRED_AFTER_US })),
    ];
  }
  const { open, instances } = input;
  const effects = noticeContradictions(state, instances);
  const followed = new Map<string, Followed>();
  state.late = 0;
  for (const order of open) {
    // Where nobody enforces anything, there is nothing to follow.
    if (instances.length > 0 || order.signalled.length > 0) {
      const id = caseId(order);
      const one = state.followed.get(id) ?? { sinceUs: nowUs, done: new Set() };
      followed.set(id, one);
      const waitedUs = nowUs - one.sinceUs;
      const outcome = closeCase(order, instances, waitedUs);
      if (outcome !== undefined) effects.push({ kind: 'close', order, outcome });
      else effects.push(...escalate(state, order, one, instances, waitedUs));
    }
  }
  state.followed = followed;
  return effects;
}

function noticeContradictions(state: CasesState, instances: readonly CaseInstance[]): CasesEffect[] {
  const contradicted = new Map<string, number>();
  const effects: CasesEffect[] = [];
  for (const one of instances) {
    if (one.ack?.isTrue !== false) continue;
    contradicted.set(one.instance, one.ack.seq);
    if (state.contradicted.get(one.instance) !== one.ack.seq) effects.push({ kind: 'contradicted', instance: one });
  }
  state.contradicted = contradicted;
  return effects;
}

function escalate(
  state: CasesState,
  order: OpenCase,
  { done }: Followed,
  instances: readonly CaseInstance[],
  waitedUs: number,
): CasesEffect[] {
  const { timers } = state;
  if (timers.warnUs > 0 && waitedUs >= timers.warnUs) state.late++;
  const due = (Object.keys(timers) as (keyof CaseTimers)[]).filter(
    (name) => timers[name] > 0 && waitedUs >= timers[name] && !done.has(name),
  );
  if (due.length === 0) return [];
  for (const name of due) done.add(name);
  const stragglers = standingsOf(order, instances, waitedUs).filter(
    ({ standing }) => standing === 'silent' || standing === 'contradicting',
  );
  return due.map((name): CasesEffect => {
    switch (name) {
      case 'warnUs':
        return { kind: 'warn', order, waitedUs, stragglers };
      case 'retryUs':
        return { kind: 'retry', order, instances: stragglers.map(({ instance }) => instance) };
      case 'callUs':
        return { kind: 'call', order, waitedUs, stragglers };
      case 'quarantineUs': {
        const points = stragglers.filter(({ quarantined }) => !quarantined).map(({ point }) => point);
        return { kind: 'quarantine', order, points: [...new Set(points)] };
      }
    }
  });
}
