import { REFUSAL_REASONS, type Entry, type RefusedEntry } from '../../core/entry.js';
import { formatHex } from '../../core/bytes.js';
import { KeelsonError } from '../../core/error.js';
import type { Hasher } from '../../core/hasher.js';
import { digest } from '../../core/merkle.js';
import { FINGERPRINT_AT, FINGERPRINT_BYTES, type LogRecords } from '../log-records.js';
import type { Log } from '../log.js';
import type { Group, LogCheck } from './entries.js';
import type { LogFindings, Snapshot } from './options.js';
import { Rows } from './rows.js';

interface RefusedRow {
  readonly index: bigint;
  readonly reason: number;
  readonly bytes: Buffer;
}

/** What the log says about itself, against the tables that remember it: its opening, its schemas, and what was refused. */
export class RecordCheck implements LogCheck {
  readonly #refused: Rows<RefusedRow>;
  /** Fingerprint → the entry that told it. */
  readonly #told = new Map<string, bigint>();
  readonly #opened: string;
  readonly #schema: string;
  #isOpened = false;

  /** @param opened whether the head says that the log was opened. */
  constructor(
    private readonly snapshot: Snapshot,
    private readonly log: Log,
    private readonly hasher: Hasher,
    private readonly kinds: LogRecords,
    private readonly opened: boolean,
    private readonly found: LogFindings,
  ) {
    this.#refused = new Rows(snapshot, log, 'index', 'select index, reason, bytes from keelson.refused');
    this.#opened = formatHex(kinds.openedFingerprint);
    this.#schema = formatHex(kinds.schemaFingerprint);
  }

  async take({ first, entries }: Group): Promise<void> {
    for (const [i, { entry }] of entries.entries()) {
      if (entry?.kind === 'record') this.#checkRecord(first + BigInt(i), entry.record);
      await this.#checkRefused(first + BigInt(i), entry);
    }
  }

  async finish(): Promise<void> {
    const rest = await this.#refused.peek();
    if (rest) this.found.add('refused', rest.index, `bytes are kept for a refusal ${rest.index} that is not there`);
    if (this.opened !== this.#isOpened)
      this.found.add('head', 0n, `the head says that the log was ${this.opened ? '' : 'not '}opened`);
    const { rows } = await this.snapshot.query<{ fingerprint: Buffer; index: bigint }>(
      'select fingerprint, index from keelson.log_schema where log = $1',
      [this.log.id],
    );
    const kept = new Map(rows.map(({ fingerprint, index }) => [formatHex(fingerprint), index]));
    for (const [fingerprint, index] of this.#told) {
      if (kept.get(fingerprint) !== index)
        this.found.add('schema', index, `entry ${index} tells of schema ${fingerprint}: the table does not say so`);
    }
    for (const [fingerprint, index] of kept) {
      if (!this.#told.has(fingerprint))
        this.found.add('schema', index, `the table has schema ${fingerprint}, of which no entry tells`);
    }
  }

  #checkRecord(index: bigint, record: Uint8Array): void {
    const fingerprint = formatHex(record.subarray(FINGERPRINT_AT, FINGERPRINT_AT + FINGERPRINT_BYTES));
    if (fingerprint === this.#opened) {
      if (this.#isOpened) this.found.add('entry', index, `entry ${index} opens the log again`);
      this.#isOpened = true;
    } else if (fingerprint === this.#schema) {
      this.#learn(index, record);
    } else if (!this.#told.has(fingerprint)) {
      this.found.add('entry', index, `entry ${index} is of schema ${fingerprint}, of which no entry before it tells`);
    }
  }

  #learn(index: bigint, record: Uint8Array): void {
    try {
      const described = formatHex(this.kinds.describedFingerprint(record));
      if (this.#told.has(described))
        this.found.add('entry', index, `entry ${index} tells of schema ${described} again`);
      else this.#told.set(described, index);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.found.add('entry', index, `entry ${index} tells of no schema: ${error.message}`);
    }
  }

  async #checkRefused(index: bigint, entry: Entry | undefined): Promise<void> {
    const row = await this.#refused.peek();
    if (row?.index === index) await this.#refused.next();
    if (entry?.kind === 'refused') {
      if (row?.index !== index) this.found.add('refused', index, `the bytes that entry ${index} refuses are gone`);
      else if (!this.#isRefusedBy(row, entry))
        this.found.add('refused', index, `the bytes kept for entry ${index} are not those it refuses`);
    } else if (row?.index === index) {
      this.found.add('refused', index, `bytes are kept as refused by entry ${index}, which refuses nothing`);
    }
  }

  #isRefusedBy({ reason, bytes }: RefusedRow, entry: RefusedEntry): boolean {
    return (
      REFUSAL_REASONS[reason - 1] === entry.reason && Buffer.compare(digest(this.hasher, bytes), entry.sha256) === 0
    );
  }
}
