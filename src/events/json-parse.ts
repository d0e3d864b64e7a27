import { isAscii, isUtf8 } from 'node:buffer';
import { KeelsonError } from '../core/error.js';
import { readNumber } from './json-number.js';
import {
  DEFAULT_JSON_LIMITS,
  makeObject,
  type ExactNumber,
  type Json,
  type JsonLimits,
  type JsonObject,
} from './json.js';

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

/** Member names seen lately, by hash: the same few stand in every event, and one that is known costs no new string. */
const names = new Array<string>(1024).fill('');
/** UTF-16 code units; longer ones are not kept. */
const LONGEST_NAME = 64;

/** The one string of its kind that objects are keyed by: own memory, and no look-up for it again. */
const internName = (name: string): string => Object.keys({ [name]: 0 })[0]!;

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
      const name = this.parseName();
      if (object[name] !== undefined)
        this.fail('duplicate_member', `the member ${JSON.stringify(name)} is there twice`);
      if (this.text.charCodeAt(this.at) !== 0x3a) this.skipSpace();
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

  /** Reads a member's name; `at` stands on its opening quote. */
  private parseName(): string {
    const { text } = this;
    const start = this.at + 1;
    const limit = start + Math.min(LONGEST_NAME, this.limits.maxStringLength);
    let hash = 0;
    for (let i = start; i <= limit; i++) {
      const unit = text.charCodeAt(i);
      if (unit === 0x22) {
        const slot = hash & (names.length - 1);
        let name = names[slot]!;
        if (name.length !== i - start || !text.startsWith(name, start)) {
          name = names[slot] = internName(text.slice(start, i));
        }
        this.at = i + 1;
        return name;
      }
      if (unit === 0x5c || !(unit >= 0x20)) break;
      hash = (Math.imul(hash, 31) + unit) | 0;
    }
    return this.parseString();
  }

  private parseNumber(): number | ExactNumber {
    const { text } = this;
    // Few digits, perhaps with a fraction: what a double always holds.
    let i = this.at;
    const first = text.charCodeAt(i);
    let unit = first;
    while (unit >= 0x30 && unit <= 0x39) unit = text.charCodeAt(++i);
    const whole = i - this.at;
    if (whole > 0 && (whole === 1 || first !== 0x30)) {
      if (unit === 0x2e) {
        const from = i + 1;
        do unit = text.charCodeAt(++i);
        while (unit >= 0x30 && unit <= 0x39);
        if (i === from) return this.parseAnyNumber();
      }
      const length = i - this.at;
      if (length <= 15 && length <= this.limits.maxStringLength && unit !== 0x65 && unit !== 0x45) {
        const value = Number(text.slice(this.at, i));
        this.at = i;
        return value;
      }
    }
    return this.parseAnyNumber();
  }

  private parseAnyNumber(): number | ExactNumber {
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
      if (unit > 0x20 || (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09)) return;
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
