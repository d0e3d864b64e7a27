import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { portableHasher } from '../../src/core/portable.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { deriveKey, makeKeyDeriver, type KeyType } from '../../src/protocol/keys.js';
import { keysOfToken, type TokenFacts } from '../../src/protocol/token-keys.js';

const guardKey = createHash('sha256').update('guard').digest();

/** The definition, by node's own HMAC. */
function keyOf(secret: Uint8Array, ...parts: string[]): string {
  const mac = createHmac('sha256', secret);
  for (const part of parts) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    mac.update(length).update(part);
  }
  return mac.digest('hex').slice(0, 32);
}

describe('deriveKey', () => {
  it('is HMAC-SHA-256 over length-prefixed parts, whatever the secret, the hasher and the text', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 200 });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 130 }),
        text,
        fc.array(text, { maxLength: 3 }),
        (secret, issuer, values) => {
          const expected = keyOf(secret, 'principal', issuer, ...values);
          for (const by of [hasher, portableHasher]) {
            expect(formatHex(deriveKey(by, secret, 'principal', issuer, ...values))).toBe(expected);
          }
        },
      ),
    );
  });

  it('is that for secrets around the length of a block, and texts of any length, one after the other', () => {
    for (const length of [0, 1, 63, 64, 65, 130]) {
      const secret = Buffer.alloc(length, 0xa5);
      expect(formatHex(deriveKey(hasher, secret, 'tool', '', 'x'))).toBe(keyOf(secret, 'tool', '', 'x'));
    }
    for (const unit of ['x', '\u007f', '\u0080', 'é', '€', '😀', 'x€']) {
      for (const more of [[], ['more']]) {
        const derive = makeKeyDeriver(hasher, guardKey);
        for (let length = 0; length < 260; length++) {
          const values = [unit.repeat(length), ...more];
          expect(formatHex(derive('tool', 'issuer', ...values))).toBe(keyOf(guardKey, 'tool', 'issuer', ...values));
        }
        expect(formatHex(derive('tool', ''))).toBe(keyOf(guardKey, 'tool', ''));
      }
    }
    const long = 'x'.repeat(5000);
    expect(formatHex(deriveKey(hasher, guardKey, 'tool', long, '€'))).toBe(keyOf(guardKey, 'tool', long, '€'));
  });

  it('tells apart what only the borders between parts tell apart', () => {
    const of = (...parts: string[]): string =>
      formatHex(deriveKey(hasher, guardKey, 'membership', parts[0]!, ...parts.slice(1)));
    const keys = [of('a', 'bc', 'd'), of('ab', 'c', 'd'), of('a', 'b', 'cd'), of('a', 'bcd'), of('', 'abc', 'd')];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('keysOfToken', () => {
  const keys = (facts: TokenFacts): string[] => keysOfToken(hasher, guardKey, facts).map(formatHex);
  const key = (type: KeyType, ...parts: string[]): string => keyOf(guardKey, type, ...parts);

  it('derives a key of each thing the token descends from', () => {
    const digest = 'AB'.repeat(32);
    const found = keys({
      issuer: 'https://as',
      jti: 't1',
      digest,
      subject: 'u1',
      subjects: [{ issuer: 'https://hr', id: 'e1' }, { id: 'oid1' }],
      sessionId: 's1',
      clientId: 'c1',
      agents: ['a1', 'a2'],
      actors: [{ id: 'x1' }],
      delegations: ['d1'],
      grants: ['g1'],
      groups: ['ops'],
      tool: 'shell',
      environment: 'prod',
    });
    expect(new Set(found)).toEqual(
      new Set([
        key('token', 'https://as', 't1'),
        key('token', '', digest.toLowerCase()),
        key('principal', 'https://as', 'u1'),
        key('principal', 'https://hr', 'e1'),
        key('principal', 'https://as', 'oid1'),
        key('membership', 'https://as', 'u1', 'ops'),
        key('membership', 'https://hr', 'e1', 'ops'),
        key('membership', 'https://as', 'oid1', 'ops'),
        key('session', 'https://as', 's1'),
        key('session', '', 's1'),
        key('client', 'https://as', 'c1'),
        key('client', '', 'c1'),
        key('agent', '', 'a1'),
        key('agent', '', 'a2'),
        key('agent', '', 'x1'),
        key('principal', 'https://as', 'x1'),
        key('client', 'https://as', 'x1'),
        key('client', '', 'x1'),
        key('delegation', '', 'd1'),
        key('grant', 'https://as', 'g1'),
        key('grant', '', 'g1'),
        key('tool', '', 'shell'),
        key('environment', '', 'prod'),
      ]),
    );
    expect(new Set(found).size).toBe(found.length);
  });

  it('names each key once, and nothing for a token of which nothing is known', () => {
    expect(keys({})).toEqual([]);
    expect(keys({ subject: 'u', subjects: [{ id: 'u' }, { issuer: '', id: 'u' }], sessionId: 's' })).toEqual([
      key('principal', '', 'u'),
      key('session', '', 's'),
    ]);
  });
});
