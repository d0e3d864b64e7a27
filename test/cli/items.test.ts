import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitItems } from '../../src/cli/items.js';

async function split(text: string | Uint8Array, cut = Infinity): Promise<string[]> {
  const bytes = Buffer.from(text as string);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += cut) yield bytes.subarray(at, Math.min(at + cut, bytes.length));
  }
  const found: string[] = [];
  for await (const item of splitItems(chunks())) {
    expect(item.index).toBe(found.length);
    found.push(item.text);
  }
  return found;
}

describe('splitItems', () => {
  const tricky = ['{"a":"]}\\"{"}', '{"a":[{"b":[]}],"ü":"€"}', '{}', '{"a":"\\\\"}'];

  it.each([
    ['an array', ` [${tricky.join(' ,\n')} ] \n`],
    ['NDJSON', `${tricky.join('\n')}\n`],
    ['documents one after the other', tricky.join('')],
  ])('reads %s, in any cut', async (_form, text) => {
    for (const cut of [1, 2, 3, 7, 1000]) expect(await split(text, cut)).toEqual(tricky);
  });

  it('reads one document over several lines, and nothing out of nothing', async () => {
    expect(await split('{\n  "a": 1\n}\n')).toEqual(['{\n  "a": 1\n}']);
    expect(await split('')).toEqual([]);
    expect(await split('[]')).toEqual([]);
  });

  it('keeps every item of arbitrary JSON as it stands', async () => {
    const object = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(fc.array(object), fc.boolean(), fc.integer({ min: 1, max: 9 }), async (items, array, cut) => {
        const texts = items.map((item) => JSON.stringify(item));
        expect(await split(array ? `[${texts.join(',')}]` : texts.join('\n'), cut)).toEqual(texts);
      }),
    );
  });

  it.each([['{"a":1'], ['[{"a":1}'], ['{"a":"}'], ['7'], ['[{},x]'], ['{}{} "s"']])('refuses %s', async (text) => {
    await expect(split(text)).rejects.toThrow(SyntaxError);
  });

  it('refuses what is not UTF-8 instead of replacing it', async () => {
    await expect(split(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).rejects.toThrow(SyntaxError);
  });
});
