/**
 * The text of a token: a prefix (`kls_` of API tokens, `kle_` of enrolments of the feed), 43 base-62 digits of 256 random bits, 6 base-62
 * digits of CRC-32 over those digits. The prefix lets secret scanners know it, the checksum lets a mistyped or made-up one be refused
 * without asking the database.
 */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type TokenPrefix = 'kls_' | 'kle_';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 43;
const CHECK_LENGTH = 6;
const TOKEN = /^(kl[se]_)([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

/** A fresh token. Its text is shown once and stored nowhere. */
export function makeToken(prefix: TokenPrefix = 'kls_'): string {
  const secret = formatBase62(BigInt(`0x${randomBytes(32).toString('hex')}`), SECRET_LENGTH);
  return prefix + secret + checksum(secret);
}

/** Whether this could be a token of ours: form and checksum, nothing more. */
export function isTokenText(text: string, prefix: TokenPrefix = 'kls_'): boolean {
  const match = TOKEN.exec(text);
  return match?.[1] === prefix && checksum(match[2]!) === match[3];
}

/** What is stored of a token and looked up by: SHA-256 of its text. 256 random bits need no salt and no slow hash. */
export const hashToken = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest();

/** The public id of a token: random, independent of the secret. */
export const makeTokenId = (): string => randomBytes(8).toString('hex');

const checksum = (secret: string): string => formatBase62(BigInt(crc32(secret)), CHECK_LENGTH);

function formatBase62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= 62n) text = DIGITS[Number(rest % 62n)]! + text;
  return text.padStart(length, '0');
}
