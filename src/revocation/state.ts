/**
 * Everything that revocation knows, folded from lifecycle alone: causes and how far each has got, orders and their keys, the table. The
 * same for whoever folds the same entries. Pure.
 */
import type { Hasher } from '../core/hasher.js';
import { deriveCanaryKey } from '../protocol/keys.js';
import { RevocationTable } from '../protocol/revocation-table.js';
import { isLeave, isWaiting, mayGrow, type Burst, type Cause, type OrderKey } from './cause.js';
import type { Thing } from '../identity/identity.js';
import { orderName } from './names.js';

/** What names and keys are made with. */
export interface KeyMaterial {
  readonly hasher: Hasher;
  readonly guardKey: Uint8Array;
}

const HOUR_US = 3_600_000_000;

/** The key that every part of an order moves. */
export const canaryOf = ({ hasher, guardKey }: KeyMaterial): Uint8Array => deriveCanaryKey(hasher, guardKey);

/** Whom a source ever named, and who left it lately. */
export interface Source {
  readonly population: Set<string>;
  /** When, in that order. */
  readonly leavers: Map<string, number>;
}

/** A change of the table, as it was committed: 25 bytes a fact, the last of them number `seq`. */
export interface TableChange {
  readonly index: number;
  readonly facts: Uint8Array;
  /** After each of them, 32 bytes each. */
  readonly stateHashes: Uint8Array;
  readonly seq: number;
}

/** A key that an order got, or, without a type, lost. */
export interface KeyChange {
  readonly order: string;
  readonly key: string;
  readonly type?: OrderKey['type'];
  readonly change?: OrderKey['change'];
}

const targetName = (type: string, issuer: string, id: string): string => `${type}\n${issuer}\n${id}`;

export class RevocationState {
  readonly causes = new Map<string, Cause>();
  /** By order: its keys in hex. Only of orders that have some. */
  readonly keys = new Map<string, Map<string, OrderKey>>();
  /** Pseudonym → orders that are waiting or in force. */
  readonly #bySubject = new Map<string, Set<string>>();
  /** What a cause is about where it is not a person → orders. */
  readonly #byTarget = new Map<string, readonly string[]>();
  /** Pseudonym → orders that leave something to them. */
  readonly #byHeir = new Map<string, Set<string>>();
  readonly #byEvent = new Map<string, string[]>();
  readonly sources = new Map<string, Source>();
  /** Of a person, as a source says (`producer \n pseudonym`). */
  readonly groups = new Map<string, readonly string[]>();
  /** Orders to which something may have to be added, and the entry that says so; −1: the graph does. */
  readonly touched = new Map<string, number>();
  /** Orders to which nothing is to be added that is known, and how much of lifecycle the graph has to know before that is all. */
  readonly behind = new Map<string, number>();
  /** What folding changed; taken by who keeps it. */
  readonly changed = new Set<string>();
  readonly tableChanges: TableChange[] = [];
  readonly keyChanges: KeyChange[] = [];
  /** Causes that wait, for whatever: what the processor looks through. */
  readonly waiting = new Set<string>();
  /** Who was approved as the owner of what waits for one, by key. */
  readonly newOwners = new Map<string, string>();
  /** Who was registered as such, and is not approved yet. */
  readonly candidates = new Map<string, string>();
  /** Keys of single tokens that were forgotten, in hex: no such token lives, so no order in force takes them up again. */
  readonly deadTokens = new Set<string>();
  /** How many records forgot keys. */
  expiries = 0;
  /** When somebody looked for what can be forgotten. */
  expiryLookedUs = 0;
  holder: string | undefined;
  /** Of the event that was folded last. */
  index = -1;
  /** Of the last event that may say something of the graph: not who left, moved or came back. */
  graphIndex = -1;

  constructor(
    readonly material: KeyMaterial,
    readonly table: RevocationTable = new RevocationTable(material.hasher, canaryOf(material)),
  ) {}

  /** Takes in a cause that was not there before. A second event of the same name counts for nothing. */
  add(cause: Cause): void {
    if (this.causes.has(cause.order)) return;
    this.causes.set(cause.order, cause);
    const named = this.#byEvent.get(cause.id);
    if (named === undefined) this.#byEvent.set(cause.id, [cause.order]);
    else named.push(cause.order);
    for (const subject of cause.subjects) this.#link(subject, cause);
    if (cause.target !== undefined) {
      const { type, issuer, value, digest } = cause.target;
      // Tokens that were exchanged for it name it without its issuer.
      const names = new Set([
        ...(value === '' ? [] : [targetName(type, issuer, value)]),
        ...(value === '' || type !== 'token' ? [] : [targetName(type, '', value)]),
        ...(digest === undefined ? [] : [targetName(type, '', digest)]),
      ]);
      for (const name of names) this.#byTarget.set(name, [...(this.#byTarget.get(name) ?? []), cause.order]);
    }
    this.update(cause);
  }

  /** Marks a cause as changed, after its state was. */
  update(cause: Cause): void {
    if (isWaiting(cause)) this.waiting.add(cause.order);
    else this.waiting.delete(cause.order);
    // Who stays, or is back, can succeed others.
    if (isLeave(cause) && !isWaiting(cause) && cause.state !== 'ordered') this.touchHeirs(cause.subjects);
    this.changed.add(cause.order);
  }

  /** Says anew whom an order is about. */
  setSubjects(cause: Cause, subjects: readonly string[]): void {
    for (const subject of cause.subjects) this.#bySubject.get(subject)?.delete(cause.order);
    cause.subjects = subjects;
    for (const subject of subjects) this.#link(subject, cause);
  }

  #link(subject: string, cause: Cause): void {
    const { order } = cause;
    if (isLeave(cause)) this.touchHeirs([subject]);
    const orders = this.#bySubject.get(subject);
    if (orders === undefined) this.#bySubject.set(subject, new Set([order]));
    else orders.add(order);
  }

  /** The name of the order that follows from a cause. */
  orderOf(producer: string, id: string): string {
    return orderName(this.material.hasher, producer, id);
  }

  /** The cause that somebody means by the name of its order or its own id; undefined where none, or more than one, is meant. */
  find(name: string): Cause | undefined {
    const direct = this.causes.get(name);
    if (direct !== undefined) return direct;
    const named = this.#byEvent.get(name) ?? [];
    return named.length === 1 ? this.causes.get(named[0]!) : undefined;
  }

  /** The causes that are about one of these persons, in the order in which they came. */
  about(subjects: Iterable<string>): Cause[] {
    const found = new Map<string, Cause>();
    for (const subject of subjects) {
      for (const order of this.#bySubject.get(subject) ?? []) {
        const cause = this.causes.get(order);
        if (cause !== undefined) found.set(order, cause);
      }
    }
    return [...found.values()].sort((a, b) => a.index - b.index);
  }

  /** Notes that an order leaves something to somebody, or will, as long as they have not left themselves. */
  relyOn(heir: string, order: string): void {
    const orders = this.#byHeir.get(heir);
    if (orders === undefined) this.#byHeir.set(heir, new Set([order]));
    else orders.add(order);
  }

  /** Something was said of these persons: the orders about them may have to grow or shrink. */
  touch(subjects: Iterable<string>, index = this.index): void {
    for (const cause of this.about(subjects)) if (cause.state === 'ordered') this.touched.set(cause.order, index);
  }

  /** These persons left, or came back: orders that count on them are looked at again. */
  touchHeirs(subjects: Iterable<string>): void {
    for (const subject of subjects) {
      for (const order of this.#byHeir.get(subject) ?? []) this.touched.set(order, this.index);
    }
  }

  /** The graph learned something of these persons and things: the orders about them may have to grow. */
  hear(subjects: Iterable<string>, things: Iterable<Thing>): void {
    for (const cause of this.about(subjects)) this.#lookAgain(cause, this.index);
    if (this.#byTarget.size === 0) return;
    for (const { type, issuer, id } of things) {
      for (const order of this.#byTarget.get(targetName(type, issuer, id)) ?? []) {
        const cause = this.causes.get(order)!;
        this.#lookAgain(cause, cause.index);
      }
    }
  }

  /** Somebody new begins to decide: what was attached to leavers and targets while nobody looked is looked for. */
  hearAll(): void {
    for (const cause of this.causes.values()) {
      if (mayGrow(cause) && !this.touched.has(cause.order)) this.#lookAgain(cause, cause.index);
    }
  }

  /** What is just being ordered may be without what is new: it is looked at when it is there. */
  #lookAgain({ order, state }: Cause, index: number): void {
    if (state === 'ordered') this.touched.set(order, index);
    else if (state === 'pending' && !this.touched.has(order)) this.touched.set(order, -1);
  }

  /** Nothing can be added to an order until the graph knows more. */
  setBehind(cause: Cause): void {
    this.behind.set(cause.order, this.sizeFor(cause));
    this.touched.delete(cause.order);
  }

  /** The graph knows what an order was behind. */
  lookAtBehind(order: string): void {
    const size = this.behind.get(order);
    if (size !== undefined && !this.touched.has(order)) this.touched.set(order, size - 1);
    this.behind.delete(order);
  }

  /**
   * How many lifecycle entries the graph has to know, so that its answer about a cause is the whole one. What came before the cause, and
   * says nothing of the graph, is not waited for: a leaver need not wait until they themselves are in it.
   */
  sizeFor({ index, order }: Pick<Cause, 'index' | 'order'>): number {
    return Math.max(Math.min(index, this.graphIndex), this.touched.get(order) ?? -1) + 1;
  }

  /** Forgets what it would tell who keeps the state. */
  forgetChanges(): void {
    this.changed.clear();
    this.tableChanges.length = 0;
    this.keyChanges.length = 0;
  }

  /** Whether one of these persons has left: an order says so, or will. */
  hasLeft(subjects: Iterable<string>): boolean {
    return this.about(subjects).some((cause) => isLeave(cause) && (cause.state === 'ordered' || isWaiting(cause)));
  }

  /** A source named a person. */
  know(producer: string, subject: string): void {
    this.source(producer).population.add(subject);
  }

  /** Counts a leaver of a source. Who leaves twice within the hour counts once. */
  countLeaver(producer: string, subject: string, atUs: number): Burst {
    const { leavers, population } = this.source(producer);
    leavers.delete(subject);
    leavers.set(subject, atUs);
    for (const [one, leftUs] of leavers) {
      if (leftUs > atUs - HOUR_US) break;
      leavers.delete(one);
    }
    return { leavers: leavers.size, population: population.size };
  }

  /** Remembers all groups of a person as a source says; answers those it said before. */
  setGroups(producer: string, subject: string, groups: readonly string[]): readonly string[] {
    const name = `${producer}\n${subject}`;
    const before = this.groups.get(name) ?? [];
    this.groups.set(name, groups);
    return before;
  }

  groupsOf(producer: string, subject: string): readonly string[] {
    return this.groups.get(`${producer}\n${subject}`) ?? [];
  }

  /** What a source said so far. */
  source(producer: string): Source {
    let source = this.sources.get(producer);
    if (source === undefined) this.sources.set(producer, (source = { population: new Set(), leavers: new Map() }));
    return source;
  }
}
