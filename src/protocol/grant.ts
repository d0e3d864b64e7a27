/**
 * Time for an instance: it asks with a nonce of its own, and the answer is good for that nonce and that instance alone. So a grant that
 * was kept, replayed or meant for another gives nobody time.
 *
 *     request: "KLR1" ‖ instance 16 ‖ nonce 16 ‖ signature 64, by the instance
 *     grant:   "KLG1" ‖ instance 16 ‖ nonce 16 ‖ readAge uint64 ‖ generation uint32 ‖ seq uint64 ‖ h(seq) 32 ‖ state hash 32 ‖ signature 64
 *
 * `readAge`: microseconds from the beginning of the read that found `seq` to be the newest, to the grant.
 */
import type { Signer } from '../core/signer.js';
import { readHead, writeHead, type FeedHead } from './head.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const REQUEST = 'KLR1';
const GRANT = 'KLG1';
export const INSTANCE_BYTES = 16;
export const NONCE_BYTES = 16;
export const LEASE_REQUEST_BYTES = 4 + INSTANCE_BYTES + NONCE_BYTES + SIGNATURE_BYTES;

export interface LeaseRequest {
  /** 16 bytes. */
  readonly instance: Uint8Array;
  /** 16 random bytes. */
  readonly nonce: Uint8Array;
}

export interface LeaseGrant extends LeaseRequest {
  /** Microseconds. */
  readonly readAgeUs: number;
  /** The lease counts once this head is applied. */
  readonly head: FeedHead;
}

export const signLeaseRequest = (instanceKey: Signer, ledger: string, { instance, nonce }: LeaseRequest): Uint8Array =>
  sign(instanceKey, 'lease-request', ledger, new WireWriter(REQUEST).bytes(instance).bytes(nonce).finish());

/** A request whose signature is not checked yet: that takes the key of the instance that it names. @throws KeelsonError `malformed_message` */
export function parseLeaseRequest(bytes: Uint8Array): LeaseRequest {
  const reader = new WireReader(bytes, REQUEST);
  const request = readRequest(reader);
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  return request;
}

export function signGrant(
  feedKey: Signer,
  ledger: string,
  { instance, nonce, readAgeUs, head }: LeaseGrant,
): Uint8Array {
  const writer = new WireWriter(GRANT).bytes(instance).bytes(nonce).uint64(readAgeUs);
  return sign(feedKey, 'grant', ledger, writeHead(writer, head).finish());
}

/** @throws KeelsonError `malformed_message`, `bad_signature` */
export function openGrant(realm: Realm, publicKeys: readonly Uint8Array[], bytes: Uint8Array): LeaseGrant {
  const reader = new WireReader(bytes, GRANT);
  const grant = { ...readRequest(reader), readAgeUs: reader.uint64(), head: readHead(reader) };
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  checkSignature(realm, publicKeys, 'grant', bytes);
  return grant;
}

const readRequest = (reader: WireReader): LeaseRequest => ({
  instance: new Uint8Array(reader.bytes(INSTANCE_BYTES)),
  nonce: new Uint8Array(reader.bytes(NONCE_BYTES)),
});
