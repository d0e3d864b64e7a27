/**
 * Writes vectors.json beside it: keys of identities and tokens; a log of revocation records with the facts, hashes, snapshot and verdicts
 * that follow. Bytes are lower-case hex. Made once; test/protocol/vectors.test.ts holds the code to the file.
 *
 *     node --import ./test/support/typescript.mjs test/vectors/protocol/make.ts
 */
import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { nodeHasher as hasher } from '../../../src/platform/hasher.js';
import { checkToken } from '../../../src/protocol/check.js';
import { deriveCanaryKey, deriveKey, type KeyType } from '../../../src/protocol/keys.js';
import { formatChanges, parsePart, type Change } from '../../../src/protocol/part.js';
import { RevocationTable } from '../../../src/protocol/revocation-table.js';
import { encodeSnapshot } from '../../../src/protocol/snapshot.js';
import { keysOfToken, type TokenFacts } from '../../../src/protocol/token-keys.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const guardKey = hash('sha256', 'guard key', 'buffer');
const key = (type: KeyType, issuer: string, ...values: string[]): Buffer =>
  Buffer.from(deriveKey(hasher, guardKey, type, issuer, ...values));

const IDENTITIES: [KeyType, string, ...string[]][] = [
  ['token', 'https://as.example', 'jti-1'],
  ['token', '', hash('sha256', 'opaque token')],
  ['grant', 'https://as.example', 'grant-1'],
  ['session', '', 'session-1'],
  ['principal', 'https://idp.example', 'jürgen@example.com'],
  ['delegation', '', 'delegation-1'],
  ['agent', '', 'spiffe://example.com/agent/deploy-bot'],
  ['client', 'https://as.example', 'https://client.example/metadata.json'],
  ['tool', '', 'deploy_to_production'],
  ['environment', '', 'production'],
  ['membership', 'https://idp.example', 'jürgen@example.com', 'Platform 🛠'],
  ['canary', '', ''],
];

const TOKENS: TokenFacts[] = [
  {
    issuer: 'https://as.example',
    jti: 'jti-1',
    subject: 'u-1',
    subjects: [{ issuer: 'https://idp.example', id: 'jürgen@example.com' }],
    sessionId: 'session-1',
    clientId: 'client-1',
    agents: ['agent-1'],
    actors: [{ id: 'agent-2' }],
    delegations: ['delegation-1'],
    grants: ['grant-1'],
    groups: ['ops', 'dev'],
    tool: 'shell',
    environment: 'production',
    issuedAtUs: 1_800_000_000_000_000,
  },
  { digest: hash('sha256', 'opaque token'), agents: ['agent-1'] },
  { issuer: 'https://as.example', subject: 'u-2', issuedAtUs: 1_799_999_000_000_000 },
  { issuer: 'https://as.example', subject: 'u-2', issuedAtUs: 1_800_000_100_000_000 },
  { issuer: 'https://as.example', subject: 'u-2' },
  { issuer: 'https://as.example', subject: 'u-3', issuedAtUs: 1_800_001_000_000_000 },
];

const ORDER_1 = hash('sha256', 'order 1').slice(0, 32);
const ORDER_2 = hash('sha256', 'order 2').slice(0, 32);
const LOG: { type: string; term: number; changes?: Change[] }[] = [
  { type: 'revocation.term', term: 1 },
  {
    type: 'revocation.ordered',
    term: 1,
    changes: [
      { change: 'block', order: ORDER_1, keys: Buffer.concat([key('principal', 'https://as.example', 'u-1'), key('agent', '', 'agent-1')]) },
      { change: 'cutoff', atUs: 1_800_000_000_000_000, keys: key('principal', 'https://as.example', 'u-2') },
    ],
  },
  { type: 'revocation.term', term: 2 },
  { type: 'revocation.extended', term: 1, changes: [{ change: 'block', order: ORDER_1, keys: key('tool', '', 'zombie') }] },
  { type: 'revocation.ordered', term: 2, changes: [{ change: 'block', order: ORDER_2, keys: key('agent', '', 'agent-1') }] },
  { type: 'revocation.ordered', term: 2, changes: [{ change: 'block', order: ORDER_2, keys: key('agent', '', 'agent-1') }] },
  {
    type: 'revocation.lifted',
    term: 2,
    changes: [
      { change: 'lift', order: ORDER_2, atUs: 1_800_000_050_123_456, keys: Buffer.concat([key('agent', '', 'agent-1'), key('tool', '', 'shell')]) },
      { change: 'lift', order: ORDER_1, atUs: 1_800_000_040_000_000, keys: key('agent', '', 'agent-1') },
    ],
  },
  { type: 'revocation.expired', term: 2, changes: [{ change: 'expire', keys: key('principal', 'https://as.example', 'u-1') }] },
];

const NOW_US = 1_800_000_200_000_000;
const SKEW_US = 30_000_000;
const table = new RevocationTable(hasher, deriveCanaryKey(hasher, guardKey));
const records = LOG.map(({ type, term, changes }, index) => {
  const event = { type, term, ...(changes === undefined ? {} : { order: ORDER_1, changes: formatChanges(changes) }) };
  const body = { term, changes: changes?.map((one) => ({ ...one, at: 'atUs' in one ? one.atUs : null })) };
  const applied = table.apply(BigInt(index), parsePart(type, body));
  const { seq, chainHash, stateHash } = table.head();
  const verdicts = TOKENS.map((facts) => {
    const found = checkToken(table, keysOfToken(hasher, guardKey, facts), facts.issuedAtUs, NOW_US, SKEW_US);
    return found.revoked && found.key !== undefined ? { ...found, key: hex(found.key) } : found;
  });
  const head = { seq, chainHash: hex(chainHash), stateHash: hex(stateHash) };
  return { event, ignored: applied === undefined, facts: hex(applied?.facts ?? Buffer.alloc(0)), head, verdicts };
});

const vectors = {
  guardKey: hex(guardKey),
  keys: IDENTITIES.map(([type, issuer, ...values]) => ({ type, issuer, values, key: hex(key(type, issuer, ...values)) })),
  tokens: TOKENS.map((facts) => ({ facts, keys: keysOfToken(hasher, guardKey, facts).map(hex) })),
  nowUs: NOW_US,
  skewUs: SKEW_US,
  records,
  snapshot: hex(encodeSnapshot(table.facts)),
};
writeFileSync(new URL('vectors.json', import.meta.url), JSON.stringify(vectors, null, 2) + '\n');
