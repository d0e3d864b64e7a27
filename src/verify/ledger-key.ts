/** One public key signs every log of a ledger; a log's key is named by its origin, `<ledger name>/<log>`. */
import { makeVerifierKey, parseVerifierKey, type VerifierKey } from '../core/key.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';

export interface LedgerKey {
  /** The ledger's name. */
  readonly ledger: string;
  /** 32 bytes of Ed25519. */
  readonly publicKey: Uint8Array;
}

const LOG = /^([a-z]+)\/(0|[1-9][0-9]{0,9})\/g([1-9][0-9]{0,9})$/;
const ORIGIN = /^(.+)\/([a-z]+\/(?:0|[1-9][0-9]{0,9})\/g[1-9][0-9]{0,9})$/;

/**
 * The ledger's key out of a verifier key, named by the ledger or by any of its logs.
 * @throws KeelsonError `malformed_key`.
 */
export function parseLedgerKey(hasher: Hasher, text: string): LedgerKey {
  const { name, algorithm, publicKey } = parseVerifierKey(hasher, text);
  if (algorithm !== 'ed25519') throw new KeelsonError('malformed_key', "a cosigner's key, not a ledger's");
  return { ledger: ORIGIN.exec(name)?.[1] ?? name, publicKey };
}

/** The verifier key of one of the ledger's logs. */
export const logKeyOf = (hasher: Hasher, key: LedgerKey, log: string): VerifierKey =>
  makeVerifierKey(hasher, `${key.ledger}/${log}`, key.publicKey);

/** `decisions/0/g1` out of its origin in this ledger; undefined for another ledger's, or no origin of a log. */
export function logOfOrigin(key: LedgerKey, origin: string): string | undefined {
  const log = origin.startsWith(`${key.ledger}/`) ? origin.slice(key.ledger.length + 1) : '';
  return LOG.test(log) ? log : undefined;
}

/** The partition that a log holds: the number in its name. */
export const partitionOfLog = (log: string): number => Number(LOG.exec(log)?.[2] ?? Number.NaN);
