/**
 * Keys of Standard Webhooks as text: `whsec_` and base64 of a shared secret (24 to 64 bytes), `whsk_` of an Ed25519 private key (its
 * 32-byte seed, or seed and public key), `whpk_` of a public one (32 bytes).
 */
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import { nodeSigner } from '../platform/signer.js';

/** What signs a webhook. */
export type SigningKey =
  | { readonly scheme: 'v1'; readonly secret: KeyObject }
  | { readonly scheme: 'v1a'; readonly signer: Pick<Signer, 'sign'> };

/** What a webhook is checked with. */
export type CheckingKey =
  { readonly scheme: 'v1'; readonly secret: KeyObject } | { readonly scheme: 'v1a'; readonly publicKey: Uint8Array };

const SECRET_BYTES = { min: 24, max: 64 };
const MADE_BYTES = 32;

/** A fresh shared secret, `whsec_…`. */
export const makeSecret = (): string => `whsec_${randomBytes(MADE_BYTES).toString('base64')}`;

/** @throws KeelsonError `malformed_key`; never with the text in it */
export function parseSigningKey(text: string): SigningKey {
  if (!text.startsWith('whsk_')) return parseSecret(text);
  const bytes = readBase64(text.slice('whsk_'.length));
  if (bytes.length !== 32 && bytes.length !== 64) throw malformed('whsk_ holds a seed of 32 bytes, or 64 with its key');
  const signer = nodeSigner(bytes.subarray(0, 32));
  if (bytes.length === 64 && !bytes.subarray(32).equals(signer.publicKey)) {
    throw malformed('the public key in whsk_ is not that of its seed');
  }
  return { scheme: 'v1a', signer };
}

/** @throws KeelsonError `malformed_key`; never with the text in it */
export function parseCheckingKey(text: string): CheckingKey {
  if (!text.startsWith('whpk_')) return parseSecret(text);
  const publicKey = readBase64(text.slice('whpk_'.length));
  if (publicKey.length !== 32) throw malformed('whpk_ holds a public key of 32 bytes');
  return { scheme: 'v1a', publicKey };
}

function parseSecret(text: string): { readonly scheme: 'v1'; readonly secret: KeyObject } {
  if (!text.startsWith('whsec_')) throw malformed('a key begins with whsec_, whsk_ or whpk_');
  const bytes = readBase64(text.slice('whsec_'.length));
  if (bytes.length < SECRET_BYTES.min || bytes.length > SECRET_BYTES.max) {
    throw malformed(`whsec_ holds ${SECRET_BYTES.min} to ${SECRET_BYTES.max} bytes`);
  }
  return { scheme: 'v1', secret: createSecretKey(bytes) };
}

function readBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) throw malformed('a key is base64');
  return bytes;
}

const malformed = (message: string): KeelsonError => new KeelsonError('malformed_key', message);
