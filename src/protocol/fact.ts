/** A fact: what the table says of one key. Its bytes are what is hashed, sent and kept: key 16 ‖ flags 1 ‖ value int64. */
import { KEY_BYTES } from './keys.js';

export const FACT_BYTES = KEY_BYTES + 9;
/** Flag: refused whatever the token. */
export const BLOCKED = 1;
/** Flag: what was issued up to the cutoff is refused. */
export const HAS_CUTOFF = 2;

/** Flag, alone: how stale a table may be for a tool. */
export const IS_STALENESS = 4;

/** None of the three: the table says nothing of the key any more. */
export interface Fact {
  /** 16 bytes. */
  readonly key: Uint8Array;
  readonly blocked: boolean;
  /** Microseconds since 1970 UTC, a safe integer; undefined: none. */
  readonly cutoffUs: number | undefined;
  /** Microseconds; of keys of the type `staleness`, which have nothing else. */
  readonly stalenessUs?: number;
}

/** Of a fact's value: its flags, and its cutoff or staleness, 0 without either. */
export const flagsOf = ({ blocked, cutoffUs, stalenessUs }: Omit<Fact, 'key'>): number =>
  stalenessUs !== undefined ? IS_STALENESS : (blocked ? BLOCKED : 0) | (cutoffUs === undefined ? 0 : HAS_CUTOFF);

/** Writes the 25 bytes of a fact to `out` at `at`. @param valueUs a safe integer. */
export function writeFact(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  flags: number,
  valueUs: number,
): void {
  for (let i = 0; i < KEY_BYTES; i++) out[at + i] = key[keyAt + i]!;
  out[at + KEY_BYTES] = flags;
  const high = Math.floor(valueUs / 0x1_0000_0000);
  writeUint32(out, at + KEY_BYTES + 1, high);
  writeUint32(out, at + KEY_BYTES + 5, valueUs - high * 0x1_0000_0000);
}

/** The fact at `bytes[at, at + 25)`; undefined where that is none (other flags, a value that is not exact, or without its flag). */
export function parseFact(bytes: Uint8Array, at = 0): Fact | undefined {
  if (at + FACT_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FACT_BYTES);
  const flags = view.getUint8(KEY_BYTES);
  const valueUs = Number(view.getBigInt64(KEY_BYTES + 1));
  if (flags > IS_STALENESS || !Number.isSafeInteger(valueUs)) return undefined;
  const key = new Uint8Array(bytes.subarray(at, at + KEY_BYTES));
  if (flags === IS_STALENESS) {
    return valueUs < 0 ? undefined : { key, blocked: false, cutoffUs: undefined, stalenessUs: valueUs };
  }
  const hasCutoff = (flags & HAS_CUTOFF) !== 0;
  if (!hasCutoff && valueUs !== 0) return undefined;
  return { key, blocked: (flags & BLOCKED) !== 0, cutoffUs: hasCutoff ? valueUs : undefined };
}

function writeUint32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
