/** One receipt file: an entry, its place in a log, and the signed checkpoint that covers it. Needs no source. */
import { equalBytes } from '../core/bytes.js';
import type { OpenedCheckpoint } from '../core/checkpoint.js';
import { parseEntry, type Entry } from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import { parseNote } from '../core/note.js';
import { checkReceipt, parseReceipt } from '../core/receipt.js';
import { logKeyOf, logOfOrigin } from './ledger-key.js';
import type { Verification } from './verify-log.js';

export interface VerifiedReceipt {
  readonly log: string;
  readonly index: bigint;
  /** The entry's bytes, and what its header says. */
  readonly bytes: Uint8Array;
  readonly entry: Entry;
  readonly checkpoint: OpenedCheckpoint;
}

/**
 * Verifies a receipt's text, for the entry that it carries or, where it carries none, for the bytes in `entry`.
 * @throws KeelsonError `malformed_receipt` (also without any entry), `malformed_checkpoint` (of another ledger),
 * `unknown_signer`, `bad_signature`, `bad_proof` (also where `entry` is not the one carried), `malformed_entry`.
 */
export function verifyReceipt(
  on: Pick<Verification, 'hasher' | 'verifier' | 'key'>,
  text: string,
  entry?: Uint8Array,
): VerifiedReceipt {
  const receipt = parseReceipt(text);
  const bytes = entry ?? receipt.entry;
  if (bytes === undefined)
    throw new KeelsonError('malformed_receipt', 'the receipt carries no entry, and none was given');
  if (receipt.entry !== undefined && !equalBytes(bytes, receipt.entry)) {
    throw new KeelsonError('bad_proof', 'the receipt is of another entry');
  }
  const [origin = ''] = parseNote(receipt.checkpoint).text.split('\n');
  const log = logOfOrigin(on.key, origin);
  if (log === undefined) {
    throw new KeelsonError('malformed_checkpoint', `${JSON.stringify(origin)} is no log of ${on.key.ledger}`);
  }
  const checkpoint = checkReceipt(on.hasher, receipt, bytes, logKeyOf(on.hasher, on.key, log), on.verifier);
  return { log, index: receipt.index, bytes, entry: parseEntry(bytes), checkpoint };
}
