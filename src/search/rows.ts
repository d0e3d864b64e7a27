/** Facts to rows: names become integers, things 16 bytes, and a batch one buffer in PostgreSQL's binary COPY format. */
import type { ClientBase } from 'pg';
import { equalBytes } from './byte-hash.js';
import { writeThingKey, type NameKind, type ThingKind } from './keys.js';
import type { Dictionary } from './names.js';
import { VALUE, type Places, type RecordFacts } from './record-facts.js';
import type { Tally } from './tally.js';
import type { ThingKeys } from './thing-keys.js';

/**
 * Names of one row at most: a row has to fit a database page. Far above what a person or a policy engine writes; of a record
 * that names more, the first thousand are found.
 */
const NAMES_MAX = 1_000;

/** Binary COPY: field count, then length and bytes of each. Without `keys`' elements, and with everything else present. */
const ROW_BYTES_MAX = 2 + 3 * (4 + 8) + (4 + 16) + (4 + 2) + (4 + 8) + 5 * (4 + 16) + (4 + 20);
const KEY_BYTES = 8;
const FIELDS = 12;
const INT4_OID = 23;
const NULL = -1;

const TOKENS = [VALUE.jti, VALUE.digest] as const;
const SESSIONS = [VALUE.contextSession, VALUE.session, VALUE.ssoSession] as const;

/** A name that had no integer when its row was written. */
interface Late {
  /** Its place in `#keys`, and in `#bytes`. */
  readonly key: number;
  readonly at: number;
}

/** Rows of a batch, as COPY sends them to a part; they may be split over parts. One of it serves batch after batch. */
export class RowBatch {
  #bytes: Buffer = Buffer.allocUnsafeSlow(ROW_BYTES_MAX);
  #view = viewOf(this.#bytes);
  #at = 0;
  /** Where each row ends, in `#bytes` and in `#keys`. */
  readonly #ends: number[] = [];
  readonly #keyEnds: number[] = [];
  #keys = new Int32Array(4096);
  #keyCount = 0;
  readonly #late: Late[] = [];
  readonly #linked: (readonly Buffer[])[] = [];

  constructor(
    private readonly dictionary: Dictionary,
    private readonly things: ThingKeys,
  ) {}

  /** Forgets its rows. What `slice` gave must have been sent. */
  clear(): void {
    this.#at = 0;
    this.#keyCount = 0;
    for (const list of [this.#ends, this.#keyEnds, this.#late, this.#linked]) list.length = 0;
  }

  get count(): number {
    return this.#ends.length;
  }

  /** Pseudonyms that an entry says are one person's. */
  get linked(): readonly (readonly Buffer[])[] {
    return this.#linked;
  }

  link(subjects: readonly Buffer[]): void {
    this.#linked.push(subjects);
  }

  /**
   * Adds the row of an entry.
   * @param log the log's id in the ledger (a smallint); @param index below 2^53
   * @param time its append time, microseconds since 1970: 8 bytes at `timeAt`, big-endian
   */
  add(log: number, index: number, time: Buffer, timeAt: number, facts: RecordFacts): void {
    const firstKey = this.#keyCount;
    this.#addNames(facts);
    const names = this.#keyCount - firstKey;
    this.#makeRoom(ROW_BYTES_MAX + names * KEY_BYTES);
    const view = this.#view;
    let at = this.#at;
    view.setInt16(at, FIELDS);
    view.setInt32(at + 2, 8);
    view.setInt32(at + 6, time.readInt32BE(timeAt));
    view.setInt32(at + 10, time.readInt32BE(timeAt + 4));
    view.setInt32(at + 14, 8);
    view.setInt32(at + 18, Math.floor(index / 0x100000000));
    view.setInt32(at + 22, index | 0);
    view.setInt32(at + 26, 8);
    view.setInt32(at + 30, facts.occurredHigh);
    view.setInt32(at + 34, facts.occurredLow);
    at = this.#writeEvent(at + 38, facts.values);
    view.setInt32(at, 2);
    view.setInt16(at + 4, log);
    at += 6;
    if (facts.hasRisk) {
      view.setInt32(at, 8);
      view.setFloat64(at + 4, facts.risk);
      at += 12;
    } else at = this.#writeNull(at);
    at = this.#writeThings(at, 'token', facts.values, TOKENS);
    at = this.#writeThings(at, 'session', facts.values, SESSIONS);
    const task = facts.values.has(VALUE.purposeTask) ? VALUE.purposeTask : VALUE.task;
    at = facts.values.has(task) ? this.#writeThing(at, 'task', facts.values, task) : this.#writeNull(at);
    this.#at = this.#writeKeys(at, firstKey, names);
    this.#ends.push(this.#at);
    this.#keyEnds.push(this.#keyCount);
  }

  /** Gives names that are new their integers, in `tx`. Rows can be taken from then on. */
  async finish(tx: ClientBase): Promise<void> {
    const ids = await this.dictionary.resolve(tx);
    for (const { key, at } of this.#late.splice(0)) {
      const id = ids[-1 - this.#keys[key]!]!;
      this.#keys[key] = id;
      this.#view.setInt32(at, id);
    }
  }

  /** The bytes of rows `[from, to)`. */
  slice(from: number, to: number): Buffer {
    return this.#bytes.subarray(from === 0 ? 0 : this.#ends[from - 1], this.#ends[to - 1]);
  }

  /** Counts the names of rows `[from, to)`. */
  tally(from: number, to: number, tally: Tally): void {
    const end = this.#keyEnds[to - 1]!;
    for (let i = from === 0 ? 0 : this.#keyEnds[from - 1]!; i < end; i++) tally.add(this.#keys[i]!);
  }

  #addNames({ values, hops, persons, bundles }: RecordFacts): void {
    const first = this.#keyCount;
    this.#addValue(first, 'type', values, VALUE.type);
    this.#addValue(first, 'producer', values, values.has(VALUE.sender) ? VALUE.sender : VALUE.producer);
    this.#addValue(first, 'agent', values, VALUE.agent);
    this.#addValue(first, 'agent', values, VALUE.fromAgent);
    this.#addValue(first, 'agent', values, VALUE.toAgent);
    for (let i = 0; i < hops.count; i++) this.#addValue(first, 'agent', hops, i);
    this.#addValue(first, 'tool', values, VALUE.tool);
    this.#addValue(first, 'decision', values, VALUE.decision);
    const environment = values.has(VALUE.contextEnvironment) ? VALUE.contextEnvironment : VALUE.environment;
    this.#addValue(first, 'environment', values, environment);
    for (let i = 0; i < persons.count; i++) this.#addValue(first, 'principal', persons, i);
    this.#addValue(first, 'policy', values, VALUE.policyVersion);
    this.#addValue(first, 'policy', values, VALUE.policyRevision);
    for (let i = 0; i < bundles.count; i++) this.#addValue(first, 'policy', bundles, i);
  }

  /** Adds the integer of a name, where there is one, to the row whose names begin at `first`; each once. */
  #addValue(first: number, kind: NameKind, places: Places, place: number): void {
    if (!places.has(place) || this.#keyCount - first >= NAMES_MAX) return;
    const id = this.dictionary.idOf(kind, places.sources[place]!, places.starts[place]!, places.ends[place]!);
    for (let i = first; i < this.#keyCount; i++) if (this.#keys[i] === id) return;
    if (this.#keyCount === this.#keys.length) {
      const grown = new Int32Array(this.#keyCount * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    this.#keys[this.#keyCount++] = id;
  }

  #writeEvent(at: number, values: Places): number {
    this.#view.setInt32(at, 16);
    const { starts, ends, sources } = values;
    // Not by way of `things`: an event does not come again.
    writeThingKey(this.#bytes, at + 4, 'event', sources[VALUE.event]!, starts[VALUE.event]!, ends[VALUE.event]!);
    return at + 20;
  }

  /** The first two things of these, each once. */
  #writeThings(at: number, kind: ThingKind, values: Places, places: readonly number[]): number {
    let written = 0;
    for (let i = 0; i < places.length && written < 2; i++) {
      const place = places[i]!;
      if (!values.has(place)) continue;
      this.#writeThing(at + written * 20, kind, values, place);
      if (written === 0 || !equalBytes(this.#bytes, at + 4, this.#bytes, at + 24, 16)) written++;
    }
    at += written * 20;
    for (; written < 2; written++) at = this.#writeNull(at);
    return at;
  }

  #writeThing(at: number, kind: ThingKind, values: Places, place: number): number {
    this.#view.setInt32(at, 16);
    this.things.write(this.#bytes, at + 4, kind, values.sources[place]!, values.starts[place]!, values.ends[place]!);
    return at + 20;
  }

  #writeNull(at: number): number {
    this.#view.setInt32(at, NULL);
    return at + 4;
  }

  /** An array: dimensions, flags, element type, its length and lower bound; then length and bytes of each element. */
  #writeKeys(at: number, first: number, count: number): number {
    const view = this.#view;
    view.setInt32(at, 20 + count * KEY_BYTES);
    view.setInt32(at + 4, 1);
    view.setInt32(at + 8, 0);
    view.setInt32(at + 12, INT4_OID);
    view.setInt32(at + 16, count);
    view.setInt32(at + 20, 1);
    at += 24;
    for (let i = first; i < first + count; i++) {
      view.setInt32(at, 4);
      view.setInt32(at + 4, this.#keys[i]!);
      if (this.#keys[i]! < 0) this.#late.push({ key: i, at: at + 4 });
      at += KEY_BYTES;
    }
    return at;
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + bytes, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
