import { makeObject, type JsonObject } from './json.js';
import { dedupeKey, encodeRecord, type EventRecord } from './record.js';
import type { SchemaRegistry } from './registry.js';
import type { EventSchema } from './schema.js';
import { separate } from './separate.js';
import { formatTimestamp } from './time.js';

/** Who Keelson's own records are from. */
export const SELF = 'keelson';

/** What Keelson itself stamps on a record of its own. */
export interface OwnStamp {
  /** 16 random bytes. */
  readonly blind: Buffer;
  /** Intake's clock, microseconds since 1970. */
  readonly nowUs: bigint;
}

/**
 * A record that Keelson makes of its own accord: nothing personal in it, so nothing to seal.
 * @param event members beside `type` and `timestamp`, which is now.
 * @param source in which the id is unique.
 */
export function makeOwnRecord(
  schemas: SchemaRegistry,
  type: string,
  id: string,
  event: Readonly<JsonObject>,
  { blind, nowUs }: OwnStamp,
  source = '',
): Buffer {
  const schema = schemas.forType(type);
  const whole = Object.assign(makeObject(), event, { type, timestamp: formatTimestamp(nowUs) });
  const parts = separate(whole, schema);
  if (parts.persons.length > 0 || parts.sealed.length > 0) throw new Error(`a ${type} record says something personal`);
  const record: EventRecord = {
    dedupe: dedupeKey(SELF, source, id),
    blind,
    id,
    type,
    occurredAtUs: parts.occurredAtUs,
    acceptedAtUs: nowUs,
    producer: SELF,
    producerVerified: true,
    source,
    protocol: 'internal',
    epoch: null,
    sequence: null,
    assigned: ['id'],
    persons: [],
    sealed: [],
    masked: [],
    originals: parts.originals,
    body: parts.body,
  };
  return encodeRecord(schema, record);
}

export interface LogOpening {
  /** Name of the ledger. */
  readonly ledger: string;
  /** Origin of this log. */
  readonly origin: string;
  /** In the lifecycle log: the origins of all logs. */
  readonly origins?: readonly string[];
  /** `g1` … */
  readonly generation: string;
}

/** `log.opened`, the first record of a log; repeats have the same duplicate key. */
export function makeLogOpened(schemas: SchemaRegistry, opening: LogOpening, stamp: OwnStamp): Buffer {
  const { ledger, origin, origins, generation } = opening;
  const event = { ledger, origin, generation, ...(origins ? { origins: [...origins] } : {}) };
  return makeOwnRecord(schemas, 'log.opened', `log.opened/${origin}`, event, stamp);
}

/** `log.schema`, which carries a schema's text into a log; repeats have the same duplicate key. */
export function makeLogSchema(schemas: SchemaRegistry, schema: EventSchema, stamp: OwnStamp): Buffer {
  const fingerprint = schema.fingerprint.toString('hex');
  return makeOwnRecord(
    schemas,
    'log.schema',
    `log.schema/${fingerprint}`,
    { fingerprint, name: schema.name, text: schema.text },
    stamp,
  );
}

/** What the ledger says for ever of something that could not become an event: nothing of its contents but id and type. */
export interface QuarantineNotice {
  /** Where the original is kept; the record's id. */
  readonly quarantineId: string;
  /** SHA-256 of the original. */
  readonly digest: Buffer;
  /** Error code. */
  readonly reason: string;
  /** The producer it came from. */
  readonly sender: string;
  readonly eventId?: string | undefined;
  readonly eventType?: string | undefined;
  /** Bytes of the original. */
  readonly size: bigint;
  readonly expiresAtUs: bigint;
}

/** `record.quarantined`. Texts out of the refused event are cut to what the schema holds. */
export function makeRecordQuarantined(schemas: SchemaRegistry, notice: QuarantineNotice, stamp: OwnStamp): Buffer {
  const event: JsonObject = {
    quarantine_id: notice.quarantineId,
    digest: notice.digest.toString('hex'),
    reason: notice.reason,
    sender: notice.sender,
    size: Number(notice.size),
    expires_at: formatTimestamp(notice.expiresAtUs),
  };
  if (notice.eventId !== undefined) event.event_id = notice.eventId.slice(0, 1024);
  if (notice.eventType !== undefined) event.event_type = notice.eventType.slice(0, 1024);
  return makeOwnRecord(schemas, 'record.quarantined', notice.quarantineId, event, stamp);
}
