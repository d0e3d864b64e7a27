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
import { DIGEST_BYTES, findRecords } from '../eventlog/pack.js';
import type { Message } from '../eventlog/port.js';
import { Duplicates, WINDOW_US, type ReadSlots } from './duplicates.js';
import { DEDUPE_AT, DEDUPE_BYTES, FINGERPRINT_AT, RECORD_BYTES_MIN, type LogRecords } from './log-records.js';
import type { Log } from './log.js';
import type { Page } from './page.js';
import { PageWriter } from './page-writer.js';
import { SlotWriter } from './slots.js';
import type { LedgerStore, LogState, Refusal, Sealing } from './store.js';
import type { Work } from './work-queue.js';

/** Records between two turns of the event loop: slices that are full are sent, and others get their turn. */
const TURN_RECORDS = 256;

/** A batch laid out: what to seal it with, and its pages as they were written. */
export interface Plan {
  readonly sealing: Sealing;
  readonly pages: readonly Page[];
}

interface ParsedMessage {
  readonly message: Message;
  /** Start and end of each record in the pack, and the fingerprint of its key. None where the pack is malformed. */
  readonly bounds: Int32Array;
  readonly fingerprints: Uint32Array;
}

/** Where the append time stands in an entry's header, 8 bytes. */
const TIME_AT = 2;

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
    const held: number[] = [];
    const parsed = work.messages.map((message) => this.#parse(message, held));
    await this.duplicates.prepare(held, committed);

    const from = { size: this.#frontier.size, root: this.#root, nextOffset: this.#nextOffset };
    const bytes = work.messages.reduce((sum, { pack }) => sum + pack.length, 0);
    const batch = new Batch(Number(from.size), new PageWriter(this.log.id, Number(from.size), bytes, write));
    let taken = 0;
    for (const { message, bounds, fingerprints } of parsed) {
      if (message.appendedAtUs > this.#greatestUs) this.#greatestUs = message.appendedAtUs;
      const header = new Uint8Array(ENTRY_HEADER_BYTES);
      encodeEntryHeader(header, 0, headerOf(this.log, message, 0));
      if (bounds.length === 0) this.#refuse(batch, message, 0, 'malformed_pack', 0, message.pack.length);
      for (let place = 0; place < fingerprints.length; place++) {
        this.#take(batch, message, header, place, bounds[2 * place]!, bounds[2 * place + 1]!, fingerprints[place]!);
        if (++taken % TURN_RECORDS === 0) await new Promise((resolve) => setImmediate(resolve));
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

  /** @param held takes the fingerprints of keys that an entry may hold already */
  #parse(message: Message, held: number[]): ParsedMessage {
    const { pack } = message;
    const bounds = boundsOf(pack);
    const fingerprints = new Uint32Array(bounds.length / 2);
    for (let place = 0; place < fingerprints.length; place++) {
      const start = bounds[2 * place]!;
      if (!isRecord(pack, start, bounds[2 * place + 1]!)) continue;
      const fingerprint = this.duplicates.fingerprintOf(pack, start + DEDUPE_AT);
      fingerprints[place] = fingerprint;
      if (this.duplicates.mayHold(fingerprint)) held.push(fingerprint);
    }
    return { message, bounds, fingerprints };
  }

  /** Takes the record at `pack[start, end)` of the message. */
  #take(
    batch: Batch,
    message: Message,
    header: Uint8Array,
    place: number,
    start: number,
    end: number,
    fingerprint: number,
  ): void {
    const { pack } = message;
    if (!isRecord(pack, start, end)) return this.#refuse(batch, message, place, 'malformed_record', start, end);
    if (!hasFingerprint(pack, start, this.#recent)) {
      const known = this.#knownFingerprint(pack, start);
      if (!known) return this.#refuse(batch, message, place, 'unknown_schema', start, end);
      this.#recent = known;
    }
    const keyAt = start + DEDUPE_AT;
    const digestAt = start - DIGEST_BYTES;
    let described: Uint8Array | undefined;
    if (this.#recent === this.kinds.openedFingerprint) {
      if (this.#opened) return;
      this.#opened = true;
    } else if (this.#recent === this.kinds.schemaFingerprint) {
      described = this.#describe(pack.subarray(start, end));
      if (!described) return this.#refuse(batch, message, place, 'malformed_record', start, end);
      if (this.#schemas.some((schema) => Buffer.compare(schema, described!) === 0)) return;
    } else if (this.duplicates.mayHold(fingerprint)) {
      const claim = { bytes: pack, keyAt, digestAt, fingerprint };
      const verdict = this.duplicates.judge(claim, this.#greatestUs, batch.slots, batch.first);
      if (verdict === 'repeat') return;
      if (verdict === 'conflict') return this.#refuse(batch, message, place, 'conflict', start, end);
    }
    const index = this.#append(batch, header, place, pack, start, end);
    if (described) {
      this.#schemas.push(described);
      batch.schemas.push({ fingerprint: described, index });
    }
    batch.slots.claim(pack, keyAt, digestAt, header, TIME_AT, this.#greatestUs);
    this.duplicates.claim(fingerprint, index, this.#greatestUs);
  }

  #append(batch: Batch, header: Uint8Array, place: number, pack: Uint8Array, start: number, end: number): number {
    const index = batch.pages.nextIndex;
    const length = ENTRY_HEADER_BYTES + end - start;
    const at = batch.pages.reserve(length);
    const { buffer } = batch.pages;
    for (let i = 0; i < ENTRY_HEADER_BYTES; i++) buffer[at + i] = header[i]!;
    setEntryPlace(buffer, at, place);
    buffer.set(new Uint8Array(pack.buffer, pack.byteOffset + start, end - start), at + ENTRY_HEADER_BYTES);
    this.#frontier.appendEntry(buffer, at, at + length);
    return index;
  }

  /** Refuses what stands at `pack[start, end)`: a record, or the whole pack. */
  #refuse(batch: Batch, message: Message, place: number, reason: RefusalReason, start: number, end: number): void {
    const bytes = message.pack.subarray(start, end);
    const hasKey = reason !== 'malformed_pack' && isRecord(message.pack, start, end);
    const dedupe = hasKey ? bytes.subarray(DEDUPE_AT, DEDUPE_AT + DEDUPE_BYTES) : new Uint8Array(DEDUPE_BYTES);
    const { appendedAtUs, partition, offset } = headerOf(this.log, message, place);
    const refused = { appendedAtUs, partition, offset, place, sha256: sha256(this.hasher, bytes), dedupe, reason };
    const entry = encodeRefusedEntry(refused);
    batch.refused.push({ index: batch.pages.nextIndex, reason, bytes });
    const at = batch.pages.reserve(entry.length);
    batch.pages.buffer.set(entry, at);
    this.#frontier.appendEntry(batch.pages.buffer, at, at + entry.length);
    batch.slots.skip(this.#greatestUs);
  }

  #knownFingerprint(pack: Uint8Array, start: number): Uint8Array | undefined {
    const { openedFingerprint, schemaFingerprint } = this.kinds;
    return [openedFingerprint, schemaFingerprint, ...this.#schemas].find((known) => hasFingerprint(pack, start, known));
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

/** Where the records of a pack stand; nowhere in one that is malformed. */
function boundsOf(pack: Uint8Array): Int32Array {
  try {
    return findRecords(pack);
  } catch (error) {
    if (error instanceof KeelsonError && error.code === 'malformed_pack') return new Int32Array(0);
    throw error;
  }
}

const isRecord = (pack: Uint8Array, start: number, end: number): boolean =>
  end - start >= RECORD_BYTES_MIN && pack[start] === 0xc3 && pack[start + 1] === 0x01;

function hasFingerprint(pack: Uint8Array, start: number, fingerprint: Uint8Array): boolean {
  for (let i = 0; i < 8; i++) if (pack[start + FINGERPRINT_AT + i] !== fingerprint[i]) return false;
  return true;
}
