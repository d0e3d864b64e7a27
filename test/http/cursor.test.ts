import { describe, expect, test } from 'vitest';
import { createCursors } from '../../src/http/cursor.js';
import { pageLimit, parseInteger } from '../../src/http/paging.js';

describe('cursors', () => {
  const cursors = createCursors(Buffer.alloc(32, 1));

  test('what one list gave out, it takes back; no other list does, nor another key', () => {
    const text = cursors.format('search?tool=x', ['1700000000000000', 'decisions/0', '42']);
    expect(cursors.parse('search?tool=x', text)).toEqual(['1700000000000000', 'decisions/0', '42']);
    const refused = expect.objectContaining({ code: 'invalid_cursor' }) as Error;
    expect(() => cursors.parse('search?tool=y', text)).toThrow(refused);
    expect(() => createCursors(Buffer.alloc(32, 2)).parse('search?tool=x', text)).toThrow(refused);
  });

  test('every changed character is refused, and so is what is no cursor at all', () => {
    const text = cursors.format('l', ['7']);
    const refused = expect.objectContaining({ code: 'invalid_cursor' }) as Error;
    for (let i = 0; i < text.length; i++) {
      const changed = text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1);
      expect(() => cursors.parse('l', changed), changed).toThrow(refused);
    }
    for (const bad of ['', 'A', '%', `${text}=`, `${text} `, 'A'.repeat(5_000)]) {
      expect(() => cursors.parse('l', bad)).toThrow(refused);
    }
  });
});

describe('paging', () => {
  test('a limit is a plain decimal within its range', () => {
    expect(pageLimit({})).toBe(100);
    expect(pageLimit({ limit: '1' })).toBe(1);
    expect(pageLimit({ limit: '1000' })).toBe(1000);
    const refused = expect.objectContaining({ code: 'invalid_query', pointer: '/limit' }) as Error;
    for (const limit of ['0', '1001', '-1', '1.5', '1e2', ' 1', '01', '']) {
      expect(() => pageLimit({ limit }), limit).toThrow(refused);
    }
    expect(parseInteger('n', '0', 0, 5)).toBe(0);
  });
});
