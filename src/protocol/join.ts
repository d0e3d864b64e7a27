/** How a process joins: it shows a token that lets it in, and that it holds the key it brings. */
import type { Hasher } from '../core/hasher.js';
import type { Signer } from '../core/signer.js';
import { sortTools, writeTools } from './fail-open.js';
import { INSTANCE_BYTES } from './grant.js';
import { sign, SIGNATURE_BYTES } from './signed.js';
import { WireWriter } from './wire.js';

/** The name of an instance: the first 16 bytes of SHA-256(lp(ledger) ‖ public key). */
export function instanceOf(hasher: Hasher, ledger: string, publicKey: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  hasher.sha256(new WireWriter().text(ledger).bytes(publicKey).finish(), digest, 0);
  return digest.subarray(0, INSTANCE_BYTES);
}

/**
 * Shows that whoever joins holds the key, and what it says of itself: a signature, 64 bytes, over lp(token) ‖ public key, and behind them,
 * where tools fail open, count uint16 ‖ lp(tool) … (fail-open.ts). The ledger is not known yet: empty.
 * @param token an enrolment token, a JWT-SVID, or the token of a Kubernetes service account
 */
export const signJoin = (key: Signer, token: string, failOpen: readonly string[] = []): Uint8Array =>
  sign(key, 'join', '', joinBytes(token, key.publicKey, failOpen)).subarray(-SIGNATURE_BYTES);

/** What was signed, with its signature behind it. @throws KeelsonError `out_of_range`: tools that can't be said */
export const signedJoin = (
  token: string,
  publicKey: Uint8Array,
  signature: Uint8Array,
  failOpen: readonly string[] = [],
): Uint8Array =>
  new WireWriter()
    .bytes(joinBytes(token, publicKey, failOpen))
    .bytes(signature)
    .finish();

function joinBytes(token: string, publicKey: Uint8Array, failOpen: readonly string[]): Uint8Array {
  const writer = new WireWriter().text(token).bytes(publicKey);
  return (failOpen.length === 0 ? writer : writeTools(writer, sortTools(failOpen))).finish();
}
