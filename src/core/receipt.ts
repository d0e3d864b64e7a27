/**
 * Offline receipts (C2SP tlog-proof): an entry's index, its inclusion proof and the signed checkpoint it leads to, in one
 * text. Keelson's receipts carry the entry's bytes as the extra data, so that a receipt and a key are all a check needs.
 */
import { formatBase64, parseBase64, parseDecimal } from './bytes.js';
import { openCheckpoint, type OpenedCheckpoint } from './checkpoint.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import type { VerifierKey } from './key.js';
import { HASH_BYTES, hashLeaf } from './merkle.js';
import { parseNote } from './note.js';
import { checkInclusion } from './proof.js';
import type { Verifier } from './signer.js';

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A tree of 2^63 leaves has no longer path. */
const MAX_PROOF_HASHES = 63;

export interface Receipt {
  /** The entry's bytes. */
  readonly entry?: Uint8Array;
  readonly index: bigint;
  /** From leaf to root. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

export function formatReceipt({ entry, index, proof, checkpoint }: Receipt): string {
  const extra = entry === undefined ? [] : [`extra ${formatBase64(entry)}`];
  return [HEADER, ...extra, `index ${index}`, ...proof.map(formatBase64), '', checkpoint].join('\n');
}

/** @throws KeelsonError `malformed_receipt` for any text but one that `formatReceipt` writes. */
export function parseReceipt(text: string): Receipt {
  const split = text.indexOf('\n\n');
  if (split < 0) throw malformed('no empty line before the checkpoint');
  const lines = text.slice(0, split).split('\n');
  const checkpoint = text.slice(split + 2);
  if (lines.shift() !== HEADER) throw malformed(`the first line is not ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') ? parseBase64(lines.shift()!.slice('extra '.length)) : null;
  if (extra === undefined) throw malformed('the extra data is not base64');
  const indexLine = lines.shift() ?? '';
  const index = indexLine.startsWith('index ') ? parseDecimal(indexLine.slice('index '.length)) : undefined;
  if (index === undefined) throw malformed('no index, a canonical decimal');
  if (lines.length > MAX_PROOF_HASHES) throw malformed(`more than ${MAX_PROOF_HASHES} hashes`);
  const proof = lines.map((line) => {
    const hash = parseBase64(line);
    if (hash?.length !== HASH_BYTES) throw malformed('a hash is not 32 bytes of base64');
    return hash;
  });
  try {
    parseNote(checkpoint);
  } catch (cause) {
    throw new KeelsonError('malformed_receipt', 'not a receipt: its checkpoint is not a signed note', { cause });
  }
  return extra === null ? { index, proof, checkpoint } : { entry: extra, index, proof, checkpoint };
}

/**
 * Checks that `entry` stands at the receipt's index in the log whose checkpoint `key` signed: answers that checkpoint.
 * @throws KeelsonError `malformed_note`, `unknown_signer`, `bad_signature`, `malformed_checkpoint`, `bad_proof`.
 */
export function checkReceipt(
  hasher: Hasher,
  receipt: Receipt,
  entry: Uint8Array,
  key: VerifierKey,
  verifier: Verifier,
  cosigners: readonly VerifierKey[] = [],
): OpenedCheckpoint {
  const checkpoint = openCheckpoint(receipt.checkpoint, key, verifier, cosigners);
  checkInclusion(hasher, receipt.index, hashLeaf(hasher, entry), receipt.proof, checkpoint);
  return checkpoint;
}

const malformed = (what: string): KeelsonError => new KeelsonError('malformed_receipt', `not a receipt: ${what}`);
