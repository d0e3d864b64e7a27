/** Signatures of vendors who have a header of their own: one HMAC, over the body and perhaps a timestamp. */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface HmacScheme {
  readonly algorithm: 'sha256' | 'sha512';
  readonly encoding: 'hex' | 'base64';
  /** What stands before the digits. */
  readonly prefix?: string;
  readonly signs: 'body' | 'body+timestamp' | 'timestamp+body' | 'timestamp.body';
}

/**
 * @param secret as the vendor shows it: its characters are the key
 * @param header the signature's header
 * @param timestamp the text of the timestamp's header; nothing where it is not signed
 */
export function checkHmac(
  scheme: HmacScheme,
  secret: string,
  header: string,
  timestamp: string,
  body: Uint8Array,
): boolean {
  const { prefix = '' } = scheme;
  if (!header.startsWith(prefix)) return false;
  const given = Buffer.from(header.slice(prefix.length), scheme.encoding);
  const expected = signHmac(scheme, secret, timestamp, body);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The pair of `checkHmac`, as bytes. */
export function signHmac(
  { algorithm, signs }: HmacScheme,
  secret: string,
  timestamp: string,
  body: Uint8Array,
): Buffer {
  const hmac = createHmac(algorithm, secret);
  if (signs === 'timestamp+body' || signs === 'timestamp.body') hmac.update(timestamp);
  if (signs === 'timestamp.body') hmac.update('.');
  hmac.update(body);
  if (signs === 'body+timestamp') hmac.update(timestamp);
  return hmac.digest();
}
