import * as crypto from 'node:crypto';
import type { Hasher } from '../core/hasher.js';

/** What node:crypto offers and its types do not say: digests as latin1 text, one character per byte. */
type HashText = (algorithm: string, data: Uint8Array, encoding: 'latin1') => string;
type WriteText = (this: Uint8Array, text: string, offset: number, length: number) => number;

const hashText = crypto.hash as unknown as HashText;
const writeText = (Buffer.prototype as unknown as { latin1Write: WriteText }).latin1Write;

/**
 * SHA-256 by OpenSSL. The digest crosses into JavaScript as a latin1 string: a string is cheaper to make than a Buffer,
 * which is most of the cost for inputs of some hundred bytes (`npm run bench:ledger` shows the difference).
 */
export const nodeHasher: Hasher = {
  sha256(input, out, offset) {
    if (offset < 0 || offset + 32 > out.length) throw new Error('sha256: no room for 32 bytes');
    writeText.call(out, hashText('sha256', input, 'latin1'), offset, 32);
  },
};
