/** Lifecycle entries as the fold takes them. */
import { formatHex } from '../core/bytes.js';
import { parseEntry } from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import { decodeRecord, SELF, type Body, type DecodedRecord, type SchemaRegistry } from '../events/index.js';
import { splitPage, type Page } from '../ledger/page.js';
import { learnFrom } from '../ledger/schemas.js';

export { LIFECYCLE } from './names.js';

export interface LifecycleEvent {
  readonly index: number;
  /** When it was appended to the event log. */
  readonly appendedUs: number;
  /** When it happened, where its source says so by a clock of its own; not after it was appended. */
  readonly saidUs?: number;
  readonly id: string;
  readonly type: string;
  readonly producer: string;
  /** Whether Keelson itself says it. */
  readonly own: boolean;
  readonly body: Body;
  /** Pseudonym in hex by pointer. */
  readonly persons: ReadonlyMap<string, string>;
}

/** Types that matter here, of the schemas that hold them. */
const RELEVANT = /^(principal|revocation|agent|client|tool|grant|delegation)\./;

/**
 * The events of pages that begin at entry `from`, in order. What is not of interest, or can't be read, is left out: the ledger holds it
 * all the same.
 */
export function* readLifecycle(
  from: bigint,
  pages: readonly Page[],
  schemas: SchemaRegistry,
): Generator<LifecycleEvent, void, undefined> {
  let index = Number(from);
  for (const page of pages) {
    for (const bytes of splitPage(page)) {
      const event = readEvent(index++, bytes, schemas);
      if (event !== undefined) yield event;
    }
  }
}

/** Webhooks come late and out of order; what they say of when it happened is by the clock of one system. */
const isTimed = ({ protocol, assigned }: DecodedRecord): boolean =>
  protocol === 'hr' && !assigned.includes('timestamp');

function readEvent(index: number, bytes: Uint8Array, schemas: SchemaRegistry): LifecycleEvent | undefined {
  const entry = parseEntry(bytes);
  if (entry.kind !== 'record') return undefined;
  let record: DecodedRecord;
  try {
    record = decodeRecord(entry.record, schemas);
  } catch (error) {
    if (error instanceof KeelsonError) return undefined;
    throw error;
  }
  if (record.type === 'log.schema') learnFrom(entry.record, schemas);
  if (!RELEVANT.test(record.type)) return undefined;
  return {
    index,
    appendedUs: Number(entry.appendedAtUs),
    id: record.id,
    type: record.type,
    producer: record.producer,
    ...(isTimed(record) ? { saidUs: Math.min(Number(record.occurredAtUs), Number(entry.appendedAtUs)) } : {}),
    own: record.producer === SELF && record.protocol === 'internal',
    body: record.body,
    persons: new Map(record.persons.map(({ pointer, subject }) => [pointer, formatHex(subject)])),
  };
}
