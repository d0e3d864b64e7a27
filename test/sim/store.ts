/**
 * The database as a model: lifecycle as it is committed, and the table that is folded from it. Whoever is connected sees the primary, or
 * what a replica had when it was cut off; only a primary takes what is written, and so only a primary says how far lifecycle is committed.
 */
import { KeelsonError } from '../../src/core/error.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import type { Change } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';
import { CANARY_KEY, keyOf } from './names.js';
import type { Entry, Said } from './world.js';

/** Changes of the table, and how many entries of lifecycle they are folded from. */
export interface Changes {
  /** 25 bytes each. */
  readonly facts: Uint8Array;
  readonly size: number;
}

export class ModelStore {
  readonly entries: Entry[] = [];
  readonly #ids = new Set<string>();
  readonly #table = new RevocationTable(hasher, CANARY_KEY);
  /** Each change, and the entry that made it. */
  readonly #changes: { readonly index: number; readonly fact: Uint8Array }[] = [];
  #folded = 0;

  /** Appends an entry; false where it is there. */
  commit(entry: Entry): boolean {
    if (this.#ids.has(entry.id)) return false;
    this.#ids.add(entry.id);
    this.entries.push(entry);
    return true;
  }

  /** Folds what is committed; that the table lags behind is nothing unusual. */
  fold(): void {
    for (; this.#folded < this.entries.length; this.#folded++) this.#apply(this.#folded, this.entries[this.#folded]!);
  }

  connect(): Connection {
    return new Connection(this);
  }

  /** @internal */
  get folded(): number {
    return this.#folded;
  }

  /** @internal Changes after `seq` of the first `folded` entries. */
  changesSince(seq: number, folded: number, max: number): Changes {
    const found = this.#changes.slice(seq, seq + max).filter(({ index }) => index < folded);
    const next = this.#changes[seq + found.length];
    const size = next === undefined ? folded : Math.min(folded, next.index);
    return { facts: Buffer.concat(found.map(({ fact }) => fact)), size };
  }

  #apply(index: number, { term, said }: Entry): void {
    const changes = said?.flatMap((one) => (one.what === 'staleness' ? [] : [changeOf(one)]));
    const applied = this.#table.apply(BigInt(index), { term: BigInt(term), changes });
    if (applied === undefined) return;
    const keep = (fact: Uint8Array): unknown => this.#changes.push({ index, fact: fact.slice() });
    for (let at = 0; at < applied.facts.length; at += FACT_BYTES) keep(applied.facts.subarray(at, at + FACT_BYTES));
    for (const one of said ?? []) {
      if (one.what !== 'staleness') continue;
      const key = keyOf(`staleness/${one.tool}`);
      const fact = this.#table.facts.putFact({
        key,
        blocked: false,
        cutoffUs: undefined,
        stalenessUs: one.stalenessUs,
      });
      if (fact !== undefined) keep(fact);
    }
  }
}

/** A way to the database, which may lead to one that is not the primary any more, or nowhere. */
export class Connection {
  readonly #store: ModelStore;
  /** What the replica had that it leads to; undefined: it leads to the primary. */
  #replica: { readonly size: number; readonly folded: number } | undefined;
  isCut = false;

  constructor(store: ModelStore) {
    this.#store = store;
  }

  get isReplica(): boolean {
    return this.#replica !== undefined;
  }

  /** From now on it leads to a replica, or a primary that was fenced, which learns nothing any more. */
  becomeReplica(): void {
    this.#replica ??= { size: this.#store.entries.length, folded: this.#store.folded };
  }

  heal(): void {
    this.#replica = undefined;
    this.isCut = false;
  }

  /**
   * How many entries of lifecycle are committed, read in a transaction that also writes.
   * @throws KeelsonError `database_unavailable`: nobody answers, or who answers may not write.
   */
  readCommittedSize(): number {
    this.#reach();
    if (this.#replica !== undefined) {
      throw new KeelsonError('database_unavailable', 'cannot execute an update in a read-only transaction');
    }
    return this.#store.entries.length;
  }

  /** @throws KeelsonError `database_unavailable`: nobody answers. A replica does. */
  changesSince(seq: number, max: number): Changes {
    this.#reach();
    return this.#store.changesSince(seq, this.#replica?.folded ?? this.#store.folded, max);
  }

  #reach(): void {
    if (this.isCut) throw new KeelsonError('database_unavailable', 'no route to the database');
  }
}

function changeOf(said: Exclude<Said, { what: 'staleness' }>): Change {
  const keys = Buffer.concat(said.names.map(keyOf));
  switch (said.what) {
    case 'block':
      return { change: 'block', order: orderId(said.order), keys };
    case 'lift':
      return { change: 'lift', order: orderId(said.order), atUs: said.atUs, keys };
    case 'cutoff':
      return { change: 'cutoff', atUs: said.atUs, keys };
    case 'expire':
      return { change: 'expire', keys };
  }
}

const orderId = (order: string): string => order.padStart(32, '0');
