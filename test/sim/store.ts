/**
 * The database as a model: lifecycle as it is committed, the table that is folded from it, cases, acks, and who was leased when. Whoever is connected sees the primary, or
 * what a replica had when it was cut off; only a primary takes what is written, and so only a primary says how far lifecycle is committed.
 */
import { KeelsonError } from '../../src/core/error.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import type { FeedStore } from '../../src/feed/store.js';
import { equalBytes, formatBase64, formatHex } from '../../src/core/bytes.js';
import { parseAck } from '../../src/protocol/ack.js';
import type { KeyType } from '../../src/protocol/keys.js';
import type { EntryRef } from '../../src/protocol/certificate.js';
import type { Change } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';
import type { CaseInstance, OpenCase } from '../../src/revocation/cases/standing.js';
import { FENCED_AFTER_US } from '../../src/revocation/cases/standing.js';
import type { Happened } from './happened.js';
import { ModelLedger, orderOf, type OrderRecords } from './ledger.js';
import { EPOCH_US } from './machine.js';
import { CANARY_KEY, keyOf } from './names.js';
import type { Entry, Said } from './world.js';

export type Folded = Awaited<ReturnType<FeedStore['folded']>>;

/** A lease is noted where what is noted is older, and the database's clock is right to so much: src/feed/leases.ts. */
const NOTED_EVERY_US = 20_000_000;
const CLOCK_US = 10_000_000;

/** A case, and when its last part was committed, by true time. */
export interface ModelCase extends OpenCase {
  readonly cause: string;
  readonly records: OrderRecords;
  /** Who joined behind no more entries than this, joined before it. */
  readonly joinedBefore: number;
  readonly committedUs: number;
  isClosed: boolean;
}

interface LastAck {
  readonly seq: number;
  readonly hash: string;
  readonly keyTypes: KeyType[];
  readonly ref: EntryRef;
  /** When it was committed. */
  readonly atUs: number;
}

/** The instance in an ack. */
const nameIn = (ack: Uint8Array): Uint8Array => parseAck(ack).instance;

const POINT = 'gateway';
const NOTHING_FOLDED: Folded = { size: 0n, seq: 0, chainHash: new Uint8Array(32) };

export class ModelStore {
  readonly entries: Entry[] = [];
  readonly #ids = new Set<string>();
  readonly #table = new RevocationTable(hasher, CANARY_KEY);
  readonly #changes: Uint8Array[] = [];
  /** After each entry. */
  readonly #folds: Folded[] = [];
  /** When each entry was committed. */
  readonly #committedUs: number[] = [];
  /** State hashes by seq, hex. */
  readonly #hashes = ['0'.repeat(64)];
  readonly cases = new Map<string, ModelCase>();
  /** The records of each order, by its cause. */
  readonly #records = new Map<string, OrderRecords>();
  /** Committed acks, each with its entry, and how many of them are folded. */
  readonly #acks: { readonly bytes: Uint8Array; readonly ref: EntryRef; readonly atUs: number }[] = [];
  #ackSize = 0;
  /** Who joined: behind how many entries of lifecycle, and by which of the ledger's. */
  readonly #joined = new Map<string, { readonly index: bigint; readonly enrolled: number }>();
  readonly #lastAcks = new Map<string, LastAck>();
  /** Decisions that can be searched through. */
  searched = 0;
  readonly #leasedUs = new Map<string, number>();
  /** By how much the database's clock is wrong. */
  clockErrorUs = 0;

  readonly ledger: ModelLedger;

  constructor(
    private readonly nowUs: () => number,
    private readonly happened: Happened,
  ) {
    this.ledger = new ModelLedger(nowUs);
  }

  /** Appends an entry; false where it is there. */
  commit(entry: Entry): boolean {
    if (this.#ids.has(entry.id)) return false;
    this.#ids.add(entry.id);
    this.entries.push(entry);
    this.#committedUs.push(this.nowUs());
    if ('said' in entry && entry.said !== undefined) {
      this.#records.set(entry.id, this.ledger.order(entry.id, entry.term, entry.said.flatMap(changesOf)));
    }
    return true;
  }

  join(instance: string): void {
    const { publicKey } = this.happened.life(instance);
    const { index } = this.ledger.join(POINT, instance, publicKey);
    this.#joined.set(instance, { index: BigInt(this.entries.length), enrolled: index });
  }

  /** The entry in lifecycle with which an instance joined. */
  enrolledAt(instance: string): number | undefined {
    return this.#joined.get(instance)?.enrolled;
  }

  /** An ack is committed; its signature was checked. */
  commitAck(bytes: Uint8Array): void {
    // Another instance's is often collected with it, and again.
    const others = this.#acks.slice(-1).filter((one) => !equalBytes(nameIn(one.bytes), nameIn(bytes)));
    const acks = formatBase64(Buffer.concat([...others.map((one) => one.bytes), bytes]));
    const ref = this.ledger.add('activity', 'ack.collected', `acks ${this.#acks.length}`, { acks });
    this.#acks.push({ bytes, ref, atUs: this.nowUs() });
  }

  /** Folds what is committed; that the table lags behind is nothing unusual. */
  fold(): void {
    this.entries.slice(this.#folds.length).forEach((entry) => this.#apply(this.#folds.length, entry));
    for (; this.#ackSize < this.#acks.length; this.#ackSize++) {
      const { bytes, ref, atUs } = this.#acks[this.#ackSize]!;
      const { instance, seq, stateHash, keyTypes } = parseAck(bytes);
      const name = formatHex(instance);
      if (seq <= (this.#lastAcks.get(name)?.seq ?? -1)) continue;
      const hash = formatHex(stateHash);
      this.#lastAcks.set(name, { seq, hash, keyTypes: [...keyTypes], ref, atUs });
      if (hash === this.#hashes[seq]) this.happened.life(name).readable.push({ seq, sinceUs: this.nowUs() });
    }
    this.searched = this.ledger.size('decisions');
  }

  /** @internal */
  instances(): CaseInstance[] {
    return [...this.#joined].map(([instance, { index: joinedIndex }]) => {
      const { failOpen, retired } = this.happened.life(instance);
      const ack = this.#lastAcks.get(instance);
      const known = ack && this.#hashes[ack.seq];
      return {
        instance,
        point: POINT,
        joinedIndex,
        retired,
        quarantined: false,
        failOpen,
        leasesEndUs: Infinity,
        ack: ack && {
          ...{ seq: ack.seq, keyTypes: ack.keyTypes, mappingHash: '' },
          ...{ log: ack.ref.log, index: BigInt(ack.ref.index), appendedUs: EPOCH_US + ack.atUs },
          isTrue: known === undefined ? undefined : known === ack.hash,
        },
      };
    });
  }

  /** @internal Instances get leases by a read that begins now. */
  noteLeases(instances: readonly string[]): void {
    const clockUs = this.nowUs() + this.clockErrorUs;
    for (const one of instances) {
      const notedUs = this.#leasedUs.get(one);
      if (notedUs === undefined || notedUs < clockUs - NOTED_EVERY_US) this.#leasedUs.set(one, clockUs);
    }
  }

  /** @internal */
  leasesEndUs(instances: readonly string[]): Map<string, number> {
    const laterUs = EPOCH_US + NOTED_EVERY_US + CLOCK_US + FENCED_AFTER_US;
    return new Map(instances.map((one) => [one, (this.#leasedUs.get(one) ?? -Infinity) + laterUs]));
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
    for (let from = 0; from < (applied?.stateHashes.length ?? 0); from += 32) {
      this.#hashes.push(formatHex(applied!.stateHashes.subarray(from, from + 32)));
    }
    const { seq, chainHash } = this.#table.head();
    this.#folds.push({ size: BigInt(index + 1), seq, chainHash });
    if (applied === undefined || !('said' in entry) || entry.said === undefined) return;
    const keyTypes = [
      ...new Set(entry.said.flatMap(({ names }) => names.map((name) => name.split('/')[0] as KeyType))),
    ];
    const committedUs = this.#committedUs[index]!;
    // A point that can only be signalled comes and goes.
    const signalled = index % 8 === 0 ? ['crm'] : [];
    const evidence = {
      index: at,
      orderedUs: EPOCH_US + committedUs,
      committedUs,
      incomplete: [],
      signalled,
      contradictions: [],
    };
    const order = orderOf(entry.id);
    const records = this.#records.get(entry.id)!;
    const model = { cause: entry.id, records, joinedBefore: index, isClosed: false };
    this.cases.set(order, { order, seq, keyTypes, ...evidence, ...model });
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

  /**
   * @param instances who get leases by it
   * @throws KeelsonError `database_unavailable`: nobody answers, or who answers may not write.
   */
  readSize(instances: readonly string[]): bigint {
    this.#reach();
    if (this.#replica !== undefined) {
      throw new KeelsonError('database_unavailable', 'cannot execute an insert in a read-only transaction');
    }
    this.#store.noteLeases(instances);
    return BigInt(this.#store.entries.length);
  }

  /** @throws KeelsonError `database_unavailable` */
  openCases(): ModelCase[] {
    this.#reach();
    return [...this.#store.cases.values()].filter(({ isClosed }) => !isClosed);
  }

  /** @throws KeelsonError `database_unavailable` */
  instances(): CaseInstance[] {
    this.#reach();
    return this.#store.instances();
  }

  /** @throws KeelsonError `database_unavailable` */
  leasesEndUs(instances: readonly string[]): Map<string, number> {
    this.#reach();
    return this.#store.leasesEndUs(instances);
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

/** What happens to each key. */
const changesOf = (said: Said): { readonly type: KeyType; readonly change: Change }[] =>
  said.names.map((name) => ({ type: name.split('/')[0] as KeyType, change: changeOf({ ...said, names: [name] }) }));

const orderId = (order: string): string => order.padStart(32, '0');
