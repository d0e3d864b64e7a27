/**
 * Signed notes (C2SP signed-note): text ending in a newline, an empty line, and signature lines
 * `— <key name> <base64(key id ‖ signature)>`. Parsed strictly: what parses is exactly what formats.
 */
import { encodeUtf8, formatBase64, parseBase64 } from './bytes.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import { formatKeyId, isKeyName, makeVerifierKey, type VerifierKey } from './key.js';
import type { Signer, Verifier } from './signer.js';

const MAX_NOTE_CHARS = 1_000_000;
const MAX_SIGNATURES = 100;
const SIGNATURE_BYTES = 64;
const TIMESTAMP_BYTES = 8;

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** What follows the key id: for Ed25519 64 bytes, for cosignature/v1 an 8-byte time and 64 bytes. */
  readonly bytes: Uint8Array;
}

export interface Note {
  /** With its last newline: what is signed. */
  readonly text: string;
  /** One at least. */
  readonly signatures: readonly NoteSignature[];
}

/** A signature that was checked. */
export interface VerifiedSignature {
  readonly key: VerifierKey;
  /** When a cosigner says it saw the note, seconds since 1970 UTC; only for cosignature/v1. */
  readonly cosignedAtS?: bigint;
}

export interface OpenedNote {
  readonly text: string;
  readonly verified: readonly VerifiedSignature[];
}

export function formatNote(note: Note): string {
  const lines = note.signatures.map(({ name, keyId, bytes }) => {
    const field = new Uint8Array(4 + bytes.length);
    new DataView(field.buffer).setUint32(0, keyId);
    field.set(bytes, 4);
    return `— ${name} ${formatBase64(field)}\n`;
  });
  return `${note.text}\n${lines.join('')}`;
}

/** @throws KeelsonError `malformed_note`. */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE_CHARS) throw malformed('longer than a million characters');
  if (/[\0-\x09\x0b-\x1f]|[\u{d800}-\u{dfff}]/u.test(note)) throw malformed('a control character or lone surrogate');
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw malformed('no text and signatures with an empty line between');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw malformed(`more than ${MAX_SIGNATURES} signatures`);
  return { text: note.slice(0, split + 1), signatures: lines.map(parseSignature) };
}

/** Signs `text`, which ends in a newline, under `name`: the note as text. A name or text that no note can carry throws. */
export function signNote(hasher: Hasher, text: string, name: string, signer: Signer): string {
  const { keyId } = makeVerifierKey(hasher, name, signer.publicKey);
  const note = formatNote({ text, signatures: [{ name, keyId, bytes: signer.sign(encodeUtf8(text)) }] });
  if (parseNote(note).text !== text) throw malformed('the text does not end in one newline');
  return note;
}

/**
 * Checks a note against the keys one trusts. Signatures by others are ignored: anyone may add a line. A line that names
 * one of `keys` and isn't by it is refused, whatever other lines say.
 * @throws KeelsonError `malformed_note`, `unknown_signer` (none of the keys signed), `bad_signature`.
 */
export function openNote(note: string, keys: readonly VerifierKey[], verifier: Verifier): OpenedNote {
  const { text, signatures } = parseNote(note);
  const verified: VerifiedSignature[] = [];
  for (const signature of signatures) {
    const key = keys.find(({ name, keyId }) => name === signature.name && keyId === signature.keyId);
    if (key !== undefined) verified.push(checkSignature(text, signature, key, verifier));
  }
  if (verified.length === 0) {
    const names = signatures.map(({ name, keyId }) => `${name}+${formatKeyId(keyId)}`).join(', ');
    throw new KeelsonError('unknown_signer', `signed by ${names}: none of the keys asked for`);
  }
  return { text, verified };
}

/** What a cosigner signs (C2SP tlog-cosignature): the time, seconds since 1970 UTC, and the whole text. */
export const cosignedMessage = (timeS: bigint, text: string): Uint8Array =>
  encodeUtf8(`cosignature/v1\ntime ${timeS}\n${text}`);

function checkSignature(
  text: string,
  signature: NoteSignature,
  key: VerifierKey,
  verifier: Verifier,
): VerifiedSignature {
  const { bytes } = signature;
  const timed = key.algorithm === 'cosignature/v1';
  const refused = new KeelsonError('bad_signature', `not a signature by ${key.name}+${formatKeyId(key.keyId)}`);
  if (bytes.length !== SIGNATURE_BYTES + (timed ? TIMESTAMP_BYTES : 0)) throw refused;
  if (!timed) {
    if (!verifier.verify(key.publicKey, encodeUtf8(text), bytes)) throw refused;
    return { key };
  }
  const cosignedAtS = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  const message = cosignedMessage(cosignedAtS, text);
  if (!verifier.verify(key.publicKey, message, bytes.subarray(TIMESTAMP_BYTES))) throw refused;
  return { key, cosignedAtS };
}

function parseSignature(line: string): NoteSignature {
  const match = /^— ([^ ]+) ([^ ]+)$/.exec(line);
  const field = parseBase64(match?.[2] ?? '');
  if (match === null || field === undefined || field.length < 5 || !isKeyName(match[1]!)) {
    throw malformed(`not a signature line: ${JSON.stringify(line.slice(0, 100))}`);
  }
  return { name: match[1]!, keyId: new DataView(field.buffer).getUint32(0), bytes: field.slice(4) };
}

const malformed = (what: string): KeelsonError => new KeelsonError('malformed_note', `not a signed note: ${what}`);
