/**
 * How a value becomes something short to compare. Names that repeat (agents, tools, persons …) become small integers by way of a
 * dictionary; what names one thing (an event, a token, a session, a task) becomes 16 bytes. Both start from the same 16-byte key.
 */
import { hash } from 'node:crypto';

/** What a name is the name of: the same text as agent and as tool is two names. Add, never renumber. */
export const NAME_KINDS = {
  agent: 'a',
  tool: 'o',
  principal: 'p',
  type: 'y',
  decision: 'd',
  policy: 'v',
  environment: 'e',
  producer: 'r',
} as const;
export type NameKind = keyof typeof NAME_KINDS;

export const THING_KINDS = { event: 'E', token: 'T', session: 'S', task: 'K' } as const;
export type ThingKind = keyof typeof THING_KINDS;

/** The key of a name: 16 bytes of SHA-256 over its kind and its text. A person's text is the pseudonym in hexadecimal. */
export const nameKey = (kind: NameKind, text: string): Buffer =>
  hash('sha256', NAME_KINDS[kind] + text, 'buffer').subarray(0, 16);

/**
 * The key of a thing: a lowercase UUID stands for itself, so that UUIDv7 ids stay in order; anything else, and a UUID of version 8,
 * becomes one of version 8 (RFC 9562, 5.8: made from a hash). So no two of them meet but by a collision of 122 bits of SHA-256.
 */
export function thingKey(kind: ThingKind, text: string): Buffer {
  const key = Buffer.allocUnsafe(16);
  const bytes = Buffer.from(text);
  writeThingKey(key, 0, kind, bytes, 0, bytes.length);
  return key;
}

/** Writes the 16 bytes of a thing's key to `out` at `at`. Its text is UTF-8, `bytes[start, end)`. */
export function writeThingKey(
  out: Buffer,
  at: number,
  kind: ThingKind,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  if (end - start === UUID_LENGTH && writeUuid(out, at, bytes, start)) return;
  out.write(hash('sha256', THING_KINDS[kind] + bytes.toString('utf8', start, end), 'binary'), at, 16, 'latin1');
  out[at + 6] = 0x80 | (out[at + 6]! & 0x0f);
  out[at + 8] = 0x80 | (out[at + 8]! & 0x3f);
}

const UUID_LENGTH = 36;
const HEX = new Uint8Array(256).fill(0xff);
for (let i = 0; i < 16; i++) HEX['0123456789abcdef'.charCodeAt(i)] = i;
const DASH = 0x2d;
const VERSION_8 = 0x38;

/** Parses a lowercase UUID of any version but 8; false (and garbage in `out`) for anything else. */
function writeUuid(out: Buffer, at: number, bytes: Buffer, start: number): boolean {
  if (bytes[start + 14] === VERSION_8) return false;
  for (let i = 0; i < UUID_LENGTH; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (bytes[start + i++] !== DASH) return false;
    }
    const high = HEX[bytes[start + i]!]!;
    const low = HEX[bytes[start + i + 1]!]!;
    if ((high | low) > 15) return false;
    out[at++] = (high << 4) | low;
  }
  return true;
}

/** 16 bytes as Postgres reads a uuid. */
export const uuidText = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, 16).toString('hex');
