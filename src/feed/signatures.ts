/**
 * What instances sign, checked on other threads. Ten thousand of them ask and attest some thousand times a second, an eighth of a millisecond
 * each: an order would wait behind them.
 */
import { verifyLater } from '../platform/signer.js';
import { notSigned, splitSigned, type Realm, type SignedAs } from '../protocol/signed.js';

/** @throws KeelsonError `bad_signature`: not signed by the key of this instance, or of who would be one */
export async function checkSignedBy(
  { publicKey }: { readonly publicKey: Uint8Array },
  { ledger }: Pick<Realm, 'ledger'>,
  as: SignedAs,
  signed: Uint8Array,
): Promise<void> {
  const { bytes, signature } = splitSigned(as, ledger, signed);
  if (!(await verifyLater(publicKey, bytes, signature))) throw notSigned(as, ledger);
}
