import { ENTRY_HEADER_BYTES } from '../../core/entry.js';
import { WINDOW_US } from '../duplicates.js';
import { DEDUPE_AT } from '../log-records.js';
import type { Log } from '../log.js';
import { SLOT_BYTES, slotHasKey, slotIsClaimed, slotTimeUs } from '../slots.js';
import type { Group, LogCheck, StoredEntry } from './entries.js';
import type { LogFindings, Snapshot } from './options.js';
import { Rows } from './rows.js';

interface SlotsRow {
  readonly first_index: bigint;
  readonly greatest_us: bigint;
  readonly count: number;
  readonly slots: Buffer;
}

/**
 * The duplicate key of every entry, as long as it may be needed: a key that is gone or another one's lets an event into the log
 * twice, and so does a time that was put forward.
 */
export class SlotCheck implements LogCheck {
  readonly #rows: Rows<SlotsRow>;
  #row: SlotsRow | undefined;
  /** The greatest append time of the entries so far. The log's own may be greater: repeats count, too. */
  #greatestUs = 0n;
  #missing: { from: bigint; to: bigint } | undefined;

  /** @param headUs the log's greatest append time, as its head has it. */
  constructor(
    snapshot: Snapshot,
    log: Log,
    private readonly headUs: bigint,
    private readonly found: LogFindings,
  ) {
    this.#rows = new Rows(
      snapshot,
      log,
      'first_index',
      'select first_index, greatest_us, count, slots from keelson.dedupe',
    );
  }

  async take({ first, entries }: Group): Promise<void> {
    for (const [i, { bytes, entry }] of entries.entries()) {
      const index = first + BigInt(i);
      if (entry === undefined) continue;
      if (entry.appendedAtUs > this.#greatestUs) this.#greatestUs = entry.appendedAtUs;
      const row = await this.#rowOf(index);
      if (row !== undefined) this.#checkSlot(index, bytes, entry, row);
      // Behind the window its week may have been dropped.
      else if (this.#greatestUs >= this.headUs - WINDOW_US) this.#miss(index);
    }
  }

  async finish(): Promise<void> {
    this.#tellMissing();
    const rest = await this.#rows.peek();
    if (rest) this.found.add('dedupe', rest.first_index, 'duplicate keys are kept for entries that are not there');
    if (this.#greatestUs > this.headUs)
      this.found.add('head', 0n, 'an entry was appended later than the head says that any was');
  }

  async #rowOf(index: bigint): Promise<SlotsRow | undefined> {
    while (!this.#row || endOf(this.#row) <= index) {
      const next = await this.#rows.peek();
      if (!next || next.first_index > index) return undefined;
      if (this.#row && next.first_index < endOf(this.#row))
        this.found.add('dedupe', next.first_index, `two rows hold the duplicate key of entry ${next.first_index}`);
      if (next.greatest_us > this.headUs)
        this.found.add('dedupe', next.first_index, 'a row of duplicate keys is dated later than the head');
      this.#row = await this.#rows.next();
    }
    return this.#row.first_index <= index ? this.#row : undefined;
  }

  #checkSlot(index: bigint, bytes: Uint8Array, entry: NonNullable<StoredEntry['entry']>, row: SlotsRow): void {
    const at = Number(index - row.first_index) * SLOT_BYTES;
    const slot = row.slots.subarray(at, at + SLOT_BYTES);
    const right =
      entry.kind === 'record'
        ? slotHasKey(slot, bytes, ENTRY_HEADER_BYTES + DEDUPE_AT) && slotTimeUs(slot) === entry.appendedAtUs
        : !slotIsClaimed(slot, 0);
    if (!right) this.found.add('dedupe', index, `the duplicate key kept for entry ${index} is another one’s`);
    // Rows are found, and dropped, by this time.
    if (row.greatest_us < this.#greatestUs && endOf(row) - 1n === index)
      this.found.add('dedupe', index, `the duplicate keys up to entry ${index} are dated before it`);
  }

  #miss(index: bigint): void {
    if (this.#missing?.to === index) this.#missing.to = index + 1n;
    else {
      this.#tellMissing();
      this.#missing = { from: index, to: index + 1n };
    }
  }

  #tellMissing(): void {
    if (this.#missing === undefined) return;
    const { from, to } = this.#missing;
    this.found.add('dedupe', from, `no duplicate keys are kept for entries ${from} to ${to - 1n}`);
    this.#missing = undefined;
  }
}

const endOf = (row: SlotsRow): bigint => row.first_index + BigInt(row.count);
