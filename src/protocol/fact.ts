/** A fact: what the table says of one key. Its bytes are what is hashed, sent and kept: key 16 ‖ flags 1 ‖ cutoff int64. */
import { KEY_BYTES } from './keys.js';

export const FACT_BYTES = KEY_BYTES + 9;
/** Flag: refused whatever the token. */
export const BLOCKED = 1;
/** Flag: what was issued up to the cutoff is refused. */
export const HAS_CUTOFF = 2;

/** Neither flag: the table says nothing of the key any more. */
export interface Fact {
  /** 16 bytes. */
  readonly key: Uint8Array;
  readonly blocked: boolean;
  /** Microseconds since 1970 UTC, a safe integer; undefined: none. */
  readonly cutoffUs: number | undefined;
}

/** Writes the 25 bytes of a fact to `out` at `at`. */
export function writeFact(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  blocked: boolean,
  cutoffUs: number | undefined,
): void {
  for (let i = 0; i < KEY_BYTES; i++) out[at + i] = key[keyAt + i]!;
  out[at + KEY_BYTES] = (blocked ? BLOCKED : 0) | (cutoffUs === undefined ? 0 : HAS_CUTOFF);
  const high = Math.floor((cutoffUs ?? 0) / 0x1_0000_0000);
  writeUint32(out, at + KEY_BYTES + 1, high);
  writeUint32(out, at + KEY_BYTES + 5, (cutoffUs ?? 0) - high * 0x1_0000_0000);
}

/** The fact at `bytes[at, at + 25)`; undefined where that is none (other flags, a cutoff that is not exact, or without its flag). */
export function parseFact(bytes: Uint8Array, at = 0): Fact | undefined {
  if (at + FACT_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FACT_BYTES);
  const flags = view.getUint8(KEY_BYTES);
  const cutoffUs = Number(view.getBigInt64(KEY_BYTES + 1));
  if (flags > (BLOCKED | HAS_CUTOFF) || !Number.isSafeInteger(cutoffUs)) return undefined;
  const hasCutoff = (flags & HAS_CUTOFF) !== 0;
  if (!hasCutoff && cutoffUs !== 0) return undefined;
  return {
    key: new Uint8Array(bytes.subarray(at, at + KEY_BYTES)),
    blocked: (flags & BLOCKED) !== 0,
    cutoffUs: hasCutoff ? cutoffUs : undefined,
  };
}

function writeUint32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
