/** How a process joins: it shows an enrolment token and that it holds the key it brings. */
import type { Hasher } from '../core/hasher.js';
import type { Signer } from '../core/signer.js';
import { INSTANCE_BYTES } from './grant.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';
import { WireWriter } from './wire.js';

/** The name of an instance: the first 16 bytes of SHA-256(lp(ledger) ‖ public key). */
export function instanceOf(hasher: Hasher, ledger: string, publicKey: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  hasher.sha256(new WireWriter().text(ledger).bytes(publicKey).finish(), digest, 0);
  return digest.subarray(0, INSTANCE_BYTES);
}

/** Shows that whoever joins holds the key: a signature, 64 bytes, over lp(token) ‖ public key. The ledger is not known yet: empty. */
export const signJoin = (key: Signer, token: string): Uint8Array =>
  sign(key, 'join', '', joinBytes(token, key.publicKey)).subarray(-SIGNATURE_BYTES);

/** @throws KeelsonError `bad_signature` */
export function checkJoin(
  verifier: Realm['verifier'],
  token: string,
  publicKey: Uint8Array,
  signature: Uint8Array,
): void {
  const signed = new WireWriter().bytes(joinBytes(token, publicKey)).bytes(signature).finish();
  checkSignature({ ledger: '', verifier }, [publicKey], 'join', signed);
}

const joinBytes = (token: string, publicKey: Uint8Array): Uint8Array =>
  new WireWriter().text(token).bytes(publicKey).finish();
