import { isAscii, isUtf8 } from 'node:buffer';
import { KeelsonError } from '../core/error.js';

/** A JSON value. Numbers that no double denotes exactly are `ExactNumber`s; objects have no prototype members. */
export type Json = null | boolean | number | string | ExactNumber | Json[] | JsonObject;

/** A JSON object: own members only, so `constructor` or `__proto__` are data like any other name. */
export interface JsonObject {
  [member: string]: Json;
}

/** A JSON number kept as its text, because the double nearest to it denotes another value (or is −0 or infinite). */
export class ExactNumber {
  constructor(readonly text: string) {}

  /** `JSON.stringify` would have to round: it is refused, `stringifyJson` is the way. */
  toJSON(): never {
    throw new ExactNumberError();
  }
}

/** Raised when something other than `stringifyJson` tries to write an `ExactNumber`. */
export class ExactNumberError extends Error {
  override readonly name = 'ExactNumberError';
}

/** Bounds on what is parsed; each has its own error code. */
export interface JsonLimits {
  /** Nesting of arrays and objects; a scalar has depth 0. `too_deep` */
  readonly maxDepth: number;
  /** UTF-16 code units of one string, member name or number. `string_too_long` */
  readonly maxStringLength: number;
  /** Values of all kinds in one document. `too_many_items` */
  readonly maxValues: number;
}

export const DEFAULT_JSON_LIMITS: JsonLimits = { maxDepth: 64, maxStringLength: 1_048_576, maxValues: 100_000 };

/** The one constructor of parsed objects: fast to fill, and nothing is inherited. */
const BareObject = function () {} as unknown as new () => JsonObject;
BareObject.prototype = Object.freeze(Object.create(null) as JsonObject);

/** A new, empty object without inherited members. */
export const makeObject = (): JsonObject => new BareObject();

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);

/**
 * Parses exactly one JSON text (RFC 8259) out of bytes, more strictly than `JSON.parse`: UTF-8 without a byte order mark,
 * no duplicate members, no lone surrogates, no NUL characters, and no number is rounded.
 *
 * @throws KeelsonError `malformed_json`, `duplicate_member`, `lone_surrogate`, `nul_character`, `too_deep`, `string_too_long`,
 *   `too_many_items`; the pointer names the innermost complete place.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = DEFAULT_JSON_LIMITS): Json {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isAscii(buffer)) return parseJsonText(buffer.toString('latin1'), limits);
  if (!isUtf8(buffer)) throw new KeelsonError('malformed_json', 'not valid UTF-8');
  return parseJsonText(buffer.toString('utf8'), limits);
}

/** `parseJson` for a text that is known to be well-formed Unicode. */
export function parseJsonText(text: string, limits: JsonLimits = DEFAULT_JSON_LIMITS): Json {
  const parser = new Parser(text, limits);
  return parser.parseDocument();
}

/**
 * The number a JSON number text denotes, if a double holds it exactly in the sense that writing the double in its shortest
 * form gives the same decimal value; else the text itself.
 */
export function readNumber(text: string): number | ExactNumber {
  const value = Number(text);
  // At most 15 significant digits always survive the way through a double.
  if (text.length <= 15 && !text.startsWith('-0') && !/[eE]/.test(text)) return value;
  // A zero or infinity that the text doesn't spell out was rounded to, by an exponent of any length: it is not worked out.
  if (!Number.isFinite(value) || Object.is(value, -0)) return new ExactNumber(text);
  if (value === 0) return /^0(\.0*)?(?:[eE]|$)/.test(text) ? value : new ExactNumber(text);
  return decimalForm(text) === decimalForm(String(value)) ? value : new ExactNumber(text);
}

/** A number text as sign, digits without outer zeros, and exponent of ten: equal iff the values are equal. */
function decimalForm(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = trimZeros(digits);
  if (significant === '') return '0';
  const written = BigInt(exponent.replace(/^([+-]?)0+(?=\d)/, '$1'));
  const power = written - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

/** Without trailing zeros, in linear time. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

const ESCAPES: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

class Parser {
  private at = 0;
  private values = 0;
  /** Names and indexes on the way to the value being read, for error pointers only. */
  private readonly path: (string | number)[] = [];

  constructor(
    private readonly text: string,
    private readonly limits: JsonLimits,
  ) {}

  parseDocument(): Json {
    this.skipSpace();
    const value = this.parseValue(0);
    this.skipSpace();
    if (this.at !== this.text.length) this.fail('malformed_json', `unexpected text after the value`);
    return value;
  }

  private parseValue(depth: number): Json {
    if (++this.values > this.limits.maxValues) this.fail('too_many_items', `more than ${this.limits.maxValues} values`);
    switch (this.text.charCodeAt(this.at)) {
      case 0x22:
        return this.parseString();
      case 0x7b:
        return this.parseObject(depth + 1);
      case 0x5b:
        return this.parseArray(depth + 1);
      case 0x74:
        return this.parseWord('true', true);
      case 0x66:
        return this.parseWord('false', false);
      case 0x6e:
        return this.parseWord('null', null);
      default:
        return this.parseNumber();
    }
  }

  private parseObject(depth: number): JsonObject {
    this.checkDepth(depth);
    const object = makeObject();
    this.at++;
    this.skipSpace();
    if (this.text.charCodeAt(this.at) === 0x7d) {
      this.at++;
      return object;
    }
    for (;;) {
      if (this.text.charCodeAt(this.at) !== 0x22) this.fail('malformed_json', 'expected a member name');
      const name = this.parseString();
      if (name in object) this.fail('duplicate_member', `the member ${JSON.stringify(name)} is there twice`);
      this.skipSpace();
      if (this.text.charCodeAt(this.at) !== 0x3a) this.fail('malformed_json', 'expected a colon');
      this.at++;
      this.skipSpace();
      this.path.push(name);
      object[name] = this.parseValue(depth);
      this.path.pop();
      this.skipSpace();
      const next = this.text.charCodeAt(this.at++);
      if (next === 0x7d) return object;
      if (next !== 0x2c) this.failAt(this.at - 1, 'expected a comma or the end of the object');
      this.skipSpace();
    }
  }

  private parseArray(depth: number): Json[] {
    this.checkDepth(depth);
    const array: Json[] = [];
    this.at++;
    this.skipSpace();
    if (this.text.charCodeAt(this.at) === 0x5d) {
      this.at++;
      return array;
    }
    for (;;) {
      this.path.push(array.length);
      array.push(this.parseValue(depth));
      this.path.pop();
      this.skipSpace();
      const next = this.text.charCodeAt(this.at++);
      if (next === 0x5d) return array;
      if (next !== 0x2c) this.failAt(this.at - 1, 'expected a comma or the end of the array');
      this.skipSpace();
    }
  }

  private parseWord<T extends Json>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('malformed_json', 'expected a value');
    this.at += word.length;
    return value;
  }

  private parseNumber(): number | ExactNumber {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match) this.fail('malformed_json', 'expected a value');
    const text = match[0];
    if (text.length > this.limits.maxStringLength) this.fail('string_too_long', 'a number is too long');
    this.at += text.length;
    return readNumber(text);
  }

  /** Reads a string; `at` stands on its opening quote. */
  private parseString(): string {
    const { text } = this;
    const start = this.at + 1;
    const limit = start + this.limits.maxStringLength;
    for (let i = start; ; i++) {
      const unit = text.charCodeAt(i);
      if (unit === 0x22) {
        if (i > limit) this.failTooLong();
        this.at = i + 1;
        return text.slice(start, i);
      }
      if (unit === 0x5c) return this.parseEscaped(start, i);
      // NaN past the end: the comparison is false for it as for control characters
      if (!(unit >= 0x20)) this.failAt(i, 'a string is not closed, or holds a control character');
    }
  }

  /** The rest of a string whose first escape is at `i`. */
  private parseEscaped(start: number, i: number): string {
    const { text } = this;
    let value = '';
    for (;;) {
      const unit = text.charCodeAt(i);
      if (unit === 0x22) {
        value += text.slice(start, i);
        if (value.length > this.limits.maxStringLength) this.failTooLong();
        this.at = i + 1;
        return value;
      }
      if (!(unit >= 0x20)) this.failAt(i, 'a string is not closed, or holds a control character');
      if (unit !== 0x5c) {
        i++;
        continue;
      }
      value += text.slice(start, i);
      const letter = text[i + 1] ?? '';
      if (letter === 'u') {
        const character = this.parseUnicodeEscape(i);
        value += character;
        i += 6 * character.length;
      } else {
        value += ESCAPES[letter] ?? this.failAt(i, 'an unknown escape');
        i += 2;
      }
      start = i;
    }
  }

  /** `\uXXXX` at `i`, or two of them that make a surrogate pair: the character's one or two code units. */
  private parseUnicodeEscape(i: number): string {
    const unit = this.readHex(i);
    if (unit === 0) this.fail('nul_character', 'a string holds the character U+0000');
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    const next = unit < 0xdc00 && this.text.startsWith('\\u', i + 6) ? this.readHex(i + 6) : 0;
    if (next < 0xdc00 || next > 0xdfff) this.fail('lone_surrogate', 'a string holds half of a surrogate pair');
    return String.fromCharCode(unit, next);
  }

  private readHex(i: number): number {
    const digits = this.text.slice(i + 2, i + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.failAt(i, 'an incomplete \\u escape');
    return parseInt(digits, 16);
  }

  private skipSpace(): void {
    for (;;) {
      const unit = this.text.charCodeAt(this.at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      this.at++;
    }
  }

  private checkDepth(depth: number): void {
    if (depth > this.limits.maxDepth) this.fail('too_deep', `nested deeper than ${this.limits.maxDepth}`);
  }

  private failTooLong(): never {
    this.fail('string_too_long', `a string is longer than ${this.limits.maxStringLength}`);
  }

  private failAt(position: number, message: string): never {
    this.fail('malformed_json', `${message}, at character ${position}`);
  }

  private fail(code: ConstructorParameters<typeof KeelsonError>[0], message: string): never {
    const pointer = this.path.map((part) => '/' + String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('');
    throw new KeelsonError(code, message, { pointer });
  }
}
