import { describe, expect, it } from 'vitest';
import { formatTable, neutralise, neutraliseJson, neutraliseLines } from '../../src/cli/text.js';

const attacks = [
  '\u001b]0;owned\u0007',
  '\u009b31m',
  'a\rb',
  'a\bb',
  '\u202egnp.exe',
  '\u2066x\u2069',
  '\u0000',
  '\u007f',
];
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

describe('text for a terminal', () => {
  it.each(attacks)('shows %j without effect', (text) => {
    expect(neutralise(text)).not.toMatch(control);
    expect(neutralise(text)).toContain('\\u{');
    expect(neutraliseJson(JSON.stringify({ text }))).not.toMatch(control);
    expect(JSON.parse(neutraliseJson(JSON.stringify({ text })))).toEqual({ text });
  });

  it('leaves other text alone', () => {
    for (const text of ['plain', 'Grüße, 世界 🌍', '{"a":1}']) expect(neutralise(text)).toBe(text);
    expect(neutraliseLines('a\n\tb')).toBe('a\n\tb');
    expect(neutralise('a\nb')).toBe('a\\u{a}b');
  });

  it('lines up columns', () => {
    expect(
      formatTable([
        ['a', 'long', 'x'],
        ['bbb', 'c', 'y'],
      ]),
    ).toEqual(['a    long  x', 'bbb  c     y']);
    expect(formatTable([])).toEqual([]);
  });
});
