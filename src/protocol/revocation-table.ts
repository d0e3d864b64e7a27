/**
 * The server's table: a fold over the `revocation.*` and `tool.*` records of the lifecycle log, in the order of their index. It keeps the
 * open orders of every key and the facts that follow from them; the facts are what guards hold.
 *
 * A key is blocked while any order on it is open. Lifting an order leaves a cutoff, and cutoffs only rise. Repeating a change changes
 * nothing. Each part moves the canary besides.
 */
import { equalBytes } from '../core/bytes.js';
import type { Hasher } from '../core/hasher.js';
import { FACT_BYTES, type Fact } from './fact.js';
import { FactTable, type FactSource, type TableHead } from './fact-table.js';
import { KEY_BYTES } from './keys.js';
import { OpenOrders } from './open-orders.js';
import type { Change, Part } from './part.js';
import { STATE_HASH_BYTES } from './state-hash.js';

/** What a record did. */
export interface Applied {
  /** Changed facts, 25 bytes each, in order; the last has number `seq`. */
  readonly facts: Uint8Array;
  /** The state hash after each of them, 32 bytes each. */
  readonly stateHashes: Uint8Array;
  readonly seq: number;
}

/** What a table was when it was put away. */
export interface TableRest {
  readonly term: bigint;
  readonly index: bigint;
  readonly head: Omit<TableHead, 'stateHash'>;
  /** Each key once, with the change that made it so. */
  readonly facts: Iterable<Fact & { readonly seq: number }>;
  /** How many there are. */
  readonly count: number;
  /** The orders open on each key, as they were opened. */
  readonly open: Iterable<{ readonly key: Uint8Array; readonly orders: readonly string[] }>;
}

/** Collects what a record changes. */
class Changes {
  readonly #facts: Uint8Array[] = [];
  readonly #stateHashes: Uint8Array[] = [];

  add(fact: Uint8Array | undefined, table: FactTable): void {
    if (fact === undefined) return;
    this.#facts.push(fact.slice());
    this.#stateHashes.push(table.stateHash());
  }

  finish(seq: number): Applied {
    return { facts: concat(this.#facts, FACT_BYTES), stateHashes: concat(this.#stateHashes, STATE_HASH_BYTES), seq };
  }
}

function concat(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(parts.length * size);
  parts.forEach((part, i) => bytes.set(part, i * size));
  return bytes;
}

export class RevocationTable implements FactSource {
  /** What guards hold. To be changed by `apply` alone. */
  readonly facts: FactTable;
  readonly orders = new OpenOrders();
  readonly #canary: Uint8Array;
  #term = 0n;
  #index = -1n;

  /** An empty table, at term 0. @param canaryKey of `deriveCanaryKey`. @param facts none yet. */
  constructor(hasher: Hasher, canaryKey: Uint8Array, facts = new FactTable(hasher)) {
    this.facts = facts;
    this.#canary = new Uint8Array(canaryKey);
  }

  /** A table that goes on from what another was. The state hash of its head tells whether its facts are all there. */
  static restore(hasher: Hasher, canaryKey: Uint8Array, rest: TableRest): RevocationTable {
    const facts = FactTable.restore(hasher, rest.head, rest.facts, rest.count);
    const table = new RevocationTable(hasher, canaryKey, facts);
    for (const { key, orders } of rest.open) for (const order of orders) table.orders.open(key, 0, order);
    table.#term = rest.term;
    table.#index = rest.index;
    return table;
  }

  /** The greatest term seen. */
  get term(): bigint {
    return this.#term;
  }

  /** Index of the last record that was applied or ignored; −1: none. */
  get index(): bigint {
    return this.#index;
  }

  /** How many parts were applied: the canary's cutoff. */
  get parts(): number {
    return Math.max(0, this.#cutoffOf(this.#canary, 0));
  }

  get seq(): number {
    return this.facts.seq;
  }

  head(): TableHead {
    return this.facts.head();
  }

  find(bytes: Uint8Array, at = 0): number {
    return this.facts.find(bytes, at);
  }

  isBlocked(slot: number): boolean {
    return this.facts.isBlocked(slot);
  }

  cutoffUs(slot: number): number {
    return this.facts.cutoffUs(slot);
  }

  seqAt(slot: number): number {
    return this.facts.seqAt(slot);
  }

  /** The order that is open longest on the key. */
  orderOf(key: Uint8Array): string | undefined {
    return this.orders.of(key)[0];
  }

  /**
   * Folds one record.
   * @param index of its entry in the lifecycle log; one that is not behind the last is a redelivery and ignored.
   * @returns undefined where the record counts for nothing: redelivered, or of a lower term than was seen before.
   */
  apply(index: bigint, part: Part): Applied | undefined {
    if (index <= this.#index) return undefined;
    this.#index = index;
    if (part.term < this.#term) return undefined;
    this.#term = part.term;
    const changes = new Changes();
    if (part.changes !== undefined) {
      for (const change of part.changes) this.#applyChange(change, changes);
      this.#put(this.#canary, 0, false, this.parts + 1, changes);
    }
    return changes.finish(this.seq);
  }

  /**
   * Says how stale a table may be where a tool is called. It is no part: the canary stays where it is.
   * @param index of the entry that says so; one that is not behind the last is a redelivery and ignored.
   * @param key of the type `staleness`
   * @param stalenessUs undefined: as where nothing is said.
   */
  setStaleness(index: bigint, key: Uint8Array, stalenessUs: number | undefined): Applied | undefined {
    if (index <= this.#index) return undefined;
    this.#index = index;
    const said = stalenessUs === undefined ? {} : { stalenessUs };
    const changes = new Changes();
    changes.add(this.facts.putFact({ key, blocked: false, cutoffUs: undefined, ...said }), this.facts);
    return changes.finish(this.seq);
  }

  #applyChange(change: Change, changes: Changes): void {
    const { keys } = change;
    for (let at = 0; at < keys.length; at += KEY_BYTES) {
      if (equalBytes(keys.subarray(at, at + KEY_BYTES), this.#canary)) continue;
      const cutoffUs = this.#cutoffOf(keys, at);
      switch (change.change) {
        case 'block':
          if (this.orders.open(keys, at, change.order)) this.#put(keys, at, true, cutoffUs, changes);
          break;
        case 'lift':
          if (!this.orders.close(keys, at, change.order)) break;
          this.#put(keys, at, this.orders.has(keys, at), Math.max(cutoffUs, change.atUs), changes);
          break;
        case 'cutoff':
          this.#put(keys, at, this.orders.has(keys, at), Math.max(cutoffUs, change.atUs), changes);
          break;
        case 'expire':
          this.orders.forget(keys, at);
          this.#put(keys, at, false, -Infinity, changes);
          break;
      }
    }
  }

  #put(keys: Uint8Array, at: number, blocked: boolean, cutoffUs: number, changes: Changes): void {
    changes.add(this.facts.put(keys, at, blocked, cutoffUs === -Infinity ? undefined : cutoffUs), this.facts);
  }

  #cutoffOf(keys: Uint8Array, at: number): number {
    const slot = this.facts.find(keys, at);
    return slot < 0 ? -Infinity : this.facts.cutoffUs(slot);
  }
}
