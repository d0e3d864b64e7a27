import { ExactNumber, type Json, type JsonObject } from './json.js';

/** What is kept between calls; a bigger value's memory goes with its text. */
const STANDING_BYTES = 64 * 1024;
/** Strings up to this length are written by hand: a call costs more. */
const SHORT_STRING = 256;
/** Objects of up to so many members are sorted by hand. */
const FEW_MEMBERS = 24;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

const standing = Buffer.allocUnsafeSlow(STANDING_BYTES);
let out = standing;
let at = 0;

/**
 * A JSON value as text in UTF-8, members sorted by UTF-16 code units as in RFC 8785, exact numbers verbatim: equal values parsed
 * from texts that differ in member order, white space or escapes give equal bytes. For digests, never stored.
 * @returns a view, good until the next call
 */
export function canonicalBytes(value: Json): Buffer {
  out = standing;
  at = 0;
  write(value);
  const bytes = out.subarray(0, at);
  out = standing;
  return bytes;
}

/** `canonicalBytes` as text. */
export const canonicalJson = (value: Json): string => canonicalBytes(value).toString();

function write(value: Json): void {
  if (typeof value === 'string') writeString(value);
  else if (value === null || typeof value !== 'object') writeText(String(value));
  else if (value instanceof ExactNumber) writeText(value.text);
  else if (Array.isArray(value)) writeArray(value);
  else writeObject(value);
}

function writeObject(object: JsonObject): void {
  const names = sortNames(Object.keys(object));
  reserve(2);
  out[at++] = 0x7b;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    reserve(2);
    if (i > 0) out[at++] = COMMA;
    writeString(name);
    out[at++] = COLON;
    write(object[name]!);
  }
  reserve(1);
  out[at++] = 0x7d;
}

function writeArray(array: readonly Json[]): void {
  reserve(2);
  out[at++] = 0x5b;
  for (let i = 0; i < array.length; i++) {
    reserve(1);
    if (i > 0) out[at++] = COMMA;
    write(array[i]!);
  }
  reserve(1);
  out[at++] = 0x5d;
}

/** By UTF-16 code units, in place. */
function sortNames(names: string[]): string[] {
  if (names.length > FEW_MEMBERS) return names.sort();
  for (let i = 1; i < names.length; i++) {
    const name = names[i]!;
    let j = i;
    for (; j > 0 && names[j - 1]! > name; j--) names[j] = names[j - 1]!;
    names[j] = name;
  }
  return names;
}

/** Leaves room for one more byte. */
function writeString(text: string): void {
  const { length } = text;
  if (length > SHORT_STRING) return writeText(JSON.stringify(text));
  reserve(length + 3);
  const start = at;
  out[at++] = QUOTE;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) {
      at = start;
      return writeText(JSON.stringify(text));
    }
    out[at++] = unit;
  }
  out[at++] = QUOTE;
}

function writeText(text: string): void {
  reserve(text.length * 3 + 1);
  at += out.write(text, at);
}

function reserve(bytes: number): void {
  if (at + bytes <= out.length) return;
  const grown = Buffer.allocUnsafeSlow((at + bytes) * 2);
  out.copy(grown, 0, 0, at);
  out = grown;
}
