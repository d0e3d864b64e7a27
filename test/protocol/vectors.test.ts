import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { portableHasher } from '../../src/core/portable.js';
import { builtInSchemas, parseJsonText, separate, type JsonObject } from '../../src/events/index.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { checkToken } from '../../src/protocol/check.js';
import { deriveCanaryKey, deriveKey, type KeyType } from '../../src/protocol/keys.js';
import { parsePart } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';
import { decodeSnapshot, encodeSnapshot } from '../../src/protocol/snapshot.js';
import { keysOfToken } from '../../src/protocol/token-keys.js';
import vectors from '../vectors/protocol/vectors.json' with { type: 'json' };

const schemas = builtInSchemas();
const guardKey = Buffer.from(vectors.guardKey, 'hex');

describe.each([
  ['node:crypto', nodeHasher],
  ['noble', portableHasher],
])('the vectors, by %s', (_, hasher) => {
  it('of keys', () => {
    for (const { type, issuer, values, key } of vectors.keys) {
      expect(formatHex(deriveKey(hasher, guardKey, type as KeyType, issuer, ...values))).toBe(key);
    }
    for (const { facts, keys } of vectors.tokens)
      expect(keysOfToken(hasher, guardKey, facts).map(formatHex)).toEqual(keys);
  });

  it('of the table: each record read from its JSON, its facts, head and verdicts, and the snapshot at the end', () => {
    const table = new RevocationTable(hasher, deriveCanaryKey(hasher, guardKey));
    vectors.records.forEach(({ event, ignored, facts, head, verdicts }, index) => {
      const json = parseJsonText(JSON.stringify({ timestamp: '2027-01-15T08:00:00Z', ...event })) as JsonObject;
      const { type, body } = separate(json, schemas.forType(event.type));
      const applied = table.apply(BigInt(index), parsePart(type, body));
      expect(applied === undefined).toBe(ignored);
      expect(formatHex(applied?.facts ?? new Uint8Array(0))).toBe(facts);
      const { seq, chainHash, stateHash } = table.head();
      expect({ seq, chainHash: formatHex(chainHash), stateHash: formatHex(stateHash) }).toEqual(head);
      vectors.tokens.forEach(({ facts: token }, i) => {
        const keys = keysOfToken(hasher, guardKey, token);
        const found = checkToken(table, keys, token.issuedAtUs, vectors.nowUs, vectors.skewUs);
        expect(found.revoked && found.key ? { ...found, key: formatHex(found.key) } : found).toEqual(verdicts[i]);
      });
    });
    expect(formatHex(encodeSnapshot(table.facts))).toBe(vectors.snapshot);
    expect(formatHex(encodeSnapshot(decodeSnapshot(hasher, Buffer.from(vectors.snapshot, 'hex'))))).toBe(
      vectors.snapshot,
    );
  });
});
