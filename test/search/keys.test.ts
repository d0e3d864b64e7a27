import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nameKey, thingKey, uuidText } from '../../src/search/keys.js';

describe('thingKey', () => {
  it('takes a UUID for itself', () => {
    const id = randomUUID();
    expect(uuidText(thingKey('event', id))).toBe(id.replaceAll('-', ''));
    expect(uuidText(thingKey('token', id))).toBe(id.replaceAll('-', ''));
  });

  it.each([
    '',
    'event-1',
    '0190B5A0-0000-7000-8000-000000000001',
    '0190b5a0-0000-8000-8000-000000000001',
    '0190b5a0-0000-7000-8000-00000000000g',
    '0190b5a0+0000-7000-8000-000000000001',
    '0190b5a000-00-7000-8000-000000000001',
    '0190b5a0-0000-7000-8000-00000000000\u0131',
    '0190b5a0-0000-7000-8000-0000000000011',
  ])('makes one of version 8 of %j', (text) => {
    const key = thingKey('event', text);
    expect(key[6]! >> 4).toBe(8);
    expect(key[8]! >> 6).toBe(2);
    expect(thingKey('event', text)).toEqual(key);
    expect(thingKey('session', text)).not.toEqual(key);
  });

  it('keeps what a hash made apart from a UUID somebody chose to look like it', () => {
    const made = uuidText(thingKey('event', 'event-1'));
    const chosen = made.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    expect(uuidText(thingKey('event', chosen))).not.toBe(made);
  });
});

describe('nameKey', () => {
  it('is of a kind and a text', () => {
    expect(nameKey('agent', 'a')).toEqual(nameKey('agent', 'a'));
    expect(nameKey('agent', 'a')).not.toEqual(nameKey('tool', 'a'));
    expect(nameKey('agent', 'a')).not.toEqual(nameKey('agent', 'b'));
  });
});
