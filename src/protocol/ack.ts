/**
 * An ack: an instance attests that it enforces everything up to a seq. It is no proof, which only the lease gives.
 *
 *     "KAC1" ‖ instance 16 ‖ generation uint32 ‖ seq uint64 ‖ state hash 32 ‖ mapping hash 32 ‖ key types uint16 ‖ aborted uint32
 *     ‖ at uint64 ‖ signature 64, by the instance
 */
import type { Signer } from '../core/signer.js';
import { INSTANCE_BYTES } from './grant.js';
import type { KeyType } from './keys.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KAC1';
export const ACK_BYTES = 4 + INSTANCE_BYTES + 4 + 8 + 32 + 32 + 2 + 4 + 8 + SIGNATURE_BYTES;

/** Bits of `key types`, from the lowest: types of keys that a mapping can find in what the instance is shown. */
const KEY_TYPE_BITS: readonly KeyType[] = [
  'token',
  'grant',
  'session',
  'principal',
  'delegation',
  'agent',
  'client',
  'tool',
  'environment',
  'membership',
];

export interface Ack {
  /** 16 bytes. */
  readonly instance: Uint8Array;
  readonly generation: number;
  readonly seq: number;
  /** Of the table at `seq`, 32 bytes. */
  readonly stateHash: Uint8Array;
  /** SHA-256 of the mapping from claims to token facts, in canonical JSON. */
  readonly mappingHash: Uint8Array;
  readonly keyTypes: readonly KeyType[];
  /** Sessions and calls that it aborted since the ack before. */
  readonly aborted: number;
  /** The instance's clock, microseconds since 1970 UTC. */
  readonly atUs: number;
}

export function signAck(instanceKey: Signer, ledger: string, ack: Ack): Uint8Array {
  const types = ack.keyTypes.reduce((bits, type) => bits | (1 << KEY_TYPE_BITS.indexOf(type)), 0);
  const writer = new WireWriter(MAGIC).bytes(ack.instance).uint32(ack.generation).uint64(ack.seq);
  writer.bytes(ack.stateHash).bytes(ack.mappingHash).uint16(types).uint32(ack.aborted).uint64(ack.atUs);
  return sign(instanceKey, 'ack', ledger, writer.finish());
}

/** An ack whose signature is not checked yet. @throws KeelsonError `malformed_message` */
export function parseAck(bytes: Uint8Array): Ack {
  const reader = new WireReader(bytes, MAGIC);
  const ack = {
    instance: new Uint8Array(reader.bytes(INSTANCE_BYTES)),
    generation: reader.uint32(),
    seq: reader.uint64(),
    stateHash: new Uint8Array(reader.bytes(32)),
    mappingHash: new Uint8Array(reader.bytes(32)),
    keyTypes: readTypes(reader),
    aborted: reader.uint32(),
    atUs: reader.uint64(),
  };
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  return ack;
}

/** @throws KeelsonError `bad_signature` */
export const checkAck = (realm: Realm, instanceKey: Uint8Array, bytes: Uint8Array): void =>
  checkSignature(realm, [instanceKey], 'ack', bytes);

function readTypes(reader: WireReader): KeyType[] {
  const bits = reader.uint16();
  if (bits >>> KEY_TYPE_BITS.length !== 0) reader.fail('types of keys that are not known');
  return KEY_TYPE_BITS.filter((_, i) => (bits & (1 << i)) !== 0);
}
