import { describe, expect, test } from 'vitest';
import { parseJsonText, type JsonObject } from '../../src/events/index.js';
import { applyPatch, copyDraft } from '../../src/provisioning/scim/patch.js';
import { RESOURCE_TYPES } from '../../src/provisioning/scim/schema.js';

const json = (value: unknown): JsonObject => parseJsonText(JSON.stringify(value)) as JsonObject;
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const jane = json({
  userName: 'jane',
  active: true,
  name: { givenName: 'Jane', familyName: 'Doe' },
  emails: [
    { value: 'j@work', type: 'work', primary: true },
    { value: 'j@home', type: 'home' },
  ],
});

function patch(...operations: unknown[]): Record<string, unknown> {
  const draft = copyDraft(jane, []);
  applyPatch(draft, json({ Operations: operations }), RESOURCE_TYPES.User);
  return plain(draft.resource) as Record<string, unknown>;
}
const codeOf = (...operations: unknown[]): unknown => {
  try {
    patch(...operations);
    return 'none';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

describe('a PATCH of Okta and Entra', () => {
  test.each([
    ['Okta', { op: 'replace', value: { active: false } }],
    ['Entra by default', { op: 'Replace', path: 'active', value: 'False' }],
    ['Entra with its flag', { op: 'replace', path: 'active', value: false }],
    ['wrapped', { op: 'Add', path: 'Active', value: [{ value: 'False' }] }],
    ['by URN', { op: 'replace', path: 'urn:ietf:params:scim:schemas:core:2.0:User:active', value: 'false' }],
  ])('%s: deactivates', (_name, operation) => expect(patch(operation).active).toBe(false));

  test('removing active says that it is no longer so', () => {
    expect(patch({ op: 'remove', path: 'active' }).active).toBeNull();
    expect(patch({ op: 'replace', path: 'active', value: null }).active).toBeNull();
  });

  test('dotted names and URNs inside of a value are paths', () => {
    expect(
      patch({
        op: 'replace',
        value: {
          displayName: 'x',
          'name.givenName': 'y',
          [`${ENTERPRISE}:employeeNumber`]: 'z',
          [ENTERPRISE]: { department: 'd' },
          id: 'ignored',
          unknownThing: 1,
        },
      }),
    ).toEqual({
      ...(plain(jane) as object),
      displayName: 'x',
      name: { givenName: 'y', familyName: 'Doe' },
      [ENTERPRISE]: { employeeNumber: 'z', department: 'd' },
    });
  });

  test('a manager as a bare id', () => {
    expect(patch({ op: 'Add', path: `${ENTERPRISE}:manager`, value: 'm1' })[ENTERPRISE]).toEqual({
      manager: { value: 'm1' },
    });
  });

  test('an e-mail address by its type, there or not', () => {
    expect(patch({ op: 'Replace', path: 'emails[type eq "work"].value', value: 'new@work' }).emails).toEqual([
      { value: 'new@work', type: 'work', primary: true },
      { value: 'j@home', type: 'home' },
    ]);
    expect(patch({ op: 'Add', path: 'emails[type eq "other"].value', value: 'o@x' }).emails).toContainEqual({
      value: 'o@x',
      type: 'other',
    });
    expect(patch({ op: 'remove', path: 'emails[type eq "home"]' }).emails).toHaveLength(1);
    expect(patch({ op: 'remove', path: 'emails', value: [{ value: 'j@work' }] }).emails).toEqual([
      { value: 'j@home', type: 'home' },
    ]);
  });

  test('a new primary value is the only one; adding the same twice adds nothing', () => {
    const { emails } = patch({ op: 'add', path: 'emails', value: [{ value: 'n@x', primary: true }] });
    expect((emails as { primary?: boolean }[]).filter(({ primary }) => primary)).toEqual([
      { value: 'n@x', primary: true },
    ]);
    expect(patch({ op: 'add', path: 'emails', value: [{ value: 'j@home', type: 'home' }] }).emails).toHaveLength(2);
  });

  test('what an extension of one’s own holds is kept', () => {
    const urn = 'urn:ietf:params:scim:schemas:extension:CustomExtension:2.0:User';
    expect(patch({ op: 'add', path: `${urn}:tag`, value: 'a' })[urn]).toEqual({ tag: 'a' });
  });

  test('a password is thrown away', () => {
    expect(patch({ op: 'replace', path: 'password', value: 'secret' })).toEqual(plain(jane));
  });

  test.each([
    ['no list', 'invalid_request', 'x'],
    ['an unknown op', 'invalid_request', { op: 'move', path: 'title', value: 'x' }],
    ['an unknown path', 'invalid_path', { op: 'add', path: 'nonsense', value: 'x' }],
    ['an unknown part', 'invalid_path', { op: 'add', path: 'name.nonsense', value: 'x' }],
    ['a path with a NUL', 'invalid_path', { op: 'add', path: 'a b', value: 'x' }],
    ['a path into a prototype', 'invalid_path', { op: 'add', path: '__proto__.polluted', value: true }],
    ['a filter on what is no list', 'invalid_path', { op: 'replace', path: 'title[value eq "x"]', value: 'x' }],
    ['a broken filter', 'invalid_filter', { op: 'replace', path: 'emails[type eq]', value: 'x' }],
    ['a filter nothing can be made of', 'no_target', { op: 'replace', path: 'emails[type sw "z"].value', value: 'x' }],
    ['a remove without path', 'no_target', { op: 'remove' }],
    ['a read-only attribute', 'immutable', { op: 'replace', path: 'id', value: 'x' }],
    ['groups', 'immutable', { op: 'add', path: 'groups', value: [{ value: 'g' }] }],
    ['a wrong type', 'invalid_value', { op: 'replace', path: 'active', value: 'maybe' }],
    ['a number for a text', 'invalid_value', { op: 'replace', path: 'title', value: 7 }],
    ['no value', 'invalid_value', { op: 'replace', path: 'title' }],
    [
      'two primaries',
      'invalid_value',
      {
        op: 'add',
        path: 'emails',
        value: [
          { value: 'a', primary: true },
          { value: 'b', primary: true },
        ],
      },
    ],
  ])('%s is refused as %s', (_name, code, operation) => expect(codeOf(operation)).toBe(code));

  test('more operations than anybody needs are refused at once', () => {
    const operations = Array.from({ length: 1_001 }, () => ({ op: 'add', path: 'title', value: 'x' }));
    expect(codeOf(...operations)).toBe('too_large');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('members', () => {
  const change = (...operations: unknown[]): string[] => {
    const draft = copyDraft(json({ displayName: 'g' }), ['u1', 'u2', 'u3']);
    applyPatch(draft, json({ Operations: operations }), RESOURCE_TYPES.Group);
    return [...draft.members].sort();
  };

  test.each([
    ['Entra by default', { op: 'Remove', path: 'members', value: [{ value: 'u1' }] }, ['u2', 'u3']],
    ['Entra with its flag', { op: 'remove', path: 'members[value eq "u1"]' }, ['u2', 'u3']],
    ['all', { op: 'remove', path: 'members' }, []],
    ['add', { op: 'Add', path: 'members', value: [{ value: 'u4' }, { value: 'u1' }] }, ['u1', 'u2', 'u3', 'u4']],
    ['Okta', { op: 'add', value: { members: [{ value: 'u4', display: 'x' }] } }, ['u1', 'u2', 'u3', 'u4']],
    ['replace', { op: 'replace', path: 'members', value: [{ value: 'u9' }] }, ['u9']],
    ['replace by none', { op: 'replace', path: 'members', value: [] }, []],
    ['remove of who is not in', { op: 'remove', path: 'members[value eq "zz"]' }, ['u1', 'u2', 'u3']],
  ])('%s', (_name, operation, members) => expect(change(operation)).toEqual(members));
});
