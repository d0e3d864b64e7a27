/**
 * Records, read without the rest of Keelson. Every schema begins with one envelope (docs/record.md, "Record"), which never changes; of the
 * bodies a verifier knows those that a certificate is about.
 */
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import { AvroReader, type AvroValue } from './avro.js';
import { BODIES } from './record-bodies.js';

export interface Envelope {
  /** Of its schema, 16 digits of hex. */
  readonly fingerprint: string;
  readonly id: string;
  readonly type: string;
  readonly producer: string;
  readonly protocol: string;
}

export type Body = Readonly<Record<string, AvroValue>>;

/** A record's envelope. @throws KeelsonError `malformed_record` */
export const readEnvelope = (record: Uint8Array): Envelope => openRecord(record, 'a record').envelope;

/**
 * A record with its body.
 * @throws KeelsonError `malformed_record`; `unknown_schema`: of a schema that this program does not know, as a newer one may
 */
export function readRecord(record: Uint8Array): Envelope & { readonly body: Body } {
  const { envelope, rest } = openRecord(record, 'a record');
  const shape = BODIES[envelope.fingerprint];
  if (shape === undefined) {
    throw new KeelsonError(
      'unknown_schema',
      `a ${envelope.type} of a schema that is not known here: ${envelope.fingerprint}`,
    );
  }
  const body = rest.value(shape) as Body;
  rest.end();
  return { ...envelope, body };
}

/** @param what it should be, for the message. */
export function openRecord(record: Uint8Array, what: string): { envelope: Envelope; rest: AvroReader } {
  const avro = new AvroReader(record, what);
  avro.skip(2); // marker
  const fingerprint = formatHex(avro.fixed(8));
  avro.skip(16 + 16); // dedupe, blind
  const id = avro.string();
  const type = avro.string();
  avro.long(); // occurred_at
  avro.long(); // accepted_at
  const producer = avro.string();
  avro.skip(1); // producer_verified
  avro.string(); // source
  const protocol = avro.string();
  avro.optional(() => avro.long()); // epoch
  avro.optional(() => avro.long()); // sequence
  avro.array(() => avro.string()); // assigned
  avro.array(() => (avro.string(), avro.skip(16))); // persons
  avro.array(() => skipSealedBlock(avro));
  avro.array(() => (avro.string(), avro.string(), avro.skip(32))); // masked
  avro.array(() => (avro.string(), avro.string())); // originals
  return { envelope: { fingerprint, id, type, producer, protocol }, rest: avro };
}

function skipSealedBlock(avro: AvroReader): void {
  avro.skip(16 + 12); // subject, nonce
  avro.bytes(); // ciphertext
  avro.optional(() => (avro.skip(32), avro.long())); // blob
  avro.array(() => (avro.string(), avro.skip(32))); // fields
}
