/**
 * What is signed between server and guard, and how: Ed25519 over lp("keelson/<what>/v1") ‖ lp(ledger) ‖ the bytes of the message up to its
 * signature, with lp(x) the UTF-8 bytes of x behind their length, a big-endian uint32. So nothing that was signed as one thing, or for one
 * ledger, passes for another.
 */
import { KeelsonError } from '../core/error.js';
import type { Signer, Verifier } from '../core/signer.js';
import { WireWriter } from './wire.js';

export const SIGNATURE_BYTES = 64;

export type SignedAs =
  'head' | 'grant' | 'feed-keys' | 'lease-request' | 'ack' | 'request' | 'join' | 'fail-open' | 'certificate';

/** Whose messages they are, and who tells whether they are signed. */
export interface Realm {
  /** The ledger's name. */
  readonly ledger: string;
  readonly verifier: Verifier;
}

/** `message` with its signature behind it. */
export function sign(signer: Signer, as: SignedAs, ledger: string, message: Uint8Array): Uint8Array {
  const signed = new Uint8Array(message.length + SIGNATURE_BYTES);
  signed.set(message);
  signed.set(signer.sign(signedBytes(as, ledger, message)), message.length);
  return signed;
}

/**
 * Checks the signature at the end of `signed`, by any of the keys.
 * @throws KeelsonError `bad_signature`
 */
export function checkSignature(
  { ledger, verifier }: Realm,
  publicKeys: readonly Uint8Array[],
  as: SignedAs,
  signed: Uint8Array,
): void {
  const { bytes, signature } = splitSigned(as, ledger, signed);
  if (!publicKeys.some((key) => verifier.verify(key, bytes, signature))) throw notSigned(as, ledger);
}

/** What the signature at the end of `signed` has to be of, and the signature: for those who let others check it. */
export function splitSigned(
  as: SignedAs,
  ledger: string,
  signed: Uint8Array,
): { readonly bytes: Uint8Array; readonly signature: Uint8Array } {
  const end = Math.max(0, signed.length - SIGNATURE_BYTES);
  return { bytes: signedBytes(as, ledger, signed.subarray(0, end)), signature: signed.subarray(end) };
}

export const notSigned = (as: SignedAs, ledger: string): KeelsonError =>
  new KeelsonError('bad_signature', `not signed as ${as} of ${ledger}`);

const signedBytes = (as: SignedAs, ledger: string, message: Uint8Array): Uint8Array =>
  new WireWriter().text(`keelson/${as}/v1`).text(ledger).bytes(message).finish();
