/** Signing and checking webhooks as Standard Webhooks 1.0 has it: over `<id>.<timestamp>.<body>`, the body's raw bytes. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { nodeVerifier } from '../platform/signer.js';
import type { CheckingKey, SigningKey } from './keys.js';

export const ID_HEADER = 'webhook-id';
export const TIMESTAMP_HEADER = 'webhook-timestamp';
export const SIGNATURE_HEADER = 'webhook-signature';

/** How far a webhook's timestamp may be from the receiver's clock, either way. */
export const TOLERANCE_S = 300;
/** Signatures looked at in one header. */
const SIGNATURES_MAX = 16;
/** What an id may be: a dot would let parts of it be read as the timestamp. */
const ID = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;

/** Why a webhook is not believed. For logs and metrics; its sender is told none of it. */
export type Rejection =
  'no_signature' | 'malformed_id' | 'malformed_timestamp' | 'too_old' | 'in_future' | 'bad_signature';

/** A header of a request, as Node has it. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface Stamp {
  readonly id: string;
  /** Seconds since 1970 UTC: when it was sent, not when what it tells happened. */
  readonly timestampS: number;
}

/**
 * The value of `webhook-signature`: one signature of each key, so that a secret can be exchanged.
 * @param id without a dot
 * @param timestampS seconds since 1970 UTC
 */
export function signWebhook(keys: readonly SigningKey[], { id, timestampS }: Stamp, body: Uint8Array): string {
  if (!ID.test(id)) throw new Error('an id of a webhook is 1 to 256 visible ASCII characters without a dot');
  const content = signedContent(id, String(timestampS), body);
  return keys
    .map((key) => {
      const signature =
        key.scheme === 'v1' ? createHmac('sha256', key.secret).update(content).digest() : key.signer.sign(content);
      return `${key.scheme},${Buffer.from(signature).toString('base64')}`;
    })
    .join(' ');
}

/**
 * Reads id and timestamp, and whether that timestamp is near enough: what can be told before the body is read.
 * @param nowS the receiver's clock, seconds since 1970
 */
export function readStamp(headers: Headers, nowS: number, toleranceS = TOLERANCE_S): Stamp | Rejection {
  const id = headers[ID_HEADER];
  const timestamp = headers[TIMESTAMP_HEADER];
  if (typeof headers[SIGNATURE_HEADER] !== 'string') return 'no_signature';
  if (typeof id !== 'string' || !ID.test(id)) return 'malformed_id';
  if (typeof timestamp !== 'string' || !/^[1-9]\d{0,11}$/.test(timestamp)) return 'malformed_timestamp';
  const timestampS = Number(timestamp);
  if (timestampS < nowS - toleranceS) return 'too_old';
  if (timestampS > nowS + toleranceS) return 'in_future';
  return { id, timestampS };
}

/** Whether any of the header's signatures is one of any of these keys over these very bytes. */
export function checkSignature(
  keys: readonly CheckingKey[],
  { id, timestampS }: Stamp,
  body: Uint8Array,
  header: string,
): boolean {
  const content = signedContent(id, String(timestampS), body);
  let isGood = false;
  for (const part of header.split(' ', SIGNATURES_MAX)) {
    const comma = part.indexOf(',');
    const scheme = part.slice(0, Math.max(comma, 0));
    const signature = Buffer.from(part.slice(comma + 1), 'base64');
    for (const key of keys) if (key.scheme === scheme && isSignature(key, content, signature)) isGood = true;
  }
  return isGood;
}

/** `readStamp` and `checkSignature` in one, for who has the body at hand. */
export function checkWebhook(
  keys: readonly CheckingKey[],
  headers: Headers,
  body: Uint8Array,
  nowS: number,
  toleranceS = TOLERANCE_S,
): Stamp | Rejection {
  const stamp = readStamp(headers, nowS, toleranceS);
  if (typeof stamp === 'string') return stamp;
  return checkSignature(keys, stamp, body, headers[SIGNATURE_HEADER] as string) ? stamp : 'bad_signature';
}

function isSignature(key: CheckingKey, content: Uint8Array, signature: Buffer): boolean {
  if (key.scheme === 'v1a') return nodeVerifier.verify(key.publicKey, content, signature);
  const expected = createHmac('sha256', key.secret).update(content).digest();
  return signature.length === expected.length && timingSafeEqual(signature, expected);
}

const signedContent = (id: string, timestamp: string, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
