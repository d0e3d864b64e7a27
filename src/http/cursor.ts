/**
 * Keyset cursors: the position after which the next page starts, opaque to the client and bound by a MAC to the list it
 * came from. A client can't make one up, move one to another list, or change the filters under one.
 *
 * Text = base64url(16 bytes of HMAC-SHA-256(key, lp(list) ‖ position JSON) ‖ position JSON).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { KeelsonError } from '../core/error.js';

const MAC_BYTES = 16;
const MAX_TEXT = 2048;

export interface Cursors {
  /** `list` names the list and everything that shapes it: path, filters, direction. */
  format(list: string, position: readonly string[]): string;
  /** @throws KeelsonError `invalid_cursor` unless `format` made it for this very list. */
  parse(list: string, text: string): string[];
}

/** Cursors under one key (32 bytes; the keyring's `cursor` key). */
export function createCursors(key: Uint8Array): Cursors {
  const mac = (list: string, position: Buffer): Buffer => {
    const name = Buffer.from(list, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(name.length);
    return createHmac('sha256', key).update(length).update(name).update(position).digest().subarray(0, MAC_BYTES);
  };
  return {
    format(list, position) {
      const bytes = Buffer.from(JSON.stringify(position), 'utf8');
      return Buffer.concat([mac(list, bytes), bytes]).toString('base64url');
    },
    parse(list, text) {
      const bytes = Buffer.from(text.length > MAX_TEXT ? '' : text, 'base64url');
      const position = bytes.subarray(MAC_BYTES);
      const given = bytes.subarray(0, MAC_BYTES);
      if (
        given.length < MAC_BYTES ||
        bytes.toString('base64url') !== text ||
        !timingSafeEqual(given, mac(list, position))
      ) {
        throw new KeelsonError('invalid_cursor', 'this cursor is not one that this list gave out', {
          pointer: '/cursor',
        });
      }
      return JSON.parse(position.toString('utf8')) as string[];
    },
  };
}
