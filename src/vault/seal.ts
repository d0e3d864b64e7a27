import { createCipheriv, createDecipheriv, hash, timingSafeEqual } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import type { FieldCommitment, SealedBlock, SealedField } from '../events/index.js';
import { drawRandom, lengthPrefixed } from './bytes.js';
import { putMac, putMacPrefixed, setMacKey, takeMac, toBytes, writeText, type Binary } from './mac.js';

/** What a block is bound to: the record it stands in. */
export interface SealContext {
  /** Event id. */
  readonly id: string;
  /** The schema's 8 fingerprint bytes, as in the record. */
  readonly fingerprint: Uint8Array;
  /** The record's 16 `blind` bytes. */
  readonly blind: Uint8Array;
}

/** A person, or a record's own, with the key that everything of theirs is sealed under. */
export interface Subject {
  /** 16 random bytes. */
  readonly pseudonym: Buffer;
  /** 32 random bytes. */
  readonly key: Buffer;
}

const SEAL_INFO = Buffer.from('keelson/seal/1\x01');
const COMMIT_INFO = Buffer.from('keelson/commit/1\x01');
const TAG_BYTES = 16;
const PADDING_BYTES = 64;

/** HKDF-SHA-256 (RFC 5869) with 32 bytes of output: one extraction, and one block of expansion for each use. */
function deriveKeys(key: Uint8Array, blind: Uint8Array): { seal: Binary; commit: Binary } {
  setMacKey(blind);
  putMac(key);
  setMacKey(takeMac());
  putMac(SEAL_INFO);
  const seal = takeMac();
  putMac(COMMIT_INFO);
  return { seal, commit: takeMac() };
}

/** The key of each field's commitment. */
function deriveFieldKeys(commit: Binary, id: string, fields: readonly { readonly pointer: string }[]): Binary[] {
  setMacKey(commit);
  return fields.map(({ pointer }) => {
    putMacPrefixed(id);
    putMacPrefixed(pointer);
    return takeMac();
  });
}

/**
 * Seals fields under a subject's key: docs/record.md, "Sealed block".
 * @param nonce 12 bytes, random unless a vector is made.
 */
export function sealBlock(
  subject: Subject,
  context: SealContext,
  fields: readonly SealedField[],
  nonce: Buffer = drawRandom(12),
): SealedBlock {
  const { seal, commit } = deriveKeys(subject.key, context.blind);
  const fieldKeys = deriveFieldKeys(commit, context.id, fields);
  return {
    subject: subject.pseudonym,
    nonce,
    ciphertext: encrypt(seal, nonce, additionalData(subject.pseudonym, context), layOut(fields)),
    blob: null,
    fields: fields.map(({ pointer, text }, i) => ({
      pointer,
      commitment: toBytes(commitTo(fieldKeys[i]!, context.fingerprint, pointer, text)),
    })),
  };
}

/**
 * Opens a block: the texts of its fields, each held against its commitment.
 * @param ciphertext the blob's bytes, where the block names one.
 * @throws KeelsonError `tampered`: another key, record or ciphertext than it was sealed with, or a commitment to another text.
 */
export function openBlock(
  subjectKey: Uint8Array,
  context: SealContext,
  block: SealedBlock,
  ciphertext: Uint8Array = block.ciphertext,
): SealedField[] {
  const keys = deriveKeys(subjectKey, context.blind);
  const texts = splitTexts(decrypt(toBytes(keys.seal), context, block, ciphertext), block.fields.length);
  const fieldKeys = deriveFieldKeys(keys.commit, context.id, block.fields);
  return block.fields.map((field, i) => {
    const text = texts[i]!;
    if (!checkCommitment(toBytes(fieldKeys[i]!), context.fingerprint, field, text)) {
      throw new KeelsonError('tampered', 'a sealed field is not what was committed to', { pointer: field.pointer });
    }
    return { pointer: field.pointer, text };
  });
}

/** What opens one field to an auditor: its text, and the key that its commitment is checked with. Nothing else opens by it. */
export interface FieldOpening extends SealedField {
  /** 32 bytes. */
  readonly fieldKey: Buffer;
}

/**
 * Opens one field of a block, in a form that can be handed out.
 * @throws KeelsonError `tampered` as `openBlock`, `not_found`: no such field in this block.
 */
export function openField(
  subjectKey: Uint8Array,
  context: SealContext,
  block: SealedBlock,
  pointer: string,
  ciphertext: Uint8Array = block.ciphertext,
): FieldOpening {
  const field = openBlock(subjectKey, context, block, ciphertext).find((one) => one.pointer === pointer);
  if (!field) throw new KeelsonError('not_found', 'no such field in this block', { pointer });
  const { commit } = deriveKeys(subjectKey, context.blind);
  const [fieldKey] = deriveFieldKeys(commit, context.id, [field]);
  return { ...field, fieldKey: toBytes(fieldKey!) };
}

/** Whether a field's commitment is to this text: all an auditor needs is the record and a `FieldOpening`. */
export function checkCommitment(
  fieldKey: Uint8Array,
  fingerprint: Uint8Array,
  field: FieldCommitment,
  text: string,
): boolean {
  return timingSafeEqual(toBytes(commitTo(fieldKey, fingerprint, field.pointer, text)), field.commitment);
}

function commitTo(fieldKey: Uint8Array | Binary, fingerprint: Uint8Array, pointer: string, text: string): Binary {
  setMacKey(fieldKey);
  putMacPrefixed(fingerprint);
  putMacPrefixed(pointer);
  putMac(text);
  return takeMac();
}

const additionalData = (subject: Uint8Array, { id, fingerprint }: SealContext): Buffer =>
  lengthPrefixed(id, subject, fingerprint);

/** lp(text of each field) ‖ `80` ‖ zeros up to a multiple of 64 bytes: lengths say little about contents. */
function layOut(fields: readonly SealedField[]): Buffer {
  let room = PADDING_BYTES;
  for (const { text } of fields) room += 4 + text.length * 3;
  const plain = room <= scratch.length ? scratch : Buffer.allocUnsafeSlow(room);
  let at = 0;
  for (const { text } of fields) {
    const end = writeText(plain, text, at + 4);
    plain.writeUInt32BE(end - at - 4, at);
    at = end;
  }
  const size = Math.ceil((at + 1) / PADDING_BYTES) * PADDING_BYTES;
  plain.fill(0, at, size);
  plain[at] = 0x80;
  return plain.subarray(0, size);
}

const scratch = Buffer.alloc(16 * 1024);
const cipherKey = Buffer.alloc(32);

/** AES-256-GCM ciphertext ‖ tag. */
function encrypt(key: Binary, nonce: Buffer, about: Buffer, plain: Buffer): Buffer {
  cipherKey.write(key, 'latin1');
  const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce);
  cipher.setAAD(about);
  const body = cipher.update(plain);
  cipher.final();
  const sealed = Buffer.allocUnsafe(body.length + TAG_BYTES);
  sealed.set(body);
  sealed.set(cipher.getAuthTag(), body.length);
  return sealed;
}

function decrypt(key: Buffer, context: SealContext, block: SealedBlock, ciphertext: Uint8Array): Buffer {
  const end = ciphertext.length - TAG_BYTES;
  if (end < 0) throw new KeelsonError('tampered', 'a sealed block is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, block.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(block.subject, context));
  decipher.setAuthTag(ciphertext.subarray(end));
  const plain = decipher.update(ciphertext.subarray(0, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new KeelsonError('tampered', 'a sealed block does not open', { cause });
  }
  return plain;
}

/** The pair of `pad(lengthPrefixed(…))`, read strictly. */
function splitTexts(plain: Buffer, count: number): string[] {
  const texts: string[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const end = at + 4 <= plain.length ? at + 4 + plain.readUInt32BE(at) : Infinity;
    if (end > plain.length) throw new KeelsonError('tampered', 'a sealed block holds less than it says');
    texts.push(plain.toString('utf8', at + 4, end));
    at = end;
  }
  const padding = plain.subarray(at);
  if (padding[0] !== 0x80 || padding.length > PADDING_BYTES || padding.subarray(1).some((byte) => byte !== 0)) {
    throw new KeelsonError('tampered', 'a sealed block holds more than it says');
  }
  return texts;
}

/** Takes the ciphertext out of a block that is to lie in a blob; the pair of handing `openBlock` the blob's bytes. */
export function detachCiphertext(block: SealedBlock): { block: SealedBlock; ciphertext: Buffer } {
  const { ciphertext } = block;
  const blob = { sha256: hash('sha256', ciphertext, 'buffer'), length: BigInt(ciphertext.length) };
  return { block: { ...block, ciphertext: Buffer.alloc(0), blob }, ciphertext };
}
