/**
 * Duplicate keys, 40 bytes an entry: dedupe key (16) ‖ content digest (16) ‖ append time (8). An entry that claims no key
 * (a refusal) has zeros. Rows of up to 200 stay inline in a page of the database.
 */
export const SLOT_BYTES = 40;
export const SLOTS_MAX = 200;
const DIGEST_AT = 16;
const TIME_AT = 32;

/** One row of `dedupe`: the slots of entries `firstIndex` … `firstIndex + count − 1`. */
export interface SlotRow {
  readonly firstIndex: number;
  readonly count: number;
  /** The log's greatest append time up to its last entry, microseconds since 1970. */
  readonly greatestUs: bigint;
  readonly slots: Uint8Array;
}

/** Whether the 16 bytes at `at` are those of the slot's key. */
export const slotHasKey = (slot: Uint8Array, bytes: Uint8Array, at: number): boolean => equalAt(slot, 0, bytes, at);

/** Whether the slot's entry had the content this digest stands for. */
export const slotHasDigest = (slot: Uint8Array, bytes: Uint8Array, at: number): boolean =>
  equalAt(slot, DIGEST_AT, bytes, at);

/** When the slot's entry was appended to the event log, microseconds since 1970. */
export const slotTimeUs = (slot: Uint8Array): bigint =>
  new DataView(slot.buffer, slot.byteOffset + TIME_AT, 8).getBigUint64(0);

/** Whether an entry claims a key in this slot. */
export function slotIsClaimed(slots: Uint8Array, at: number): boolean {
  for (let i = at; i < at + DIGEST_AT; i++) if (slots[i] !== 0) return true;
  return false;
}

/** Collects the slots of one batch, in order of their entries. */
export class SlotWriter {
  readonly #rows: SlotRow[] = [];
  readonly #first: number;
  #row = new Uint8Array(SLOT_BYTES * 8);
  #count = 0;
  #greatestUs = 0n;

  /** @param firstIndex of the batch's first entry */
  constructor(firstIndex: number) {
    this.#first = firstIndex;
  }

  get #rowIndex(): number {
    return this.#first + this.#rows.length * SLOTS_MAX;
  }

  /** The slot of the next entry, which holds a key. Its append time is 8 bytes of `header` at `timeAt`. */
  claim(
    bytes: Uint8Array,
    keyAt: number,
    digestAt: number,
    header: Uint8Array,
    timeAt: number,
    greatestUs: bigint,
  ): void {
    const at = this.#next(greatestUs);
    const row = this.#row;
    for (let i = 0; i < 16; i++) {
      row[at + i] = bytes[keyAt + i]!;
      row[at + DIGEST_AT + i] = bytes[digestAt + i]!;
    }
    for (let i = 0; i < 8; i++) row[at + TIME_AT + i] = header[timeAt + i]!;
    this.#close();
  }

  /** The slot of the next entry, which holds none. */
  skip(greatestUs: bigint): void {
    this.#next(greatestUs);
    this.#close();
  }

  /** The slot of an entry of this batch. */
  slotOf(index: number): Uint8Array {
    const row = this.#rows[Math.floor((index - this.#first) / SLOTS_MAX)]?.slots ?? this.#row;
    const at = ((index - this.#first) % SLOTS_MAX) * SLOT_BYTES;
    return row.subarray(at, at + SLOT_BYTES);
  }

  /** Everything collected; nothing may be added afterwards. */
  finish(): readonly SlotRow[] {
    if (this.#count > 0) this.#push();
    return this.#rows;
  }

  #next(greatestUs: bigint): number {
    const at = this.#count++ * SLOT_BYTES;
    if (at === this.#row.length) {
      const grown = new Uint8Array(Math.min(SLOTS_MAX * SLOT_BYTES, at * 5));
      grown.set(this.#row);
      this.#row = grown;
    }
    this.#greatestUs = greatestUs;
    return at;
  }

  #close(): void {
    if (this.#count === SLOTS_MAX) this.#push();
  }

  #push(): void {
    const slots = this.#row.subarray(0, this.#count * SLOT_BYTES);
    this.#rows.push({ firstIndex: this.#rowIndex, count: this.#count, greatestUs: this.#greatestUs, slots });
    this.#row = new Uint8Array(SLOTS_MAX * SLOT_BYTES);
    this.#count = 0;
  }
}

function equalAt(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  for (let i = 0; i < 16; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
