/** Whether a webhook is its source's: by its signature, and by nothing else. */
import { isTimeSigned } from './usable.js';
import { createHash } from 'node:crypto';
import type { HrSignature } from '../../access/hr-config.js';
import { KeelsonError } from '../../core/error.js';
import type { Json } from '../../events/index.js';
import { checkHmac } from '../../webhooks/hmac.js';
import { parseCheckingKey, type CheckingKey } from '../../webhooks/keys.js';
import {
  checkSignature,
  readStamp,
  SIGNATURE_HEADER,
  TOLERANCE_S,
  type Headers,
  type Rejection,
} from '../../webhooks/signature.js';
import { parseWhen } from './dates.js';
import { findFirst } from './places.js';

export type Refusal = Rejection | 'unknown_source' | 'no_secret' | 'no_time';

/** A webhook that may be its source's, as far as its headers say. */
export interface Claimed {
  /** When it was sent, microseconds since 1970 UTC, where a signed header says so. */
  readonly sentAtUs: bigint | undefined;
  /** Whether one of the secrets signed this body. */
  readonly isSigned: (secrets: readonly string[], body: Uint8Array) => boolean;
  /** What tells this webhook from every other one of its source, and is the same when it is sent again. */
  readonly identify: (body: Uint8Array) => string;
}

/** What headers tell before a body is read. @param nowS seconds since 1970 UTC */
export function readClaim(signature: HrSignature, headers: Headers, nowS: number): Claimed | Refusal {
  if (signature.scheme === 'standard') {
    const stamp = readStamp(headers, nowS);
    if (typeof stamp === 'string') return stamp;
    const header = headers[SIGNATURE_HEADER] as string;
    return {
      sentAtUs: BigInt(stamp.timestampS) * 1_000_000n,
      isSigned: (secrets, body) => checkSignature(secrets.flatMap(readKey), stamp, body, header),
      identify: () => stamp.id,
    };
  }
  // Also where it was configured before that was refused.
  if (!isTimeSigned(signature)) return 'malformed_timestamp';
  const header = headers[signature.header.toLowerCase()];
  if (typeof header !== 'string') return 'no_signature';
  const { time } = signature;
  let timestamp = '';
  let sentAtUs: bigint | undefined;
  if ('header' in time) {
    const text = headers[time.header.toLowerCase()];
    if (typeof text !== 'string' || !/^[1-9]\d{0,14}$/.test(text)) return 'malformed_timestamp';
    timestamp = text;
    sentAtUs = BigInt(text) * (time.unit === 's' ? 1_000_000n : 1_000n);
    const late = checkTime(sentAtUs, nowS, time.toleranceS);
    if (late !== undefined) return late;
  }
  return {
    sentAtUs,
    isSigned: (secrets, body) =>
      secrets.reduce((good, secret) => checkHmac(signature, secret, header, timestamp, body) || good, false),
    identify: (body) => createHash('sha256').update(`${timestamp}.`).update(body).digest('hex').slice(0, 32),
  };
}

/**
 * Whether a body that says itself when it was sent was sent just now.
 * @returns why not; undefined where it was, or a header says it
 */
export function checkBodyTime(
  signature: HrSignature,
  body: Json,
  zone: string,
  nowS: number,
): { readonly refusal?: Refusal; readonly sentAtUs?: bigint } {
  if (signature.scheme === 'standard' || 'header' in signature.time) return {};
  const { at, toleranceS } = signature.time;
  const found = findFirst(at, { body, item: body, pointer: '' });
  if (typeof found?.value !== 'string') return { refusal: 'no_time' };
  try {
    const sentAtUs = parseWhen(found.value, zone, 'begin', found.pointer);
    const refusal = checkTime(sentAtUs, nowS, toleranceS);
    return refusal === undefined ? { sentAtUs } : { refusal };
  } catch (error) {
    if (error instanceof KeelsonError) return { refusal: 'malformed_timestamp' };
    throw error;
  }
}

function checkTime(atUs: bigint, nowS: number, toleranceS = TOLERANCE_S): Refusal | undefined {
  const aheadS = Number(atUs) / 1e6 - nowS;
  if (aheadS < -toleranceS) return 'too_old';
  return aheadS > toleranceS ? 'in_future' : undefined;
}

/** A secret that was kept for another scheme signs nothing in this one. */
function readKey(secret: string): CheckingKey[] {
  try {
    return [parseCheckingKey(secret)];
  } catch (error) {
    if (error instanceof KeelsonError) return [];
    throw error;
  }
}

/** @throws KeelsonError `malformed_key`: no secret of this scheme */
export function requireSecret(signature: HrSignature, secret: string): void {
  if (signature.scheme === 'standard') parseCheckingKey(secret);
  else if (secret.length < 16) throw new KeelsonError('malformed_key', 'a secret has 16 characters at least');
}
