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

const THING_KINDS = { event: 'E', token: 'T', session: 'S', task: 'K' } as const;
export type ThingKind = keyof typeof THING_KINDS;

/** The key of a name: 16 bytes of SHA-256 over its kind and its text. */
export const nameKey = (kind: NameKind, text: string): Buffer =>
  hash('sha256', NAME_KINDS[kind] + text, 'buffer').subarray(0, 16);

/**
 * The key of a thing: a lowercase UUID stands for itself, so that UUIDv7 ids stay in order; anything else, and a UUID of version 8,
 * becomes one of version 8 (RFC 9562, 5.8: made from a hash). So no two of them meet but by a collision of 122 bits of SHA-256.
 */
export function thingKey(kind: ThingKind, text: string): Buffer {
  const key = Buffer.allocUnsafe(16);
  writeThingKey(key, 0, kind, text);
  return key;
}

/** Writes the 16 bytes of a thing's key to `out` at `at`. */
export function writeThingKey(out: Buffer, at: number, kind: ThingKind, text: string): void {
  if (text.length === 36 && writeUuid(out, at, text)) return;
  out.write(hash('sha256', THING_KINDS[kind] + text, 'binary'), at, 16, 'latin1');
  out[at + 6] = 0x80 | (out[at + 6]! & 0x0f);
  out[at + 8] = 0x80 | (out[at + 8]! & 0x3f);
}

const HEX = new Uint8Array(128).fill(0xff);
for (let i = 0; i < 16; i++) HEX['0123456789abcdef'.charCodeAt(i)] = i;
const DASH = 0x2d;
const VERSION_8 = 0x38;

/** Parses a lowercase UUID of any version but 8; false (and garbage in `out`) for anything else. */
function writeUuid(out: Buffer, start: number, text: string): boolean {
  if (text.charCodeAt(14) === VERSION_8) return false;
  let at = start;
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (text.charCodeAt(i++) !== DASH) return false;
    }
    const high = HEX[text.charCodeAt(i)] ?? 0xff;
    const low = HEX[text.charCodeAt(i + 1)] ?? 0xff;
    if (high > 15 || low > 15) return false;
    out[at++] = (high << 4) | low;
  }
  return true;
}

/** 16 bytes as Postgres reads a uuid. */
export const uuidText = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, 16).toString('hex');
