/**
 * Verifier keys of signed notes (C2SP signed-note, "Verifier keys"): `<name>+<key id>+<base64(type ‖ public key)>`.
 * The key id is the first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
 */
import { encodeUtf8, formatBase64, parseBase64 } from './bytes.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import { digest } from './merkle.js';

/** 0x01: signs the note's text. 0x04: cosignature/v1, signs a time and the text. */
export type KeyAlgorithm = 'ed25519' | 'cosignature/v1';
const TYPES: Record<KeyAlgorithm, number> = { ed25519: 0x01, 'cosignature/v1': 0x04 };

export interface VerifierKey {
  readonly name: string;
  readonly algorithm: KeyAlgorithm;
  /** 32 bytes of Ed25519. */
  readonly publicKey: Uint8Array;
  /** 0 to 2^32 − 1. */
  readonly keyId: number;
}

/**
 * The verifier key of that name. A log's key name is its origin, so one public key makes a verifier key for every log.
 * @throws KeelsonError `malformed_key` for a name that a note can't carry, or a public key that is not 32 bytes.
 */
export function makeVerifierKey(
  hasher: Hasher,
  name: string,
  publicKey: Uint8Array,
  algorithm: KeyAlgorithm = 'ed25519',
): VerifierKey {
  if (!isKeyName(name)) throw new KeelsonError('malformed_key', `not a key name: ${JSON.stringify(name)}`);
  if (publicKey.length !== 32) throw new KeelsonError('malformed_key', `a public key of ${publicKey.length} bytes`);
  const prefix = encodeUtf8(`${name}\n`);
  const input = new Uint8Array(prefix.length + 33);
  input.set(prefix);
  input[prefix.length] = TYPES[algorithm];
  input.set(publicKey, prefix.length + 1);
  const keyId = new DataView(digest(hasher, input).buffer).getUint32(0);
  return { name, algorithm, publicKey, keyId };
}

export function formatVerifierKey(key: VerifierKey): string {
  const bytes = new Uint8Array(33);
  bytes[0] = TYPES[key.algorithm];
  bytes.set(key.publicKey, 1);
  return `${key.name}+${formatKeyId(key.keyId)}+${formatBase64(bytes)}`;
}

/** @throws KeelsonError `malformed_key`: not of that form, of an unknown type, or its id is not its hash. */
export function parseVerifierKey(hasher: Hasher, text: string): VerifierKey {
  const match = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text);
  const bytes = parseBase64(match?.[3] ?? '');
  const algorithm = (Object.keys(TYPES) as KeyAlgorithm[]).find((name) => TYPES[name] === bytes?.[0]);
  if (match === null || bytes?.length !== 33 || algorithm === undefined) {
    throw new KeelsonError('malformed_key', 'not a verifier key: <name>+<8 hex digits>+<base64 of an Ed25519 key>');
  }
  const key = makeVerifierKey(hasher, match[1]!, bytes.slice(1), algorithm);
  if (formatKeyId(key.keyId) !== match[2]) throw new KeelsonError('malformed_key', `the key id is not ${match[2]}`);
  return key;
}

/** Not empty, no white space or control character, no plus. */
export const isKeyName = (name: string): boolean => /^[^\s\0-\x1f\x7f-\x9f+\u{d800}-\u{dfff}]+$/u.test(name);

export const formatKeyId = (keyId: number): string => keyId.toString(16).padStart(8, '0');
