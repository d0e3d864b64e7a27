/**
 * The database as a model: lifecycle as it is committed, and the table that is folded from it. Whoever is connected sees the primary, or
 * what a replica had when it was cut off; only a primary takes what is written, and so only a primary says how far lifecycle is committed.
 */
import { KeelsonError } from '../../src/core/error.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import type { FeedStore } from '../../src/feed/store.js';
import type { Change } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';
import { CANARY_KEY, keyOf } from './names.js';
import type { Entry, Said } from './world.js';

export type Folded = Awaited<ReturnType<FeedStore['folded']>>;

const NOTHING_FOLDED: Folded = { size: 0n, seq: 0, chainHash: new Uint8Array(32) };

export class ModelStore {
  readonly entries: Entry[] = [];
  readonly #ids = new Set<string>();
  readonly #table = new RevocationTable(hasher, CANARY_KEY);
  readonly #changes: Uint8Array[] = [];
  /** After each entry. */
  readonly #folds: Folded[] = [];

  /** Appends an entry; false where it is there. */
  commit(entry: Entry): boolean {
    if (this.#ids.has(entry.id)) return false;
    this.#ids.add(entry.id);
    this.entries.push(entry);
    return true;
  }

  /** Folds what is committed; that the table lags behind is nothing unusual. */
  fold(): void {
    this.entries.slice(this.#folds.length).forEach((entry) => this.#apply(this.#folds.length, entry));
  }

  connect(): Connection {
    return new Connection(this);
  }

  /** @internal Of the first `size` entries. */
  foldedTo(size = this.#folds.length): Folded {
    return this.#folds[size - 1] ?? NOTHING_FOLDED;
  }

  /** @internal */
  get changes(): readonly Uint8Array[] {
    return this.#changes;
  }

  #apply(index: number, entry: Entry): void {
    const at = BigInt(index);
    const applied =
      'tool' in entry
        ? this.#table.setStaleness(at, keyOf(`staleness/${entry.tool}`), entry.stalenessUs)
        : this.#table.apply(at, { term: BigInt(entry.term), changes: entry.said?.map(changeOf) });
    const facts = applied?.facts ?? new Uint8Array(0);
    for (let from = 0; from < facts.length; from += FACT_BYTES) {
      this.#changes.push(facts.slice(from, from + FACT_BYTES));
    }
    const { seq, chainHash } = this.#table.head();
    this.#folds.push({ size: BigInt(index + 1), seq, chainHash });
  }
}

/** A way to the database, which may lead to one that is not the primary any more, or nowhere. What it answers: src/feed/store.ts. */
export class Connection {
  readonly #store: ModelStore;
  /** What the replica had that it leads to; undefined: it leads to the primary. */
  #replica: Folded | undefined;
  isCut = false;

  constructor(store: ModelStore) {
    this.#store = store;
  }

  /** From now on it leads to a replica, or a primary that was fenced, which learns nothing any more. */
  becomeReplica(): void {
    this.#replica ??= this.#store.foldedTo();
  }

  heal(): void {
    this.#replica = undefined;
    this.isCut = false;
  }

  /** @throws KeelsonError `database_unavailable`: nobody answers, or who answers may not write. */
  readSize(): bigint {
    this.#reach();
    if (this.#replica !== undefined) {
      throw new KeelsonError('database_unavailable', 'cannot execute an insert in a read-only transaction');
    }
    return BigInt(this.#store.entries.length);
  }

  /** @throws KeelsonError `database_unavailable`: nobody answers. A replica does. */
  changesSince(seq: number, limit: number): Uint8Array {
    return Buffer.concat(this.#store.changes.slice(seq, Math.min(seq + limit, this.folded().seq)));
  }

  folded(): Folded {
    this.#reach();
    return this.#replica ?? this.#store.foldedTo();
  }

  #reach(): void {
    if (this.isCut) throw new KeelsonError('database_unavailable', 'no route to the database');
  }
}

function changeOf(said: Said): Change {
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
