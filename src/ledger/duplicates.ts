import { Fingerprints } from './fingerprints.js';
import {
  slotHasDigest,
  slotHasKey,
  slotIsClaimed,
  SLOT_BYTES,
  slotTimeUs,
  type SlotRow,
  type SlotWriter,
} from './slots.js';

/** A key is a duplicate while the log's greatest append time is at most this far past its first entry's. */
export const WINDOW_US = 7n * 24n * 3600n * 1_000_000n;

/** Reads the slots of committed entries. Indexes whose row was dropped are missing from the answer. */
export type ReadSlots = (indexes: readonly number[]) => Promise<ReadonlyMap<number, Uint8Array>>;

export type Verdict = 'new' | 'repeat' | 'conflict';

/** A record's key and content digest as they stand in its pack, and the key's fingerprint. */
export interface Claim {
  readonly bytes: Uint8Array;
  readonly keyAt: number;
  readonly digestAt: number;
  readonly fingerprint: number;
}

/**
 * Tells repeats and conflicts. A pure function of the log's entries: the key belongs to the last entry that claimed it, and
 * is forgotten once the log's greatest append time is more than seven days past that entry's. Fingerprints answer nearly
 * always; the truth of a match stands in the batches not yet committed, or in the database.
 */
export class Duplicates {
  readonly #table: Fingerprints;
  readonly #read: ReadSlots;
  #uncommitted: SlotRow[] = [];
  #truth: ReadonlyMap<number, Uint8Array> = new Map();
  /** Where the window began at each of the last commits, to let go of old fingerprints when the table grows. */
  #marks: { index: number; greatestUs: bigint }[] = [];
  #floorIndex = 0;

  constructor(base: number, expected: number, read: ReadSlots) {
    this.#table = new Fingerprints(base, expected);
    this.#read = read;
  }

  get count(): number {
    return this.#table.count;
  }

  /** Takes a row the database holds. Rows come in order. */
  load(row: SlotRow): void {
    for (let i = 0; i < row.count; i++) {
      const at = i * SLOT_BYTES;
      if (slotIsClaimed(row.slots, at)) this.#table.insert(this.#table.of(row.slots, at), row.firstIndex + i);
    }
    this.#mark(row);
  }

  /** The fingerprint of the key of 16 bytes at `at`. */
  fingerprintOf(bytes: Uint8Array, at: number): number {
    return this.#table.of(bytes, at);
  }

  /** Whether an entry may hold a key of this fingerprint. */
  mayHold(fingerprint: number): boolean {
    return this.#table.has(fingerprint);
  }

  /** Before a batch: reads the truth, in one go, of what its keys will ask for: the entries below `committed` that may hold one. */
  async prepare(held: readonly number[], committed: number): Promise<void> {
    this.#uncommitted = this.#uncommitted.filter((row) => row.firstIndex >= committed);
    const wanted = new Set<number>();
    for (const fingerprint of held) {
      for (const position of this.#table.positions(fingerprint)) if (position < committed) wanted.add(position);
    }
    this.#truth = wanted.size === 0 ? new Map() : await this.#read([...wanted]);
  }

  /**
   * What a key is at this point of the log. `batch` holds the slots of the batch so far, whose first entry is `first`.
   * @param greatestUs the log's greatest append time, this record's included
   */
  judge({ bytes, keyAt, digestAt, fingerprint }: Claim, greatestUs: bigint, batch: SlotWriter, first: number): Verdict {
    for (const position of this.#table.positions(fingerprint)) {
      const slot =
        position >= first ? batch.slotOf(position) : (this.#truth.get(position) ?? this.#uncommittedSlot(position));
      if (slot === undefined || !slotHasKey(slot, bytes, keyAt)) continue;
      if (greatestUs - slotTimeUs(slot) > WINDOW_US) return 'new';
      return slotHasDigest(slot, bytes, digestAt) ? 'repeat' : 'conflict';
    }
    return 'new';
  }

  /** The key of this fingerprint now belongs to the entry at `index`. */
  claim(fingerprint: number, index: number, greatestUs: bigint): void {
    this.#table.insert(fingerprint, index, this.#floor(greatestUs));
  }

  /** A batch was planned; until it is committed its slots are looked up here. */
  planned(rows: readonly SlotRow[]): void {
    this.#uncommitted.push(...rows);
    for (const row of rows) this.#mark(row);
  }

  #uncommittedSlot(index: number): Uint8Array | undefined {
    const row = this.#uncommitted.find(({ firstIndex, count }) => index >= firstIndex && index < firstIndex + count);
    if (row === undefined) return undefined;
    const at = (index - row.firstIndex) * SLOT_BYTES;
    return row.slots.subarray(at, at + SLOT_BYTES);
  }

  #mark(row: SlotRow): void {
    const last = this.#marks.at(-1);
    const index = row.firstIndex + row.count;
    // One mark an hour of append time is enough to forget by.
    if (last === undefined || row.greatestUs - last.greatestUs > 3_600_000_000n) {
      this.#marks.push({ index, greatestUs: row.greatestUs });
    } else last.index = index;
  }

  /** Every entry below the answer is past the window. */
  #floor(greatestUs: bigint): number {
    while (this.#marks.length > 1 && this.#marks[1]!.greatestUs < greatestUs - WINDOW_US) {
      this.#floorIndex = this.#marks.shift()!.index;
    }
    return this.#floorIndex;
  }
}
