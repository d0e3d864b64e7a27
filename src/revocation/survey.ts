/** Asking the graph, the vault and the configuration for the worlds that `step` decides on. */
import type { Logger } from '../platform/logger.js';
import type { Positions } from '../ledger/projection.js';
import { isSignOut, mayGrow, type Cause, type Target } from './cause.js';
import type { Follower } from './follower.js';
import { parseHex } from './hex.js';
import type { Changed, Descendants, Human, Origin, OriginType } from '../identity/identity.js';
import type { IdentityPort } from './identity-port.js';
import { LIFECYCLE } from './lifecycle.js';
import { endOf } from './order-keys.js';
import type { RevocationState } from './state.js';
import { needsSurvey } from './step.js';
import { EMPTY_WORLD, NO_DESCENDANTS, type Belongings, type Person, type Policy, type World } from './world.js';

export interface SurveyOptions {
  readonly identity: IdentityPort;
  /** Of the vault: who is behind these pseudonyms. */
  readonly identify: (pseudonyms: readonly Uint8Array[]) => Promise<ReadonlyMap<string, Person>>;
  /** Of the ledger: how many entries of each log are committed, by path. */
  readonly sizes: () => Promise<Positions>;
  /** Of the configuration. */
  readonly policyOf: (producer: string) => Promise<Policy>;
  readonly logger: Logger;
}

/** How long an order waits for the graph; what it does not know by then, it adds later. */
const BEHIND_MS = 100;

interface Draft extends Belongings {
  readonly human: Human;
  readonly lost?: Belongings;
}

export class Survey {
  #mark: string | undefined;
  /** By order that is not complete: what was committed when it was first looked at. */
  readonly #sizes = new Map<string, Positions>();

  constructor(private readonly options: SurveyOptions) {}

  /** Whether this process holds the graph. */
  get isHere(): boolean {
    return this.options.identity.isHere;
  }

  /** The worlds of these causes, by order, as they are when everything that bears on them is in the graph, or a little earlier. */
  async ask({ state }: Pick<Follower, 'state'>, causes: readonly Cause[]): Promise<Map<string, World>> {
    const worlds = new Map<string, World>();
    for (const cause of causes) if (!needsSurvey(cause)) worlds.set(cause.order, EMPTY_WORLD);
    const asked = causes.filter(needsSurvey);
    if (asked.length === 0) return worlds;
    const positions = await this.#waitFor(Math.max(...asked.map((cause) => state.sizeFor(cause))));
    const lifecycleSize = positions === undefined ? -1 : Number(positions.get(LIFECYCLE) ?? 0n);
    const hasLeft = (subject: string): boolean => state.hasLeft([subject]);
    const [drafts] = await Promise.all([
      Promise.all(asked.map((cause) => this.#draft(cause, hasLeft))),
      this.#noteSizes(state, asked),
    ]);
    const persons = await this.#identify(asked, drafts);
    for (const [i, cause] of asked.entries()) {
      const { isKnown, ...draft } = drafts[i]!;
      const policy = await this.options.policyOf(cause.producer);
      worlds.set(cause.order, {
        ...draft,
        ...{ persons, policy },
        lifecycleSize: isKnown ? lifecycleSize : -1,
        knowsOthers: !mayGrow(cause) || isPast(positions, this.#sizes.get(cause.order)),
      });
    }
    return worlds;
  }

  /** To whom and to what something was attached since this was asked before; the first time: nobody knows, so all. */
  async changed(): Promise<Pick<Changed, 'subjects' | 'things'>> {
    if (!this.isHere) return { subjects: [], things: [] };
    const isFirst = this.#mark === undefined;
    const changed = await this.options.identity.changedSince(this.#mark);
    this.#mark = changed.mark;
    return isFirst ? { subjects: 'all', things: [] } : changed;
  }

  /** Of the orders that are behind, those about which the graph knows by now what there was. */
  async reached({ behind }: Pick<RevocationState, 'behind'>): Promise<string[]> {
    if (behind.size === 0) return [];
    const positions = await this.options.identity.positions();
    const lifecycleSize = Number(positions.get(LIFECYCLE) ?? 0n);
    const isReached = ([order, size]: [string, number]): boolean => {
      const sizes = this.#sizes.get(order);
      return lifecycleSize >= size && (sizes === undefined || isPast(positions, sizes));
    };
    return [...behind].filter(isReached).map(([order]) => order);
  }

  /** What is committed by now is what there was before the causes that are new; whoever takes over asks again, and waits for a little more. */
  async #noteSizes({ causes }: Pick<RevocationState, 'causes'>, asked: readonly Cause[]): Promise<void> {
    for (const order of this.#sizes.keys()) if (causes.get(order)?.complete !== false) this.#sizes.delete(order);
    const isNew = (cause: Cause): boolean => mayGrow(cause) && !cause.complete && !this.#sizes.has(cause.order);
    const fresh = asked.filter((cause) => causes.has(cause.order) && isNew(cause));
    if (fresh.length === 0) return;
    try {
      const sizes = await this.options.sizes();
      for (const { order } of fresh) this.#sizes.set(order, sizes);
    } catch (error) {
      this.options.logger.warn({ err: error }, 'revocation: the ledger does not say how long its logs are');
    }
  }

  /** Where the graph stands once it knows so much of lifecycle, or has had its time; undefined where it does not answer. */
  async #waitFor(size: number): Promise<Positions | undefined> {
    const { identity, logger } = this.options;
    try {
      await identity.waitForLifecycle(BigInt(size), BEHIND_MS);
      return await identity.positions();
    } catch (error) {
      logger.warn({ err: error }, 'revocation: the identity graph does not answer');
      return undefined;
    }
  }

  /** What belongs to whom a cause is about. Where the graph does not answer: the person alone, and the rest later. */
  async #draft(cause: Cause, hasLeft: (subject: string) => boolean): Promise<Draft & { isKnown: boolean }> {
    try {
      return { ...(await this.#askGraph(cause, hasLeft)), isKnown: true };
    } catch (error) {
      this.options.logger.warn({ err: error, order: cause.order }, 'revocation: the identity graph does not answer');
      const human = { subjects: cause.subjects, absentIssuers: [] };
      return { human, owned: [], descendants: NO_DESCENDANTS, isKnown: false };
    }
  }

  async #askGraph(cause: Cause, hasLeft: (subject: string) => boolean): Promise<Draft> {
    const { identity } = this.options;
    if (cause.principal === undefined) {
      const human = { subjects: [], absentIssuers: [] };
      return { human, owned: [], descendants: await this.#below(cause.target!) };
    }
    const { subjects, absentIssuers } = await identity.aliasesOf(cause.principal);
    const human = { subjects: [...new Set([cause.principal, ...subjects])].sort(), absentIssuers };
    const lost = cause.subjects.filter((subject) => !human.subjects.includes(subject));
    return {
      human,
      ...(await this.#belongings(cause, human.subjects, hasLeft)),
      ...(lost.length === 0 ? {} : { lost: await this.#belongings(cause, lost, hasLeft) }),
    };
  }

  /** What stems from a target; of a token also the grants that it stems from, where they are asked for. */
  async #below({ type, issuer, value, digest, grants }: Target): Promise<Descendants> {
    const { identity } = this.options;
    if (type === 'key') return NO_DESCENDANTS;
    const origins: Origin[] = value === '' ? [] : [{ type: type as OriginType, issuer, id: value }];
    if (digest !== undefined) origins.push({ type: 'token', issuer: '', id: digest });
    const given = grants === undefined ? [] : await identity.grantsOf(origins);
    const below = await identity.descendantsOf([
      ...origins,
      ...given.map((one) => ({ type: 'grant' as const, ...one })),
    ]);
    return { ...below, grants: [...given, ...below.grants] };
  }

  /** What persons own, and what stems from them and from what of it ends with them. */
  async #belongings(
    cause: Cause,
    subjects: readonly string[],
    hasLeft: (subject: string) => boolean,
  ): Promise<Belongings> {
    const { identity } = this.options;
    if (cause.groups.length > 0 || cause.kind === 'mover') return { owned: [], descendants: NO_DESCENDANTS };
    const owned = cause.kind === 'scope_loss' || isSignOut(cause) ? [] : await identity.ownedBy(subjects);
    const ending = owned.filter((one) => endOf(cause, one, subjects, hasLeft) !== undefined);
    return { owned, descendants: await identity.descendantsOf([{ subjects }, ...ending]) };
  }

  async #identify(causes: readonly Cause[], drafts: readonly Draft[]): Promise<ReadonlyMap<string, Person>> {
    const subjects = new Set(causes.flatMap((cause) => cause.subjects));
    for (const { human, descendants } of drafts) {
      for (const subject of human.subjects) subjects.add(subject);
      for (const token of descendants.tokens) for (const subject of token.subjects) subjects.add(subject);
    }
    return this.options.identify([...subjects].map(parseHex));
  }
}

/** Whether so much of every log is folded; lifecycle is asked about on its own. */
function isPast(positions: Positions | undefined, sizes: Positions | undefined): boolean {
  if (positions === undefined || sizes === undefined) return false;
  for (const [path, size] of sizes) if (path !== LIFECYCLE && (positions.get(path) ?? 0n) < size) return false;
  return true;
}
