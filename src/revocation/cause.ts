/** A cause: what somebody said that makes access end, or come back; and how far it has got. Times are microseconds since 1970 UTC. */
import type { KeyType } from '../protocol/keys.js';

export type CauseKind = 'leaver' | 'scope_loss' | 'mover' | 'reinstatement' | 'rehire' | 'request' | 'lift';

/**
 * - `pending`: to be ordered at once. `scheduled`: not before `dueUs`. `held`: waits for a second person, until `dueUs`.
 * - `ordered`: its keys are in the table. `settled`: what it lifts is lifted, or was called off by it.
 * - `lifted`: another cause took the order back. `cancelled`, `denied`: never ordered. `refused`: could not be done, `code` says why.
 */
export type CauseState =
  'pending' | 'scheduled' | 'held' | 'ordered' | 'settled' | 'lifted' | 'cancelled' | 'denied' | 'refused';

/** What a key stands for; a held one ends with a new owner. */
export type OrderKeyType = KeyType | 'agent_held' | 'client_held' | 'key';

/** A key that an order holds. */
export interface OrderKey {
  readonly type: OrderKeyType;
  readonly change: 'block' | 'cutoff';
}

export interface Target {
  readonly type: string;
  readonly issuer: string;
  /** '' for a token that is known by its digest alone, and for all sessions of a person at the issuer. */
  readonly value: string;
  /** Of a token that was shown. */
  readonly digest?: string;
  /** With the grants that the token stems from. */
  readonly grants?: true;
}

export interface Incomplete {
  /**
   * `no_alias`: an expected issuer knows neither an account nor that there is none. `erased`: nobody can tell whom a pseudonym stands
   * for. `unnamed_tokens`: living tokens that served them go on, for others use them and they name nothing that ends. `behind`: the graph
   * did not know everything yet. `world_changed`: so many keys, at least, the dry run did not see that led to this; they are ordered, too.
   */
  readonly reason: 'no_alias' | 'erased' | 'unnamed_tokens' | 'signalled_only' | 'behind' | 'world_changed';
  readonly issuer?: string;
  readonly count?: number;
}

/** How many left the source within an hour up to this one, and of how many that it ever named. */
export interface Burst {
  readonly leavers: number;
  readonly population: number;
}

export interface Cause {
  /** Of the order that follows from it, 32 hex digits: the name of the whole. */
  readonly order: string;
  readonly id: string;
  readonly type: string;
  readonly producer: string;
  /** In the lifecycle log. */
  readonly index: number;
  readonly committedUs: number;
  readonly kind: CauseKind;
  /** When it happened, where the source says so by a clock of its own. */
  readonly saidUs?: number;
  /** The person it is about, a pseudonym in hex. */
  readonly principal?: string;
  /** Who did it. */
  readonly actor?: string;
  readonly successor?: string;
  readonly groups: readonly string[];
  readonly groupsAdded: readonly string[];
  readonly target?: Target;
  readonly effect: 'block' | 'cutoff';
  readonly mode?: 'revoke' | 'hold' | 'transfer';
  readonly security: boolean;
  /** Of a request to lift. */
  readonly orders: readonly string[];
  /** What a dry run saw that led to this: its ETag. */
  readonly world?: string;
  readonly reasonCode?: string;
  readonly sourceSystem?: string;
  readonly burst?: Burst;

  state: CauseState;
  /** When it is to be ordered, or fires by itself. */
  dueUs: number;
  /** The effective time that was asked for, where it lay ahead. */
  scheduledUs?: number;
  heldUntilUs?: number;
  firedUs?: number;
  /** The lifecycle entry that fired it. */
  firedIndex?: number;
  late?: boolean;
  /** By whom a hold was let go or ended. */
  decidedBy?: string;
  /** False: that was an API token of which nobody knows who holds it. */
  deciderKnown?: boolean;
  /** Everybody it is about, as of the last part. */
  subjects: readonly string[];
  /** Numbers of records that followed from it: one more than the greatest that is committed. */
  parts: number;
  /** One of them is not there: it was lost, or comes late. */
  hasGap?: true;
  /** Its last part said that it was the last. */
  complete: boolean;
  incomplete: readonly Incomplete[];
  orderedUs?: number;
  /** When it was ordered or extended last. */
  lastPartUs?: number;
  /** The change of the table that its last part ended with: who enforces that, enforces the order. */
  seq?: number;
  /** The lifecycle entry that ordered it. */
  orderedIndex?: number;
  /** Why it was refused. */
  code?: string;
  /** The cause, by its order, that lifted, cancelled or replaced it. */
  endedBy?: string;
}

/** What the processor has still to do something about. */
export const isWaiting = ({ state }: Cause): boolean =>
  state === 'pending' || state === 'scheduled' || state === 'held';

/** Whether it makes people leavers, wholly or in part. Who only has to sign in again has not left. */
export const isLeave = (cause: Cause): boolean => isAboutPerson(cause) && cause.effect === 'block';

/** Whether it is about a person and what is theirs, not about some groups. */
export const isAboutPerson = ({ kind, principal, groups }: Cause): boolean =>
  kind === 'leaver' || kind === 'scope_loss' || (kind === 'request' && principal !== undefined && groups.length === 0);

/** Whether the graph may add to it what is told anywhere but in lifecycle, now or later. */
export const mayGrow = (cause: Cause): boolean =>
  isAboutPerson(cause) || (cause.target !== undefined && cause.target.type !== 'key');

/** Whether it is about all sessions that a person has at an issuer, and nothing else. */
export const isSignOut = ({ principal, target }: Pick<Cause, 'principal' | 'target'>): boolean =>
  principal !== undefined && target?.type === 'session' && target.value === '';

/** The lifecycle entry from which on it counts: of what waited, that which fired it. */
export const countsFrom = ({ index, firedIndex }: Pick<Cause, 'index' | 'firedIndex'>): number => firedIndex ?? index;

/** Whether somebody came back after they had left: not where their source says itself that it was before. */
export const isAfter = (back: Pick<Cause, 'saidUs'>, leave: Cause): boolean =>
  back.saidUs === undefined || leave.saidUs === undefined || leave.saidUs <= back.saidUs;
