import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalBytes,
  canonicalJson,
  DEFAULT_JSON_LIMITS,
  ExactNumber,
  parseJson,
  readNumber,
  splitItems,
  stringifyJson,
  type Json,
} from '../../src/events/index.js';

const parse = (text: string | Uint8Array, limits = DEFAULT_JSON_LIMITS): Json =>
  parseJson(typeof text === 'string' ? Buffer.from(text) : text, limits);
const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('parseJson', () => {
  test('takes what JSON.parse takes, with the same value', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        const expected: unknown = JSON.parse(text);
        const escaped = JSON.stringify(expected).replace(
          /[\u0080-\uffff]/g,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        for (const form of [text, JSON.stringify(expected, null, 2), escaped]) {
          if (/\\u0000|\\ud[89a-f]/i.test(form.replaceAll(/\\ud[89ab]..\\ud[c-f]../gi, '')) || form.includes('-0'))
            continue;
          expect(JSON.parse(stringifyJson(parse(form)))).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('refuses what JSON.parse refuses', () => {
    const chars = fc.string({ unit: fc.constantFrom(...'{}[]",:0-1.eE+\\ntruefals u\t\n'), maxLength: 12 });
    fc.assert(
      fc.property(chars, (text) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const code = codeOf(() => parse(text));
        if (valid) expect([undefined, 'duplicate_member']).toContain(code);
        else expect(code).toBeDefined();
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    ['', 'malformed_json'],
    ['{"a":1,}', 'malformed_json'],
    ['[1,]', 'malformed_json'],
    ['{"a" 1}', 'malformed_json'],
    ['01', 'malformed_json'],
    ['1.', 'malformed_json'],
    ['+1', 'malformed_json'],
    ['NaN', 'malformed_json'],
    ['1 2', 'malformed_json'],
    ['"\u0001"', 'malformed_json'],
    ['"a', 'malformed_json'],
    ['"\\x"', 'malformed_json'],
    ['"\\u12g4"', 'malformed_json'],
    ['\ufeff{}', 'malformed_json'],
    ['"a\0b"', 'malformed_json'],
    ['"\\u0000"', 'nul_character'],
    ['{"\\u0000":1}', 'nul_character'],
    ['"\\ud800"', 'lone_surrogate'],
    ['"\\udc00\\ud800"', 'lone_surrogate'],
    ['"\\ud800x"', 'lone_surrogate'],
    ['{"a":1,"a":1}', 'duplicate_member'],
    ['{"a":1,"\\u0061":2}', 'duplicate_member'],
    ['{"__proto__":1,"__proto__":1}', 'duplicate_member'],
  ])('%j is %s', (text, code) => expect(codeOf(() => parse(text))).toBe(code));

  test('names are told apart, however long, and however they meet where they are kept', () => {
    const name = (length: number) => 'n'.repeat(length);
    // The first four have one hash.
    const names = [
      'AaAa',
      'AaBB',
      'BBAa',
      'BBBB',
      '',
      ...[63, 64, 65, 66, 300].map(name),
      `${name(63)}m`,
      'é',
      '\u2028',
    ];
    for (const order of [names, [...names].reverse(), names]) {
      for (const text of [order, order.map((one) => `${one}\n`)].map((set) =>
        JSON.stringify(Object.fromEntries(set.map((one, i) => [one, i]))),
      )) {
        expect(stringifyJson(parse(text))).toBe(text);
        expect(codeOf(() => parse(`${text.slice(0, -1)},${text.slice(1)}`))).toBe('duplicate_member');
      }
    }
    expect(codeOf(() => parse(`{"${name(65)}`))).toBe('malformed_json');
    expect(codeOf(() => parse('{"a'))).toBe('malformed_json');
    expect(codeOf(() => parse('{"a\u0001":1}'))).toBe('malformed_json');
  });

  test('a number is what its text alone is, wherever it stands', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0159'), minLength: 1, maxLength: 20 });
    const text = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(digits),
        fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e-', 'E+'), fc.nat(400))),
      )
      .map(([sign, whole, fraction, exponent]) =>
        [sign, whole, fraction === null ? '' : `.${fraction}`, exponent === null ? '' : exponent.join('')].join(''),
      );
    fc.assert(
      fc.property(text, fc.constantFrom(',', ']', ' ', '}'), (number, behind) => {
        const rest = { ',': ',1]', ']': ']', ' ': ' ]', '}': '}]' }[behind];
        const code = codeOf(() => parse(`[${behind === '}' ? '{"n":' : ''}${number}${rest}`));
        const valid = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(number);
        expect(code).toBe(valid ? undefined : 'malformed_json');
        if (valid) expect(parse(`[${number}]`)).toEqual([readNumber(number)]);
      }),
      { numRuns: 5_000 },
    );
  });

  test('invalid UTF-8 is refused', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82, 0x22],
    ]) {
      expect(codeOf(() => parse(Uint8Array.from(bytes)))).toBe('malformed_json');
    }
  });

  test('bounds hold at their edge', () => {
    const limits = { maxDepth: 3, maxStringLength: 4, maxValues: 5 };
    expect(codeOf(() => parse('[[[1]]]', limits))).toBeUndefined();
    expect(codeOf(() => parse('[[[[]]]]', limits))).toBe('too_deep');
    expect(codeOf(() => parse('{"abcd":"efgh"}', limits))).toBeUndefined();
    for (const text of ['"abcde"', '{"abcde":1}', '"\\n\\n\\n\\n\\n"', '12345']) {
      expect(codeOf(() => parse(text, limits))).toBe('string_too_long');
    }
    expect(codeOf(() => parse('[1,2,3,4]', limits))).toBeUndefined();
    expect(codeOf(() => parse('[1,2,3,4,5]', limits))).toBe('too_many_items');
    expect(codeOf(() => parse('['.repeat(1_000_000)))).toBe('too_deep');
  });

  test('an exponent of a million digits costs no more than its text', () => {
    const text = `1e-${'9'.repeat(1_000_000)}`;
    expect(parse(`[${Array.from({ length: 24 }, () => text).join(',')}]`)).toHaveLength(24);
    expect(parse(`1e${'0'.repeat(1_000_000)}2`)).toBe(100);
  });

  test('an error names the place', () => {
    expect(() => parse('{"a/b":[1,{"c":"\\u0000"}]}')).toThrow(expect.objectContaining({ pointer: '/a~1b/1/c' }));
  });

  test.each([
    '9007199254740993',
    '-0',
    '-0.0',
    '0.0001e-400',
    `1e-${'9'.repeat(30)}`,
    '1e400',
    '-1E999999999999',
    '0.1000000000000000055511151231257827',
    '123456789.123456789123',
    '1e-400',
  ])('%s is kept as text', (text) => {
    expect(parse(text)).toEqual(new ExactNumber(text));
    expect(stringifyJson(parse(`{"n":[${text}]}`))).toBe(`{"n":[${text}]}`);
    expect(canonicalJson(parse(text))).toBe(text);
  });
  test.each([
    '0',
    '0.1',
    '1e3',
    '1.50',
    '9007199254740992',
    '1e22',
    '5e-324',
    '1.7976931348623157e308',
    '123456789012345680000',
  ])('%s is a number', (text) => expect(parse(text)).toBe(Number(text)));

  test('names of Object.prototype are data', () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"hasOwnProperty":3,"toString":4}';
    expect(stringifyJson(parse(text))).toBe(text);
    expect(({} as Record<string, unknown>).a).toBeUndefined();
    expect('toString' in (parse('{}') as object)).toBe(false);
  });

  test('canonical text does not depend on order, space or escapes', () => {
    expect(canonicalJson(parse('{ "b":[1.0,{"d":1,"c":2}], "\\u0061":"\\/" }'))).toBe(
      '{"a":"/","b":[1,{"c":2,"d":1}]}',
    );
  });

  test('canonical text is what sorting every object and writing it by the book gives', () => {
    const sorted = (value: unknown): string => {
      if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
      if (typeof value !== 'object' || value === null) return JSON.stringify(value);
      const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
      return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sorted(member)}`).join(',')}}`;
    };
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('"', '\\', '/', '\n', '\x7f', '\x1f', '\u2028', 'é', '😀', 'a', '0') }),
      fc.constantFrom('x'.repeat(255), 'x'.repeat(300), 'é'.repeat(300)),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
        fc.integer(),
        text,
        fc.array(tie('any')),
        fc.dictionary(text, tie('any'), { maxKeys: 40 }),
      ),
    })).any;
    fc.assert(
      fc.property(value, (any) => {
        expect(canonicalBytes(any as Json)).toEqual(Buffer.from(sorted(any)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('canonical text of any size, one after the other', () => {
    const big = Array.from({ length: 20_000 }, (_, i) => `${i}é`);
    for (const value of [[1], big, [2]]) expect(canonicalBytes(value).toString()).toBe(JSON.stringify(value));
  });
});

describe('splitItems', () => {
  const split = (text: string, maxItems = 10): string[] => {
    const bytes = Buffer.from(text);
    return splitItems(bytes, maxItems).items.map(({ from, to }) => bytes.toString('utf8', from, to));
  };

  test('cuts an array where its commas are, whatever stands between them', () => {
    expect(split(' {"a":[1,2]} ')).toEqual(['{"a":[1,2]}']);
    expect(split('[ ]')).toEqual([]);
    expect(split('[{"a":"],[\\"{"} , {"b":[{},[]]},\n3,"x,y", {"dup":1,"dup":2}]')).toEqual([
      '{"a":"],[\\"{"}',
      '{"b":[{},[]]}',
      '3',
      '"x,y"',
      '{"dup":1,"dup":2}',
    ]);
    expect(split('[{"a":1],{"b":2}]')).toEqual(['{"a":1]', '{"b":2}']);
  });

  test('gives back the items of any array', () => {
    fc.assert(
      fc.property(fc.array(fc.json(), { maxLength: 8 }), (items) => {
        expect(split(`[${items.join(' ,\n')}]`)).toEqual(items.map((item) => item.trim()));
      }),
    );
  });

  test.each(['', '1', '"a"', 'null', '[', '[{}', '[{},]', '[,{}]', '[{},,{}]', '[{}]]', '[{}] x', '[{"a":"}]', '[{}}'])(
    '%j cannot be split',
    (text) => expect(codeOf(() => split(text))).toBe('malformed_json'),
  );
  test('counts', () => {
    expect(split('[1,2]', 2)).toHaveLength(2);
    expect(codeOf(() => split('[1,2,3]', 2))).toBe('too_many_items');
  });
});
