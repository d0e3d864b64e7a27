/** Dates, pointers, mappings and signatures of HR systems, without a server. */
import fc from 'fast-check';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Value } from 'typebox/value';
import { HrConfig, type HrMapping, type HrSignature } from '../../../src/access/hr-config.js';
import { ownedIssuers, ProducerConfig } from '../../../src/access/producer.js';
import type { KeelsonError } from '../../../src/core/error.js';
import { formatTimestamp, parseJson, type Json } from '../../../src/events/index.js';
import { isZone, parseWhen } from '../../../src/provisioning/hr/dates.js';
import { mapItem, OWN_FORM, splitPeople } from '../../../src/provisioning/hr/mapping.js';
import { resolve } from '../../../src/provisioning/hr/places.js';
import { checkBodyTime, readClaim } from '../../../src/provisioning/hr/sender.js';
import { isTimeSigned, requireUsableHr } from '../../../src/provisioning/hr/usable.js';
import { checkHmac, signHmac } from '../../../src/webhooks/hmac.js';

const LIMITS = { maxDepth: 32, maxStringLength: 10_000, maxValues: 10_000 };
const parse = (text: string): Json => parseJson(Buffer.from(text), LIMITS);
const coded = (code: string): Error => expect.objectContaining({ code }) as Error;

describe('dates', () => {
  const end = (text: string, zone: string): string => formatTimestamp(parseWhen(text, zone, 'end', ''));
  const begin = (text: string, zone: string): string => formatTimestamp(parseWhen(text, zone, 'begin', ''));

  test('a date alone ends with the day, in its zone', () => {
    expect(end('2026-11-30', 'UTC')).toBe('2026-12-01T00:00:00Z');
    expect(end('2026-11-30', 'Europe/Berlin')).toBe('2026-11-30T23:00:00Z');
    expect(end('2026-06-30', 'Europe/Berlin')).toBe('2026-06-30T22:00:00Z');
    expect(end('2026-11-30', 'Pacific/Kiritimati')).toBe('2026-11-30T10:00:00Z');
    expect(end('2026-11-30', 'Asia/Kathmandu')).toBe('2026-11-30T18:15:00Z');
    expect(end('2028-02-28', 'UTC')).toBe('2028-02-29T00:00:00Z');
    expect(begin('2026-11-30', 'America/New_York')).toBe('2026-11-30T05:00:00Z');
  });

  test('days of 23 and 25 hours, midnights that never come, days that are skipped', () => {
    expect(end('2026-03-29', 'Europe/Berlin')).toBe('2026-03-29T22:00:00Z');
    expect(end('2026-10-25', 'Europe/Berlin')).toBe('2026-10-25T23:00:00Z');
    // Clocks went from 00:00 to 01:00.
    expect(end('2018-11-03', 'America/Sao_Paulo')).toBe('2018-11-04T03:00:00Z');
    // 30 December 2011 did not happen in Samoa.
    expect(end('2011-12-29', 'Pacific/Apia')).toBe('2011-12-30T10:00:00Z');
  });

  test('a time without an offset is one of the zone', () => {
    expect(end('2026-11-30T17:00', 'Europe/Berlin')).toBe('2026-11-30T16:00:00Z');
    expect(end('2026-11-30 17:00:30.5', 'America/Denver')).toBe('2026-12-01T00:00:30.500Z');
    // Twice: the first. Never: as long after the gap.
    expect(end('2026-10-25T02:30:00', 'Europe/Berlin')).toBe('2026-10-25T00:30:00Z');
    expect(end('2026-03-29T02:30:00', 'Europe/Berlin')).toBe('2026-03-29T01:30:00Z');
  });

  test('an offset counts, in every form', () => {
    for (const text of ['2026-11-30T17:00:00+01:00', '2026-11-30T17:00:00+0100', '2026-11-30T16:00:00Z']) {
      expect(end(text, 'America/Denver')).toBe('2026-11-30T16:00:00Z');
    }
  });

  test('whatever comes out is shown by the clocks of the zone', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'];
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1980-01-01'), max: new Date('2090-01-01'), noInvalidDate: true }),
        fc.constantFrom(...zones),
        (date, zone) => {
          const text = date.toISOString().slice(0, 19);
          const us = parseWhen(text, zone, 'end', '');
          const shown = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
            .format(Number(us / 1000n))
            .replace(' ', 'T');
          const aheadMs = Date.parse(`${shown}Z`) - Date.parse(`${text}Z`);
          // Equal, or where it never comes at most the gap later.
          expect([0, 1_800_000, 3_600_000]).toContain(aheadMs);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    '',
    'tomorrow',
    '2026-13-01',
    '2026-02-30',
    '26-01-01',
    '2026-1-1',
    '2026-11-30T25:00',
    '0000-00-00',
    '1899-12-31',
    '9999-12-31',
    `2026-11-30${' '.repeat(50_000)}`,
    '2026-11-30T17:00:00+99:99',
  ])('no date: %j', (text) => expect(() => parseWhen(text, 'UTC', 'end', '/at')).toThrow(coded('invalid_timestamp')));

  test('zones that there are', () => {
    expect(['UTC', 'Europe/Berlin', 'Mars/Olympus', '', '../etc/passwd'].map(isZone)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('pointers', () => {
  const document = parse('{"a":[{"b":1},2],"":3,"x/y":4,"m~n":5,"__proto__":{"p":6},"-":7,"0":8}');
  test.each<[string, Json | undefined]>([
    ['', document],
    ['/a/0/b', 1],
    ['/a/1', 2],
    ['/', 3],
    ['/x~1y', 4],
    ['/m~0n', 5],
    ['/-', 7],
    ['/0', 8],
    ['/__proto__/p', 6],
    ['/a/-', undefined],
    ['/a/2', undefined],
    ['/a/01', undefined],
    ['/a/-1', undefined],
    ['/a/length', undefined],
    ['/a/99999999999', undefined],
    ['/a/0/b/c', undefined],
    ['/constructor', undefined],
    ['/toString', undefined],
    ['/a/0/__proto__', undefined],
    ['/a/__proto__/length', undefined],
  ])('%j', (pointer, value) => expect(resolve(document, pointer)).toEqual(value));
});

describe('a mapping', () => {
  const mapping: HrMapping = {
    people: '/list',
    events: [
      {
        event: 'left',
        when: [
          { at: '/status', in: ['gone', 0, false] },
          { at: '/vip', present: false },
        ],
      },
      { event: 'hired', when: [{ at: ['/new', '#/new'], present: true }] },
      { event: 'ignored', when: [{ at: '/status', in: ['here'] }] },
    ],
    person: { at: ['/login', '/id'], issuer: 'https://login' },
    aliases: [{ at: '/mails', issuer: 'https://mail' }, { at: '/other' }],
    occurred_at: '#/at',
    fields: { effective_at: '/until', groups: '/groups', successor: '/heir' },
  };
  const map = (item: object, more: object = {}): unknown => {
    const body = parse(JSON.stringify({ list: [item], ...more }));
    const [only] = splitPeople(body, mapping, 10);
    return mapItem(only!, mapping, 'UTC');
  };

  test('the first rule whose conditions all hold', () => {
    for (const status of ['gone', 0, false]) expect(map({ status, id: 'a' })).toMatchObject({ event: 'left' });
    expect(map({ status: 'gone', vip: '', id: 'a' })).toMatchObject({ event: 'left' });
    expect(map({ status: 'gone', id: 'a' }, { new: 1 })).toMatchObject({ event: 'left' });
    expect(map({ status: 'gone', vip: 1, id: 'a' }, { new: 1 })).toMatchObject({ event: 'hired' });
    expect(map({ status: 'here' })).toEqual({ event: 'ignored', events: [], occurredAtUs: undefined });
    for (const status of ['0', 'Gone', null, [], {}, 'false']) {
      expect(() => map({ status, id: 'a' })).toThrow(coded('unmappable'));
    }
  });

  test('persons, aliases and members', () => {
    const said = map(
      {
        status: 'gone',
        id: 7,
        mails: ['a@x', 'b@x'],
        other: { issuer: 'https://o', id: 'z' },
        until: '2026-11-30',
        heir: 'h',
        groups: ['g'],
      },
      { at: '2026-11-20' },
    );
    const principal = { issuer: 'https://login', id: '7' };
    expect(
      JSON.parse(JSON.stringify(said, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))),
    ).toEqual({
      event: 'left',
      occurredAtUs: String(Date.parse('2026-11-20T00:00:00Z') * 1000),
      events: [
        {
          suffix: '/linked',
          event: {
            type: 'principal.linked',
            principal,
            aliases: [
              { issuer: 'https://mail', id: 'a@x' },
              { issuer: 'https://mail', id: 'b@x' },
              { issuer: 'https://o', id: 'z' },
            ],
          },
        },
        // What a leaver's groups are says nothing.
        {
          suffix: '',
          event: { type: 'principal.offboarded', principal, effective_at: '2026-12-01T00:00:00Z', successor: 'h' },
        },
      ],
    });
  });

  test('persons that are none say where', () => {
    for (const id of [1.5, true, [], {}, '', null]) {
      expect(() => map({ status: 'gone', id })).toThrow(coded('unmappable'));
    }
    try {
      map({ status: 'gone', id: true });
      expect.unreachable();
    } catch (error) {
      expect((error as KeelsonError).pointer).toBe('/list/0/id');
    }
  });

  test('lists that are none', () => {
    expect(() => splitPeople(parse('{}'), mapping, 10)).toThrow(coded('unmappable'));
    expect(splitPeople(parse('{"list":[]}'), mapping, 10)).toEqual([]);
    expect(splitPeople(parse('{"list":{"a":1}}'), mapping, 10)).toHaveLength(1);
    expect(() => splitPeople(parse('{"list":[1,2,3]}'), mapping, 2)).toThrow(coded('too_many_items'));
  });

  test('its issuers are its producer’s own', () => {
    expect([...ownedIssuers({ id: 'hr', config: { issuer: 'https://i', hr: { mapping } } })].sort()).toEqual([
      'https://i',
      'https://login',
      'https://mail',
    ]);
  });

  test('the forms that there are, are forms', () => {
    expect(Value.Check(HrConfig, { mapping: OWN_FORM })).toBe(true);
    for (const vendor of ['bamboohr', 'hibob', 'workday']) {
      const file = new URL(`../../../examples/hr/${vendor}/producer.json`, import.meta.url);
      expect(Value.Check(ProducerConfig, JSON.parse(readFileSync(file, 'utf8')))).toBe(true);
    }
    for (const bad of [
      { mapping: { ...mapping, events: [] } },
      { mapping: { ...mapping, person: {} } },
      { zone: '' },
      { signature: { scheme: 'hmac' } },
      { mapping: { ...mapping, people: 'list' } },
    ]) {
      expect(Value.Check(HrConfig, bad)).toBe(false);
    }
  });
});

describe('a vendor’s own signature', () => {
  const NOW = 1_790_000_000;
  const body = Buffer.from('{"at":"2026-09-21T14:13:20Z"}');
  const scheme = { algorithm: 'sha256', encoding: 'hex', signs: 'body+timestamp', prefix: 'sha256=' } as const;
  const timed: HrSignature = { scheme: 'hmac', header: 'X-Sig', ...scheme, time: { header: 'X-Time', unit: 's' } };

  test('is over what the scheme says', () => {
    const digest = (algorithm: string, content: string): string =>
      createHmac(algorithm, 's').update(content).digest('hex');
    const sign = (signs: 'body' | 'body+timestamp' | 'timestamp+body' | 'timestamp.body'): string =>
      signHmac({ ...scheme, signs }, 's', '17', Buffer.from('b')).toString('hex');
    expect(sign('body')).toBe(digest('sha256', 'b'));
    expect(sign('body+timestamp')).toBe(digest('sha256', 'b17'));
    expect(sign('timestamp+body')).toBe(digest('sha256', '17b'));
    expect(sign('timestamp.body')).toBe(digest('sha256', '17.b'));
    expect(signHmac({ ...scheme, algorithm: 'sha512', signs: 'body' }, 's', '', Buffer.from('b')).toString('hex')).toBe(
      digest('sha512', 'b'),
    );
  });

  test('of another secret, time or body, cut off or without its prefix, is none', () => {
    const good = `sha256=${signHmac(scheme, 'secret', '17', body).toString('hex')}`;
    expect(checkHmac(scheme, 'secret', good, '17', body)).toBe(true);
    expect(checkHmac(scheme, 'other', good, '17', body)).toBe(false);
    expect(checkHmac(scheme, 'secret', good, '18', body)).toBe(false);
    expect(checkHmac(scheme, 'secret', good, '17', Buffer.from('{}'))).toBe(false);
    for (const header of [
      '',
      'sha256=',
      good.slice(7),
      good.slice(0, -2),
      `${good}00`,
      good.replace('sha256', 'sha512'),
    ]) {
      expect(checkHmac(scheme, 'secret', header, '17', body)).toBe(false);
    }
  });

  test('has a time of its own header, or of its body', () => {
    const claim = (time: string): unknown => readClaim(timed, { 'x-sig': 'sha256=00', 'x-time': time }, NOW);
    expect(claim(String(NOW))).toMatchObject({ sentAtUs: BigInt(NOW) * 1_000_000n });
    expect(claim(String(NOW - 301))).toBe('too_old');
    expect(claim(String(NOW + 301))).toBe('in_future');
    for (const time of ['', 'now', '1e9', '-1', '1'.repeat(16)]) expect(claim(time)).toBe('malformed_timestamp');
    expect(readClaim(timed, { 'x-time': String(NOW) }, NOW)).toBe('no_signature');
    const inBody: HrSignature = { ...timed, signs: 'body', time: { at: '/at', toleranceS: 60 } };
    const check = (text: string, nowS: number): unknown => checkBodyTime(inBody, parse(text), 'UTC', nowS).refusal;
    expect(check(body.toString(), NOW)).toBeUndefined();
    expect(check(body.toString(), NOW + 61)).toBe('too_old');
    expect(check(body.toString(), NOW - 61)).toBe('in_future');
    expect(check('{"at":"soon"}', NOW)).toBe('malformed_timestamp');
    for (const text of ['{}', '{"at":1790000000}', '{"at":null}', '[]']) expect(check(text, NOW)).toBe('no_time');
  });

  test('tells the same webhook again, and another one', () => {
    const identify = (signature: HrSignature, time: string, content: string): string => {
      const claimed = readClaim(signature, { 'x-sig': 'sha256=00', 'x-time': time }, NOW);
      if (typeof claimed === 'string') throw new Error(claimed);
      return claimed.identify(Buffer.from(content));
    };
    const now = String(NOW);
    expect(identify(timed, now, 'a')).toBe(identify(timed, now, 'a'));
    expect(
      new Set([identify(timed, now, 'a'), identify(timed, String(NOW + 1), 'a'), identify(timed, now, 'b')]).size,
    ).toBe(3);
  });
});

test('a time that is not signed is no time: an old message would be new with another header', () => {
  const hmac = { scheme: 'hmac', algorithm: 'sha256', header: 'x-signature', encoding: 'hex' } as const;
  const time = { header: 'x-time', unit: 's', toleranceS: 300 } as const;
  expect(isTimeSigned({ ...hmac, signs: 'body', time })).toBe(false);
  expect(isTimeSigned({ ...hmac, signs: 'timestamp.body', time })).toBe(true);
  expect(isTimeSigned({ ...hmac, signs: 'body', time: { at: '/sent', toleranceS: 300 } })).toBe(true);
  const unsigned: HrSignature = { ...hmac, signs: 'body', time };
  const hr = { signature: unsigned };
  expect(() => requireUsableHr({ hr })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  const claim = readClaim(unsigned, { 'x-signature': 'aa', 'x-time': String(Math.floor(Date.now() / 1000)) }, 0);
  expect(claim).toBe('malformed_timestamp');
});
