/**
 * Ids in few bytes: a UUID in 16 and a SHA-256 in 32, where they are written in lower case, as nearly all are. Every id has exactly one
 * form and one row of bytes.
 */

/** How the bytes of an id are to be read. */
export const FORM = { plain: 0, uuid: 1, digest: 2 } as const;

const UUID_CHARS = 36;
const DIGEST_CHARS = 64;
/** Hexadecimal digits by their character; 255: none. */
const NIBBLES = new Uint8Array(128).fill(255);
for (let i = 0; i < 16; i++) NIBBLES[i.toString(16).charCodeAt(0)] = i;

/** What `packId` wrote last. */
export const packed = { form: 0, length: 0 };

/** Writes an id to the beginning of `out`; how, is in `packed`. */
export function packId(id: string | Uint8Array, out: Buffer): void {
  packed.form = FORM.plain;
  if (typeof id !== 'string') {
    out.set(id, 0);
    packed.length = id.length;
  } else if (id.length === UUID_CHARS && packHex(id, out, true)) {
    packed.form = FORM.uuid;
    packed.length = 16;
  } else if (id.length === DIGEST_CHARS && packHex(id, out, false)) {
    packed.form = FORM.digest;
    packed.length = 32;
  } else packed.length = out.write(id, 0, 'utf8');
}

/** The id that was a text, of bytes from … to …; of bytes as they were given, their text in UTF-8. */
export function unpackId(form: number, bytes: Buffer, from = 0, to = bytes.length): string {
  if (form === FORM.plain) return bytes.toString('utf8', from, to);
  const hex = bytes.toString('hex', from, to);
  if (form === FORM.digest) return hex;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Whether a text is hexadecimal digits alone, in lower case, with the dashes of a UUID or without. Spoils `out` where it is not. */
function packHex(id: string, out: Buffer, dashes: boolean): boolean {
  let at = 0;
  for (let i = 0; i < id.length; i += 2) {
    if (dashes && (i === 8 || i === 13 || i === 18 || i === 23)) {
      if (id.charCodeAt(i) !== DASH) return false;
      i++;
    }
    const high = NIBBLES[id.charCodeAt(i)] ?? 255;
    const low = NIBBLES[id.charCodeAt(i + 1)] ?? 255;
    if ((high | low) > 15) return false;
    out[at++] = (high << 4) | low;
  }
  return true;
}
const DASH = 45;
