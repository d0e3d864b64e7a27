/**
 * How an instance shows who it is, where it asks over HTTP: `Authorization: Keelson <base64>` of
 *
 *     "KIR1" ‖ instance 16 ‖ at uint64 ‖ signature 64
 *
 * signed over this and lp(method) ‖ lp(path with query). `at`: its clock, microseconds since 1970 UTC. What is signed can be read again by
 * whoever saw it, for a few minutes, and is worth nothing else: a lease needs a nonce, and facts tell nothing without the guard key.
 */
import { parseBase64, formatBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import { INSTANCE_BYTES } from './grant.js';
import { sign, SIGNATURE_BYTES } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KIR1';
const SCHEME = 'Keelson ';
/** A clock may differ from ours by so much. */
export const REQUEST_SKEW_US = 300_000_000;

/** What is asked for. */
export interface Asked {
  /** `GET` */
  readonly method: string;
  /** `/v1/feed/changes?from=7` */
  readonly path: string;
}

export interface InstanceRequest {
  readonly instance: Uint8Array;
  readonly atUs: number;
}

/** The value of the header. */
export function signRequest(key: Signer, ledger: string, asked: Asked, { instance, atUs }: InstanceRequest): string {
  const message = new WireWriter(MAGIC).bytes(instance).uint64(atUs).finish();
  const signature = sign(key, 'request', ledger, withAsked(message, asked)).subarray(-SIGNATURE_BYTES);
  return SCHEME + formatBase64(new WireWriter().bytes(message).bytes(signature).finish());
}

/** Who says they ask; not checked yet. @throws KeelsonError `unauthenticated`: no such header, or a time too far from `nowUs`. */
export function parseRequest(
  header: string | undefined,
  nowUs: number,
): InstanceRequest & { readonly bytes: Uint8Array } {
  const bytes = header?.startsWith(SCHEME) === true ? parseBase64(header.slice(SCHEME.length)) : undefined;
  if (bytes === undefined) throw new KeelsonError('unauthenticated', 'sign the request: Authorization: Keelson …');
  const reader = new WireReader(bytes, MAGIC);
  const request = { instance: new Uint8Array(reader.bytes(INSTANCE_BYTES)), atUs: reader.uint64(), bytes };
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  if (Math.abs(request.atUs - nowUs) > REQUEST_SKEW_US) {
    throw new KeelsonError('unauthenticated', 'the clock of this instance is more than 5 minutes from the server’s');
  }
  return request;
}

/** What was signed, with its signature behind it. @param bytes of `parseRequest` */
export function signedRequest(asked: Asked, bytes: Uint8Array): Uint8Array {
  const end = bytes.length - SIGNATURE_BYTES;
  return new WireWriter()
    .bytes(withAsked(bytes.subarray(0, end), asked))
    .bytes(bytes.subarray(end))
    .finish();
}

const withAsked = (message: Uint8Array, { method, path }: Asked): Uint8Array =>
  new WireWriter().bytes(message).text(method).text(path).finish();
