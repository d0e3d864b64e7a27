/** From an entry's bytes to its facts. Every entry has a row, so that the rows of a log can be counted. */
import { ENTRY_HEADER_BYTES, parseEntry } from '../core/entry.js';
import { searchFacts } from '../events/facts.js';
import { decodeRecord } from '../events/record.js';
import type { SchemaRegistry } from '../events/registry.js';
import type { EventSchema } from '../events/schema.js';
import { equalBytes } from './byte-hash.js';
import { RecordFacts } from './record-facts.js';
import { learnFrom } from '../ledger/schemas.js';
import { compileShape, type Shape } from './shape.js';
import { Skimmer } from './skimmer.js';

/** Of an entry: format and kind. Of a record: `C3 01`, the fingerprint, and the body. */
const IS_RECORD = 0x01_00;
const FINGERPRINT_AT = ENTRY_HEADER_BYTES + 2;
const FINGERPRINT_BYTES = 8;
const BODY_AT = FINGERPRINT_AT + FINGERPRINT_BYTES;
const RECORD_BYTES_MIN = 42;

const REFUSED = Buffer.from('refused');
const UNREADABLE = Buffer.from('unreadable');
const SCHEMA = Buffer.from('log.schema');
const LINKED = Buffer.from('principal.linked');

/** Where the append time stands in an entry, 8 bytes, big-endian. */
export const TIME_AT = 2;

export class EntryReader {
  /** Of the entry read last. */
  readonly facts = new RecordFacts();
  readonly #skimmer = new Skimmer();
  readonly #shapes = new Map<EventSchema, Shape>();
  #recent: { readonly fingerprint: Buffer; readonly shape: Shape } | undefined;

  /** @param schemas of every record that will be read; those that records tell of are learned. */
  constructor(private readonly schemas: SchemaRegistry) {}

  /**
   * Reads the entry at `bytes[start, end)` into `facts`. What the sequencer refused is found as type `refused`; what this program can't
   * read as type `unreadable`: a projection that stopped at it would stop for ever.
   * @returns of a `principal.linked`, the pseudonyms it says are one person's.
   * @throws KeelsonError `malformed_entry`: no sequencer wrote this.
   */
  read(bytes: Buffer, start: number, end: number): readonly Buffer[] | undefined {
    if (!isRecordEntry(bytes, start, end) && parseEntry(bytes.subarray(start, end)).kind === 'refused') {
      this.facts.setBare(REFUSED, bytes, start + TIME_AT);
      return undefined;
    }
    const shape = this.#shapeOf(bytes, start);
    if (shape === undefined || !this.#skimmer.skim(shape, bytes, start + BODY_AT, end, this.facts)) {
      this.facts.setBare(UNREADABLE, bytes, start + TIME_AT);
      return undefined;
    }
    if (this.facts.isOfType(SCHEMA)) learnFrom(bytes.subarray(start + ENTRY_HEADER_BYTES, end), this.schemas);
    if (!this.facts.isOfType(LINKED)) return undefined;
    return searchFacts(decodeRecord(bytes.subarray(start + ENTRY_HEADER_BYTES, end), this.schemas)).linked;
  }

  /** The shape of the record's schema, nearly always that of the record before. */
  #shapeOf(bytes: Buffer, start: number): Shape | undefined {
    const at = start + FINGERPRINT_AT;
    if (this.#recent !== undefined && equalBytes(bytes, at, this.#recent.fingerprint, 0, FINGERPRINT_BYTES)) {
      return this.#recent.shape;
    }
    const schema = this.schemas.find(bytes.subarray(at, at + FINGERPRINT_BYTES));
    if (schema === undefined) return undefined;
    let shape = this.#shapes.get(schema);
    if (shape === undefined) this.#shapes.set(schema, (shape = compileShape(schema.text)));
    this.#recent = { fingerprint: schema.fingerprint, shape };
    return shape;
  }
}

const isRecordEntry = (bytes: Buffer, start: number, end: number): boolean =>
  end - start >= ENTRY_HEADER_BYTES + RECORD_BYTES_MIN &&
  ((bytes[start]! << 8) | bytes[start + 1]!) === IS_RECORD &&
  bytes[start + ENTRY_HEADER_BYTES] === 0xc3 &&
  bytes[start + ENTRY_HEADER_BYTES + 1] === 0x01;
