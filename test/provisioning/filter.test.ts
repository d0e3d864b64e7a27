import { describe, expect, test } from 'vitest';
import { parseJsonText, type JsonObject } from '../../src/events/index.js';
import { matches, parseFilter } from '../../src/provisioning/scim/filter.js';
import { RESOURCE_TYPES } from '../../src/provisioning/scim/schema.js';

const jane = parseJsonText(
  JSON.stringify({
    id: 'A1',
    externalId: 'E1',
    userName: 'Jane@Example.com',
    active: true,
    name: { givenName: 'Jané' },
    emails: [
      { value: 'jane@work.example', type: 'work', primary: true },
      { value: 'jane@home.example', type: 'home' },
    ],
    meta: { lastModified: '2026-05-13T04:42:34Z' },
    'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { department: 'R&D', manager: { value: 'b-1' } },
    'urn:example:custom:2.0:User': { level: 7 },
  }),
) as JsonObject;
const match = (filter: string): boolean => matches(parseFilter(filter, RESOURCE_TYPES.User), jane);

describe('a filter', () => {
  test.each([
    'userName eq "jane@example.COM"',
    'USERNAME EQ "jane@example.com"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "JANE"',
    'externalId eq "E1"',
    'active eq true',
    'active eq "True"',
    'name.givenName eq "jané"',
    'emails eq "jane@home.example"',
    'emails.value co "WORK"',
    'emails[type eq "work" and value ew ".example"]',
    'emails[not (type eq "other")]',
    'not (userName eq "x") and (active eq false or externalId pr)',
    'active eq false or active eq true and userName pr',
    'title ne "x"',
    'title eq null',
    'meta.lastModified gt "2026-05-13T06:42:33+02:00"',
    'meta.lastModified le "2026-05-13T04:42:34.000Z"',
    'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "r&d"',
    'URN:ietf:params:scim:schemas:extension:Enterprise:2.0:user:manager.value eq "b-1"',
    'urn:example:custom:2.0:User:level ge 7',
    'userName eq "jane\\u0040example.com"',
  ])('holds: %s', (filter) => expect(match(filter)).toBe(true));

  test.each([
    'externalId eq "e1"',
    'userName eq "jane"',
    'active eq "yes"',
    'title pr',
    'emails[type eq "work" and value co "home"]',
    'nonsense eq "x"',
    'urn:example:custom:2.0:User:level lt 7',
    'userName eq 7',
    'userName gt "zz"',
  ])('does not hold: %s', (filter) => expect(match(filter)).toBe(false));

  test.each([
    '',
    'userName',
    'userName eq',
    'userName eq "x',
    "userName eq 'x'",
    'userName eq "x" or',
    'userName eq "x" userName',
    '(userName pr',
    'userName pr)',
    'userName xx "y"',
    'eq "x"',
    'emails[type eq "x"',
    'emails[type[a pr]]',
    'emails[a.b.c pr]',
    'a.b.c pr',
    'userName eq "x"; drop table keelson.scim_resource; --',
    "userName eq \"x\" or '1'='1'",
    '1 eq 1',
    `${'('.repeat(20)}a pr${')'.repeat(20)}`,
    Array.from({ length: 101 }, () => 'a pr').join(' and '),
    `userName eq "${'x'.repeat(9000)}"`,
    'userName eq "\\x"',
    'userName eq 1e999999999999999999999999999999999',
  ])('is refused: %.60s', (filter) => {
    expect(() => parseFilter(filter, RESOURCE_TYPES.User)).toThrow(expect.objectContaining({ code: 'invalid_filter' }));
  });

  test('that makes patterns backtrack takes no longer than its length', () => {
    const nasty = ['\\a', '\\\\', '"', '(', 'a pr and ', '[', ' ', '\\"'].map((piece) =>
      piece.repeat(8_192 / piece.length - 20),
    );
    for (const text of nasty) {
      for (const filter of [text, `userName eq "${text}`, `userName eq ${text}`, `emails[${text}`]) {
        expect(() => parseFilter(filter, RESOURCE_TYPES.User)).toThrow(
          expect.objectContaining({ code: 'invalid_filter' }),
        );
      }
    }
  });
});
