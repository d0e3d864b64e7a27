import {
  encodeEntryHeader,
  encodeRefusedEntry,
  ENTRY_HEADER_BYTES,
  setEntryPlace,
  type RefusalReason,
} from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import { Frontier } from '../core/frontier.js';
import type { Hasher } from '../core/hasher.js';
import { digest as sha256 } from '../core/merkle.js';
import { readPack, type PackedRecord } from '../eventlog/pack.js';
import type { Message } from '../eventlog/port.js';
import { Duplicates, WINDOW_US, type Key, type ReadSlots } from './duplicates.js';
import { DEDUPE_AT, DEDUPE_BYTES, FINGERPRINT_AT, RECORD_BYTES_MIN, type LogRecords } from './log-records.js';
import type { Log } from './log.js';
import type { Page } from './page.js';
import { PageWriter } from './page-writer.js';
import { SlotWriter } from './slots.js';
import type { LedgerStore, LogState, Refusal, Sealing } from './store.js';
import type { Work } from './work-queue.js';

/** Records between two turns of the event loop: a slice is hashed, sent, and others get their turn. */
const SLICE_RECORDS = 256;

/** A batch laid out: what to seal it with, and its pages as they were written. */
export interface Plan {
  readonly sealing: Sealing;
  readonly pages: readonly Page[];
}

interface ParsedMessage {
  readonly message: Message;
  /** Undefined where the pack is malformed. */
  readonly records: readonly { readonly packed: PackedRecord; readonly key: Key | undefined }[] | undefined;
}

/**
 * Turns messages into entries, ahead of what is committed: the log's frontier, duplicates and schemas as they will be once
 * every batch planned so far commits. After any failure it is thrown away and another one opened on what the database holds.
 */
export class Planner {
  readonly #frontier: Frontier;
  readonly #schemas: Uint8Array[];
  #root: Uint8Array;
  #nextOffset: bigint;
  #last: LogState['last'];
  #greatestUs: bigint;
  #opened: boolean;
  /** The schema of the record before: nearly always this one's. */
  #recent: Uint8Array;

  private constructor(
    private readonly log: Log,
    private readonly hasher: Hasher,
    private readonly kinds: LogRecords,
    private readonly duplicates: Duplicates,
    state: LogState,
  ) {
    this.#frontier = Frontier.restore(hasher, state.size, state.partials);
    this.#root = this.#frontier.root();
    if (Buffer.compare(this.#root, state.root) !== 0) {
      const message = `${log.path}: tiles and entries do not lead to the root of checkpoint ${state.size}`;
      throw new KeelsonError('tampered', message, { log: log.path });
    }
    this.#schemas = [...state.schemas];
    this.#nextOffset = state.nextOffset;
    this.#last = state.last;
    this.#greatestUs = state.greatestUs;
    this.#opened = state.opened;
    this.#recent = kinds.openedFingerprint;
  }

  /** @throws KeelsonError `tampered` where what is stored does not lead to the stored root, or duplicate keys are gone. */
  static async open(
    store: LedgerStore,
    hasher: Hasher,
    kinds: LogRecords,
    log: Log,
    state: LogState,
  ): Promise<Planner> {
    const read: ReadSlots = (indexes) => store.readSlots(log, indexes);
    const size = Number(state.size);
    let duplicates: Duplicates | undefined;
    let next: number | undefined;
    for await (const row of store.loadSlots(log, state.greatestUs - WINDOW_US)) {
      // Every entry from here on has a slot. Rows are not kept: they weigh several times what the table does.
      duplicates ??= new Duplicates(row.firstIndex, size - row.firstIndex, read);
      next ??= row.firstIndex;
      if (row.firstIndex !== next) throw keysGone(log, next);
      next += row.count;
      duplicates.load(row);
    }
    // Another sequencer may have written more meanwhile; less can't be.
    if (next !== undefined && next < size) throw keysGone(log, next);
    duplicates ??= new Duplicates(size, 0, read);
    return new Planner(log, hasher, kinds, duplicates, state);
  }

  get size(): bigint {
    return this.#frontier.size;
  }

  get nextOffset(): bigint {
    return this.#nextOffset;
  }

  /** The log's greatest append time after each of `messages`, in order. */
  *greatestUsAlong(messages: readonly Message[]): Generator<bigint, void, undefined> {
    let greatestUs = this.#greatestUs;
    for (const { appendedAtUs } of messages) {
      if (appendedAtUs > greatestUs) greatestUs = appendedAtUs;
      yield greatestUs;
    }
  }

  /**
   * Plans the next batch; slices of its pages go to `write` while the rest is still being hashed.
   * @param committed how many entries the database surely holds
   */
  async plan(work: Work, committed: number, write: (slice: Uint8Array) => void): Promise<Plan> {
    if (work.from !== this.#nextOffset)
      throw new Error(`${this.log.path}: offset ${work.from} after ${this.#nextOffset}`);
    const parsed = work.messages.map((message) => this.#parse(message));
    await this.duplicates.prepare(keysOf(parsed), committed);

    const from = { size: this.#frontier.size, root: this.#root, nextOffset: this.#nextOffset };
    const bytes = work.messages.reduce((sum, { pack }) => sum + pack.length, 0);
    const batch = new Batch(Number(from.size), new PageWriter(this.log.id, Number(from.size), bytes, write));
    let taken = 0;
    for (const { message, records } of parsed) {
      if (message.appendedAtUs > this.#greatestUs) this.#greatestUs = message.appendedAtUs;
      const header = new Uint8Array(ENTRY_HEADER_BYTES);
      encodeEntryHeader(header, 0, headerOf(this.log, message, 0));
      if (!records) this.#refuse(batch, message, 0, 'malformed_pack', message.pack, undefined);
      for (const [place, { packed, key }] of records?.entries() ?? []) {
        this.#take(batch, message, header, place, packed, key);
        if (++taken % SLICE_RECORDS === 0) {
          batch.pages.flush();
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    }
    batch.pages.flush();
    return this.#finish(work, from, batch);
  }

  #finish(work: Work, from: Sealing['from'], batch: Batch): Plan {
    const slots = batch.slots.finish();
    this.duplicates.planned(slots);
    const last = work.messages.at(-1);
    if (last) this.#last = { offset: last.offset, hash: sha256(this.hasher, last.pack) };
    this.#root = this.#frontier.root();
    this.#nextOffset = work.to;
    const to = {
      size: this.#frontier.size,
      root: this.#root,
      nextOffset: work.to,
      last: this.#last,
      greatestUs: this.#greatestUs,
      opened: this.#opened,
    };
    const { refused, schemas } = batch;
    return {
      sealing: { log: this.log, from, to, tiles: this.#frontier.takeTiles(), slots, schemas, refused },
      pages: batch.pages.pages,
    };
  }

  #parse(message: Message): ParsedMessage {
    try {
      const records = [...readPack(message.pack)].map((packed) => ({
        packed,
        key: isRecord(packed.record) ? this.duplicates.keyOf(packed.record, DEDUPE_AT) : undefined,
      }));
      return { message, records };
    } catch (error) {
      if (error instanceof KeelsonError && error.code === 'malformed_pack') return { message, records: undefined };
      throw error;
    }
  }

  #take(
    batch: Batch,
    message: Message,
    header: Uint8Array,
    place: number,
    { record, digest }: PackedRecord,
    key: Key | undefined,
  ): void {
    if (!key) return this.#refuse(batch, message, place, 'malformed_record', record, undefined);
    if (!hasFingerprint(record, this.#recent)) {
      const known = this.#knownFingerprint(record);
      if (!known) return this.#refuse(batch, message, place, 'unknown_schema', record, key);
      this.#recent = known;
    }
    let described: Uint8Array | undefined;
    if (this.#recent === this.kinds.openedFingerprint) {
      if (this.#opened) return;
      this.#opened = true;
    } else if (this.#recent === this.kinds.schemaFingerprint) {
      described = this.#describe(record);
      if (!described) return this.#refuse(batch, message, place, 'malformed_record', record, key);
      if (this.#schemas.some((schema) => Buffer.compare(schema, described!) === 0)) return;
    } else {
      const verdict = this.duplicates.judge(key, digest, this.#greatestUs, batch.slots, batch.first);
      if (verdict === 'repeat') return;
      if (verdict === 'conflict') return this.#refuse(batch, message, place, 'conflict', record, key);
    }
    const index = this.#append(batch, header, place, record);
    if (described) {
      this.#schemas.push(described);
      batch.schemas.push({ fingerprint: described, index });
    }
    batch.slots.claim(record, DEDUPE_AT, digest, header.subarray(2, 10), this.#greatestUs);
    this.duplicates.claim(key, index, this.#greatestUs);
  }

  #append(batch: Batch, header: Uint8Array, place: number, record: Uint8Array): number {
    const index = batch.pages.nextIndex;
    const length = ENTRY_HEADER_BYTES + record.length;
    const at = batch.pages.reserve(length);
    const { buffer } = batch.pages;
    buffer.set(header, at);
    setEntryPlace(buffer, at, place);
    buffer.set(record, at + ENTRY_HEADER_BYTES);
    this.#frontier.appendEntry(buffer, at, at + length);
    return index;
  }

  #refuse(
    batch: Batch,
    message: Message,
    place: number,
    reason: RefusalReason,
    bytes: Uint8Array,
    key: Key | undefined,
  ): void {
    const dedupe = key ? bytes.subarray(DEDUPE_AT, DEDUPE_AT + DEDUPE_BYTES) : new Uint8Array(DEDUPE_BYTES);
    const { appendedAtUs, partition, offset } = headerOf(this.log, message, place);
    const refused = { appendedAtUs, partition, offset, place, sha256: sha256(this.hasher, bytes), dedupe, reason };
    const entry = encodeRefusedEntry(refused);
    batch.refused.push({ index: batch.pages.nextIndex, reason, bytes });
    const at = batch.pages.reserve(entry.length);
    batch.pages.buffer.set(entry, at);
    this.#frontier.appendEntry(batch.pages.buffer, at, at + entry.length);
    batch.slots.skip(this.#greatestUs);
  }

  #knownFingerprint(record: Uint8Array): Uint8Array | undefined {
    const { openedFingerprint, schemaFingerprint } = this.kinds;
    return [openedFingerprint, schemaFingerprint, ...this.#schemas].find((known) => hasFingerprint(record, known));
  }

  #describe(record: Uint8Array): Uint8Array | undefined {
    try {
      return this.kinds.describedFingerprint(record);
    } catch (error) {
      if (error instanceof KeelsonError) return undefined;
      throw error;
    }
  }
}

/** What one batch collects. */
class Batch {
  readonly slots: SlotWriter;
  readonly refused: Refusal[] = [];
  readonly schemas: { fingerprint: Uint8Array; index: number }[] = [];

  constructor(
    readonly first: number,
    readonly pages: PageWriter,
  ) {
    this.slots = new SlotWriter(first);
  }
}

const keysGone = (log: Log, index: number): KeelsonError =>
  new KeelsonError('tampered', `${log.path}: the duplicate key of entry ${index} is gone`, { log: log.path });

const headerOf = (log: Log, { appendedAtUs, offset }: Message, place: number) =>
  ({ kind: 'record', appendedAtUs, partition: log.at.partition, offset, place }) as const;

const isRecord = (record: Uint8Array): boolean =>
  record.length >= RECORD_BYTES_MIN && record[0] === 0xc3 && record[1] === 0x01;

function hasFingerprint(record: Uint8Array, fingerprint: Uint8Array): boolean {
  for (let i = 0; i < 8; i++) if (record[FINGERPRINT_AT + i] !== fingerprint[i]) return false;
  return true;
}

function* keysOf(parsed: readonly ParsedMessage[]): Generator<Key, void, undefined> {
  for (const { records } of parsed) for (const { key } of records ?? []) if (key) yield key;
}
