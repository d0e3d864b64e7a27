/**
 * Checkpoints (C2SP tlog-checkpoint): the signed statement of a log's size and root. The text is origin, size and root,
 * a line each; Keelson writes no extension lines and reads none. The key's name is the origin.
 */
import { formatBase64, parseBase64, parseDecimal } from './bytes.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import { isKeyName, type VerifierKey } from './key.js';
import { HASH_BYTES } from './merkle.js';
import { openNote, signNote, type VerifiedSignature } from './note.js';
import type { TreeHead } from './proof.js';
import type { Signer, Verifier } from './signer.js';

export interface Checkpoint extends TreeHead {
  /** The log's name, unique in the world: `<ledger name>/decisions/0/g1`. */
  readonly origin: string;
}

export interface OpenedCheckpoint extends Checkpoint {
  /** The checked signatures: the log's own and those of known cosigners. */
  readonly verified: readonly VerifiedSignature[];
}

/** The text that is signed. An origin, size or root that it can't carry is a broken invariant. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (!isKeyName(origin) || size < 0n || size >> 63n || root.length !== HASH_BYTES) throw new Error('not a checkpoint');
  return `${origin}\n${size}\n${formatBase64(root)}\n`;
}

/** @throws KeelsonError `malformed_checkpoint` for any text but the one that `formatCheckpoint` writes. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, sizeText, rootText, end, ...more] = text.split('\n');
  const size = parseDecimal(sizeText ?? '');
  const root = parseBase64(rootText ?? '');
  if (origin === undefined || !isKeyName(origin)) throw malformed('no origin');
  if (size === undefined) throw malformed('the size is not a canonical decimal');
  if (root?.length !== HASH_BYTES) throw malformed('the root is not 32 bytes of base64');
  if (end !== '' || more.length > 0) throw malformed('not three lines');
  return { origin, size, root };
}

/** The signed note of a checkpoint, under its origin. */
export const signCheckpoint = (hasher: Hasher, checkpoint: Checkpoint, signer: Signer): string =>
  signNote(hasher, formatCheckpoint(checkpoint), checkpoint.origin, signer);

/**
 * Opens the note of a log's checkpoint: signed by `key`, and of the origin that is the key's name. Lines by `cosigners`
 * are checked too; how many of them are enough is the caller's to say.
 * @throws KeelsonError `malformed_note`, `unknown_signer`, `bad_signature`, `malformed_checkpoint`.
 */
export function openCheckpoint(
  note: string,
  key: VerifierKey,
  verifier: Verifier,
  cosigners: readonly VerifierKey[] = [],
): OpenedCheckpoint {
  const { text, verified } = openNote(note, [key, ...cosigners], verifier);
  if (!verified.some((signature) => signature.key === key)) {
    throw new KeelsonError('unknown_signer', `cosigned, but not signed by ${key.name}`);
  }
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== key.name) throw malformed(`the origin is ${checkpoint.origin}, not ${key.name}`);
  return { ...checkpoint, verified };
}

const malformed = (what: string): KeelsonError => new KeelsonError('malformed_checkpoint', `not a checkpoint: ${what}`);
