/** Entry bundles (C2SP tlog-tiles, "Log entries"): for each entry its length as uint16, big-endian, and its bytes. */
import { KeelsonError } from './error.js';
import { TILE_WIDTH } from './tile.js';

/** The greatest length of an entry: what its uint16 length can say. */
export const MAX_ENTRY_BYTES = 65_535;

/** @throws KeelsonError `out_of_range` for an entry longer than 65,535 bytes, or more than 256 of them. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length > TILE_WIDTH)
    throw new KeelsonError('out_of_range', `a bundle holds 256 entries, not ${entries.length}`);
  const bundle = new Uint8Array(entries.reduce((bytes, entry) => bytes + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES) throw new KeelsonError('out_of_range', `an entry of ${entry.length} bytes`);
    bundle[at] = entry.length >> 8;
    bundle[at + 1] = entry.length & 0xff;
    bundle.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bundle;
}

/**
 * The entries of a bundle, as views on it.
 * @throws KeelsonError `malformed_tile` where it holds more or fewer than `width` of them or ends within one; `index` is
 * then the place in the bundle up to which it could be read.
 */
export function parseBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const { entries, rest } = readBundle(bundle);
  if (entries.length !== width || rest > 0) {
    const message = `a bundle of ${width} entries holds ${entries.length} and ${rest} bytes more`;
    throw new KeelsonError('malformed_tile', message, { index: BigInt(Math.min(entries.length, width)) });
  }
  return entries;
}

/** As many whole entries as there are, as views, and how many bytes are left behind them. For who must say where it broke. */
export function readBundle(bundle: Uint8Array): { entries: Uint8Array[]; rest: number } {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at + 2 <= bundle.length) {
    const end = at + 2 + ((bundle[at]! << 8) | bundle[at + 1]!);
    if (end > bundle.length) break;
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return { entries, rest: bundle.length - at };
}
