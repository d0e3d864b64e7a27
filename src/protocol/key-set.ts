/**
 * The feed keys in force: signed by the root key, which guards pin when they are enrolled and which need not be on any server.
 *
 *     "KKS1" ‖ version uint64 ‖ expires uint64 ‖ count uint8 ‖ public keys, 32 bytes each ‖ signature 64, by the root
 *
 * A guard never goes back to a lower version, so a key that a newer set leaves out is of no use to who stole it.
 */
import type { Signer } from '../core/signer.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KKS1';
const KEY_BYTES = 32;
/** Two, while one takes over from the other; more only if an operator needs them. */
export const MAX_FEED_KEYS = 8;

export interface FeedKeySet {
  /** From 1; each is greater than the one before. */
  readonly version: number;
  /** Microseconds since 1970 UTC: from then on nothing that these keys sign counts. */
  readonly expiresUs: number;
  /** 32 bytes each; 1 to 8. */
  readonly publicKeys: readonly Uint8Array[];
}

export function signKeySet(root: Signer, ledger: string, { version, expiresUs, publicKeys }: FeedKeySet): Uint8Array {
  if (publicKeys.length < 1 || publicKeys.length > MAX_FEED_KEYS) throw new Error(`${publicKeys.length} feed keys`);
  const writer = new WireWriter(MAGIC).uint64(version).uint64(expiresUs).uint8(publicKeys.length);
  for (const key of publicKeys) writer.bytes(key);
  return sign(root, 'feed-keys', ledger, writer.finish());
}

/** @throws KeelsonError `malformed_message`, `bad_signature` */
export function openKeySet(realm: Realm, rootKey: Uint8Array, bytes: Uint8Array): FeedKeySet {
  const reader = new WireReader(bytes, MAGIC);
  const version = reader.uint64();
  const expiresUs = reader.uint64();
  const count = reader.uint8();
  if (count < 1 || count > MAX_FEED_KEYS) reader.fail(`${count} keys`);
  const publicKeys = Array.from({ length: count }, () => new Uint8Array(reader.bytes(KEY_BYTES)));
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  checkSignature(realm, [rootKey], 'feed-keys', bytes);
  return { version, expiresUs, publicKeys };
}
