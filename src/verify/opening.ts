/**
 * The opening record of a log, read without the rest of Keelson: its schema (schemas/log.opened.v1.avsc) never changes, and of a log's
 * records it alone says which logs there are.
 */
import { openRecord } from './record.js';

export interface Opening {
  readonly ledger: string | null;
  /** The origin of the log it opens. */
  readonly origin: string | null;
  /** In the lifecycle log: the origins of all logs of the ledger. */
  readonly origins: readonly string[] | null;
}

/**
 * Reads a `log.opened` record (docs/record.md, "Record"; Avro 1.12 binary encoding); undefined for another event type.
 * @throws KeelsonError `malformed_record`.
 */
export function readOpening(record: Uint8Array): Opening | undefined {
  const { envelope, rest } = openRecord(record, 'a log.opened record');
  if (envelope.type !== 'log.opened') return undefined;
  return {
    ledger: rest.optional(() => rest.string()),
    origin: rest.optional(() => rest.string()),
    origins: rest.optional(() => rest.array(() => rest.string())),
  };
}
