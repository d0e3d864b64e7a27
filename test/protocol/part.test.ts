import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBase64 } from '../../src/core/bytes.js';
import {
  builtInSchemas,
  decodeRecord,
  encodeRecord,
  parseJsonText,
  separate,
  type JsonObject,
} from '../../src/events/index.js';
import { formatChanges, MAX_PART_KEYS, parsePart, type Change } from '../../src/protocol/part.js';

const failure = (code: string, pointer: string): unknown =>
  expect.objectContaining({ name: 'KeelsonError', code, pointer });
const ORDER = '0123456789abcdef'.repeat(2);
const KEYS = formatBase64(new Uint8Array(32).fill(5));

const keys = fc.nat(5).chain((n) => fc.uint8Array({ minLength: 16 * n, maxLength: 16 * n }));
const order = fc.stringMatching(/^[0-9a-f]{32}$/);
const atUs = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1e6),
  fc.integer({ min: 0, max: 2_000_000_000_000 }).map((ms) => ms * 1e3),
);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ change: fc.constant('block' as const), order, keys }),
  fc.record({ change: fc.constant('lift' as const), order, atUs, keys }),
  fc.record({ change: fc.constant('cutoff' as const), atUs, keys }),
  fc.record({ change: fc.constant('expire' as const), keys }),
);

const schemas = builtInSchemas();

/** What the ledger gives back of an event of Keelson's own. */
function throughRecord(event: object): { type: string; body: Record<string, unknown>; originals: readonly unknown[] } {
  const json = parseJsonText(JSON.stringify({ timestamp: '2026-01-01T00:00:00Z', ...event })) as JsonObject;
  const schema = schemas.forType(json.type as string);
  const { type, occurredAtUs, epoch, sequence, body, originals } = separate(json, schema);
  const fixed = Buffer.alloc(16);
  const envelope = {
    dedupe: fixed,
    blind: fixed,
    id: 'i',
    producer: 'p',
    producerVerified: true,
    source: '',
    protocol: 'internal',
  };
  const bytes = encodeRecord(schema, {
    ...envelope,
    ...{ type, occurredAtUs, acceptedAtUs: occurredAtUs, epoch, sequence, body, originals },
    ...{ assigned: [], persons: [], sealed: [], masked: [] },
  });
  return decodeRecord(bytes, schemas);
}

describe('a part', () => {
  it('comes back from the ledger as it was written, its times without an original beside them', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), fc.bigInt({ min: 0n, max: 1n << 53n }), (changes, term) => {
        const event = { type: 'revocation.ordered', term: Number(term), order: ORDER, changes: formatChanges(changes) };
        const record = throughRecord(event);
        expect(record.originals).toEqual([]);
        const plain = changes.map((one) => ({ ...one, keys: Buffer.from(one.keys) }));
        expect(parsePart(record.type, record.body)).toEqual({ term, changes: plain });
      }),
    );
  });

  it('may hold nothing, and names nothing that a change has not', () => {
    for (const term of [0n, (1n << 63n) - 1n]) {
      for (const none of [{}, { changes: null }, { changes: [] }]) {
        expect(parsePart('revocation.ordered', { term, ...none })).toEqual({ term, changes: [] });
      }
    }
    const keys = new Uint8Array(32).fill(5);
    expect(formatChanges([{ change: 'expire', keys }])).toStrictEqual([{ change: 'expire', keys: KEYS }]);
    expect(formatChanges([{ change: 'cutoff', atUs: 1, keys }])).toStrictEqual([
      { change: 'cutoff', keys: KEYS, at: '1970-01-01T00:00:00.000001Z' },
    ]);
  });

  it('holds 3,000 keys in one record and no more', () => {
    const full: Change[] = [
      { change: 'block', order: ORDER, keys: new Uint8Array(16 * (MAX_PART_KEYS - 1)) },
      { change: 'expire', keys: new Uint8Array(16) },
    ];
    const event = { type: 'revocation.extended', term: 1, order: ORDER, changes: formatChanges(full) };
    const record = throughRecord(event);
    expect(parsePart(record.type, record.body).changes?.[0]?.keys.length).toBe(16 * 2999);
    const more: Change[] = [...full, { change: 'cutoff', atUs: 1, keys: new Uint8Array(16) }];
    expect(() => formatChanges(more)).toThrow(failure('malformed_part', '/changes'));
    const changes = more.map(({ keys, ...rest }) => ({
      ...rest,
      at: 'atUs' in rest ? rest.atUs : null,
      order: ORDER,
      keys,
    }));
    expect(() => parsePart('revocation.ordered', { term: 1n, changes })).toThrow(failure('malformed_part', '/changes'));
  });

  it('names its order once for all changes, or each its own', () => {
    const other = 'f'.repeat(32);
    const changes = [
      { change: 'block', keys: KEYS },
      { change: 'lift', order: other, at: 7n, keys: KEYS },
    ];
    expect(parsePart('revocation.lifted', { term: 3n, order: ORDER, changes }).changes).toMatchObject([
      { change: 'block', order: ORDER },
      { change: 'lift', order: other, atUs: 7 },
    ]);
  });

  it.each(['revocation.term', 'revocation.held', 'revocation.fired', 'revocation.refused'])(
    'is not what a %s says: its term counts alone',
    (type) => {
      expect(parsePart(type, { term: 4n, changes: 'anything' })).toEqual({ term: 4n, changes: undefined });
    },
  );

  it.each<[string, object, string]>([
    ['no term', { term: null }, '/term'],
    ['a negative term', { term: -1n }, '/term'],
    ['a term in words', { term: '1' }, '/term'],
    ['changes that are no array', { changes: {} }, '/changes'],
    ['a term that no long holds', { term: 1n << 63n }, '/term'],
    ['a change that is none', { changes: [null] }, '/changes/0'],
    ['a change in words', { changes: ['block'] }, '/changes/0'],
    ['an order that is longer', { order: `${ORDER}0`, changes: [{ change: 'block', keys: KEYS }] }, '/changes/0/order'],
    [
      'an order with more before it',
      { order: `x${ORDER}`, changes: [{ change: 'block', keys: KEYS }] },
      '/changes/0/order',
    ],
    ['a list of orders', { order: [ORDER], changes: [{ change: 'block', keys: KEYS }] }, '/changes/0/order'],
    ['an unknown change', { changes: [{ change: 'allow', keys: KEYS }] }, '/changes/0/change'],
    ['no change', { changes: [{ change: null, keys: KEYS }] }, '/changes/0/change'],
    ['no keys', { changes: [{ change: 'expire', keys: null }] }, '/changes/0/keys'],
    ['half a key', { changes: [{ change: 'expire', keys: new Uint8Array(24) }] }, '/changes/0/keys'],
    ['keys in base64url', { changes: [{ change: 'expire', keys: '_'.repeat(64) }] }, '/changes/0/keys'],
    ['a block without an order', { order: null, changes: [{ change: 'block', keys: KEYS }] }, '/changes/0/order'],
    [
      'an order of another form',
      { changes: [{ change: 'block', order: 'A'.repeat(32), keys: KEYS }] },
      '/changes/0/order',
    ],
    ['a block with a time', { changes: [{ change: 'block', at: 1n, keys: KEYS }] }, '/changes/0/at'],
    ['a lift without a time', { changes: [{ change: 'lift', keys: KEYS }] }, '/changes/0/at'],
    ['a cutoff without a time', { changes: [{ change: 'cutoff', keys: KEYS }] }, '/changes/0/at'],
    ['a time no number holds', { changes: [{ change: 'cutoff', at: 1n << 53n, keys: KEYS }] }, '/changes/0/at'],
    ['a fraction of a microsecond', { changes: [{ change: 'cutoff', at: 0.5, keys: KEYS }] }, '/changes/0/at'],
  ])('is refused with %s', (_, members, pointer) => {
    expect(() => parsePart('revocation.ordered', { term: 1n, order: ORDER, ...members })).toThrow(
      failure('malformed_part', pointer),
    );
  });

  it('is not written of what could not be read', () => {
    const of =
      (change: object): (() => unknown) =>
      () =>
        formatChanges([change as Change]);
    expect(of({ change: 'block', order: 'x', keys: new Uint8Array(16) })).toThrow(
      failure('malformed_part', '/changes/0/order'),
    );
    expect(of({ change: 'expire', keys: new Uint8Array(8) })).toThrow(failure('malformed_part', '/changes/0/keys'));
    expect(of({ change: 'cutoff', atUs: NaN, keys: new Uint8Array(16) })).toThrow(
      failure('malformed_part', '/changes/0/at'),
    );
    expect(of({ change: 'cutoff', atUs: 2 ** 53, keys: new Uint8Array(16) })).toThrow(
      failure('malformed_part', '/changes/0/at'),
    );
  });
});
