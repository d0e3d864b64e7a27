/** Every message between server and guard: it reads as it was written, and nothing else passes for it. */
import { describe, expect, it } from 'vitest';
import { formatBase64 } from '../../src/core/bytes.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { ACK_BYTES, checkAck, parseAck, signAck } from '../../src/protocol/ack.js';
import { parseFailOpen, signFailOpen } from '../../src/protocol/fail-open.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { encodeFrame, MAX_FRAME_FACTS, openFrame } from '../../src/protocol/frame.js';
import {
  LEASE_REQUEST_BYTES,
  openGrant,
  parseLeaseRequest,
  signGrant,
  signLeaseRequest,
} from '../../src/protocol/grant.js';
import { equalHeads, HEAD_BYTES, openHead, signHead, type FeedHead } from '../../src/protocol/head.js';
import { instanceOf, signedJoin, signJoin } from '../../src/protocol/join.js';
import { MAX_FEED_KEYS, openKeySet, signKeySet } from '../../src/protocol/key-set.js';
import {
  parseRequest,
  REQUEST_SKEW_US,
  signedRequest,
  signRequest,
  type Asked,
  type InstanceRequest,
} from '../../src/protocol/request.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from '../../src/protocol/signed.js';
import { encodeSignedSnapshot, encodeSnapshot, encodeSnapshotHead, openSnapshot } from '../../src/protocol/snapshot.js';
import { seed } from '../guard/support.js';

const ledger = 'ledger.example';
const realm: Realm = { ledger, verifier };
const signer = nodeSigner(seed('signer'));
const keys = [signer.publicKey];
const instance = seed('i').subarray(0, 16);
const nonce = seed('n').subarray(0, 16);
const key = seed('a key').subarray(0, 16);
const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });
const be = (size: 1 | 2 | 4 | 8, value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.subarray(8 - size);
};
const lp = (text: string): Buffer => Buffer.concat([be(4, Buffer.byteLength(text)), Buffer.from(text)]);

const table = new FactTable(hasher);
table.put(key, 0, true, undefined);
const head: FeedHead = { generation: 3, ...table.head() };
const signedHead = signHead(signer, ledger, head);
const headFields = [be(4, 3), be(8, 1), head.chainHash, head.stateHash];
const ack = {
  instance,
  generation: 3,
  seq: 2 ** 33,
  stateHash: seed('state'),
  mappingHash: seed('mapping'),
  keyTypes: ['token', 'tool', 'membership'] as const,
  aborted: 70_000,
  atUs: 1_790_000_000_000_001,
};
const statement = { instance, atUs: 7, tools: ['deploy', 'read'] };
const fact = Buffer.concat([key, be(1, 1), be(8, 0)]);

interface Kind {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** All but the signature, field by field. */
  readonly fields: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array, realm: Realm, publicKey: Uint8Array) => unknown;
  readonly means: unknown;
  readonly length?: number;
}

const kinds: readonly Kind[] = [
  {
    name: 'head',
    bytes: signedHead,
    fields: [Buffer.from('KRH1'), ...headFields],
    read: (bytes, realm, key) => openHead(realm, [key], bytes),
    means: head,
    length: HEAD_BYTES,
  },
  {
    name: 'feed-keys',
    bytes: signKeySet(signer, ledger, { version: 9, expiresUs: 2 ** 50, publicKeys: [seed('a'), seed('b')] }),
    fields: [Buffer.from('KKS1'), be(8, 9), be(8, 2 ** 50), be(1, 2), seed('a'), seed('b')],
    read: (bytes, realm, key) => openKeySet(realm, key, bytes),
    means: { version: 9, expiresUs: 2 ** 50, publicKeys: [seed('a'), seed('b')] },
  },
  {
    name: 'lease-request',
    bytes: signLeaseRequest(signer, ledger, { instance, nonce }),
    fields: [Buffer.from('KLR1'), instance, nonce],
    read: (bytes, realm, key) => {
      const request = parseLeaseRequest(bytes);
      checkSignature(realm, [key], 'lease-request', bytes);
      return request;
    },
    means: { instance, nonce },
    length: LEASE_REQUEST_BYTES,
  },
  {
    name: 'grant',
    bytes: signGrant(signer, ledger, { instance, nonce, readAgeUs: 5, head }),
    fields: [Buffer.from('KLG1'), instance, nonce, be(8, 5), ...headFields],
    read: (bytes, realm, key) => openGrant(realm, [key], bytes),
    means: { instance, nonce, readAgeUs: 5, head },
  },
  {
    name: 'ack',
    bytes: signAck(signer, ledger, ack),
    fields: [
      Buffer.from('KAC1'),
      instance,
      be(4, 3),
      be(8, ack.seq),
      ack.stateHash,
      ack.mappingHash,
      be(2, 1 | (1 << 7) | (1 << 9)),
      be(4, ack.aborted),
      be(8, ack.atUs),
    ],
    read: (bytes, realm, key) => {
      const read = parseAck(bytes);
      checkAck(realm, key, bytes);
      return read;
    },
    means: ack,
    length: ACK_BYTES,
  },
  {
    name: 'fail-open',
    bytes: signFailOpen(signer, ledger, { ...statement, tools: ['read', 'deploy', 'read'] }),
    fields: [Buffer.from('KFO1'), instance, be(8, 7), be(2, 2), lp('deploy'), lp('read')],
    read: (bytes, realm, key) => {
      const read = parseFailOpen(bytes);
      checkSignature(realm, [key], 'fail-open', bytes);
      return read;
    },
    means: statement,
  },
];

describe.each(kinds)('a message: $name', ({ name, bytes, fields, read, means, length }) => {
  it('is what docs/feed.md says, to the byte, and signed as what it is', () => {
    const message = Buffer.concat(fields);
    expect(Buffer.from(bytes.subarray(0, -SIGNATURE_BYTES)).toString('hex')).toBe(message.toString('hex'));
    expect(bytes).toHaveLength(length ?? message.length + SIGNATURE_BYTES);
    const signed = Buffer.concat([lp(`keelson/${name}/v1`), lp(ledger), message]);
    expect(verifier.verify(signer.publicKey, signed, bytes.subarray(-SIGNATURE_BYTES))).toBe(true);
    expect(read(bytes, realm, signer.publicKey)).toEqual(means);
    // Somewhere in a larger buffer, too.
    const larger = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]);
    expect(read(larger.subarray(3, 3 + bytes.length), realm, signer.publicKey)).toEqual(means);
  });

  it('is refused cut short, made longer, or as anything else', () => {
    for (let end = 0; end < bytes.length; end++) {
      expect(() => read(bytes.subarray(0, end), realm, signer.publicKey), `${end}`).toThrow(
        failure('malformed_message'),
      );
    }
    expect(() => read(Buffer.concat([bytes, Buffer.of(0)]), realm, signer.publicKey)).toThrow(
      failure('malformed_message'),
    );
    for (let i = 0; i < 4; i++) {
      const other = Uint8Array.from(bytes);
      other[i]!++;
      expect(() => read(other, realm, signer.publicKey)).toThrow(failure('malformed_message'));
    }
  });

  it('is refused of another key, for another ledger, and changed', () => {
    const other = nodeSigner(seed('other')).publicKey;
    expect(() => read(bytes, realm, other)).toThrow(failure('bad_signature'));
    expect(() => read(bytes, { ...realm, ledger: 'another' }, signer.publicKey)).toThrow(failure('bad_signature'));
    for (const at of [11, bytes.length - 1]) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      expect(() => read(changed, realm, signer.publicKey)).toThrow(failure('bad_signature'));
    }
  });
});

describe('a signature', () => {
  it('counts of any of the keys, and of none of none', () => {
    const signed = sign(signer, 'head', ledger, Buffer.from('message'));
    checkSignature(realm, [seed('no key'), signer.publicKey], 'head', signed);
    expect(() => checkSignature(realm, [], 'head', signed)).toThrow(failure('bad_signature'));
    expect(() => checkSignature(realm, keys, 'grant', signed)).toThrow(failure('bad_signature'));
  });

  it('is not found in what is shorter than one', () => {
    const seen: [number, number][] = [];
    const watching = {
      ...verifier,
      verify: (_: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
        seen.push([message.length, signature.length]);
        return false;
      },
    };
    for (const length of [0, 5, SIGNATURE_BYTES, SIGNATURE_BYTES + 1]) {
      const bytes = new Uint8Array(length);
      expect(() => checkSignature({ ledger, verifier: watching }, keys, 'head', bytes)).toThrow(
        failure('bad_signature'),
      );
    }
    const prefix = lp('keelson/head/v1').length + lp(ledger).length;
    expect(seen).toEqual([
      [prefix, 0],
      [prefix, 5],
      [prefix, SIGNATURE_BYTES],
      [prefix + 1, SIGNATURE_BYTES],
    ]);
  });
});

describe('heads', () => {
  it('are one state where number, chain and contents are', () => {
    expect(equalHeads(head, { ...head })).toBe(true);
    for (const other of [{ seq: 2 }, { chainHash: seed('x') }, { stateHash: seed('x') }]) {
      expect(equalHeads(head, { ...head, ...other })).toBe(false);
    }
  });
});

describe('a key set', () => {
  const of = (count: number): Uint8Array =>
    signKeySet(signer, ledger, {
      version: 1,
      expiresUs: 2,
      publicKeys: Array.from({ length: count }, (_, i) => seed(`${i}`)),
    });

  it('has one to eight keys', () => {
    for (const count of [1, MAX_FEED_KEYS]) {
      expect(openKeySet(realm, signer.publicKey, of(count)).publicKeys).toHaveLength(count);
    }
    for (const count of [0, MAX_FEED_KEYS + 1]) {
      expect(() => of(count)).toThrow();
      const fields = [Buffer.from('KKS1'), be(8, 1), be(8, 2), be(1, count), Buffer.alloc(32 * count)];
      const bytes = sign(signer, 'feed-keys', ledger, Buffer.concat(fields));
      expect(() => openKeySet(realm, signer.publicKey, bytes)).toThrow(failure('malformed_message'));
    }
  });
});

describe('an ack', () => {
  it('names types of keys that are known', () => {
    const bytes = Uint8Array.from(signAck(signer, ledger, { ...ack, keyTypes: [] }));
    expect(parseAck(bytes).keyTypes).toEqual([]);
    const at = 4 + 16 + 4 + 8 + 32 + 32;
    bytes[at] = 3;
    expect(parseAck(bytes).keyTypes).toEqual(['environment', 'membership']);
    bytes[at] = 4;
    expect(() => parseAck(bytes)).toThrow(failure('malformed_message'));
    const all = ['token', 'grant', 'session', 'principal', 'delegation', 'agent', 'client', 'tool'] as const;
    all.forEach((type, i) => {
      const one = signAck(signer, ledger, { ...ack, keyTypes: [type] });
      expect([one[at], one[at + 1]]).toEqual([0, 1 << i]);
    });
  });
});

describe('a statement of what fails open', () => {
  it.each([
    ['out of order', [lp('read'), lp('deploy')]],
    ['twice', [lp('read'), lp('read')]],
    ['without a name', [lp(''), lp('read')]],
    ['too long', [lp('x'.repeat(257))]],
    ['not UTF-8', [Buffer.concat([be(4, 1), Buffer.of(0xff)])]],
    ['too many', Array.from({ length: 101 }, (_, i) => lp(String(i).padStart(3, '0')))],
  ])('is refused with tools %s', (_, tools) => {
    const message = Buffer.concat([Buffer.from('KFO1'), instance, be(8, 7), be(2, tools.length), ...tools]);
    expect(() => parseFailOpen(sign(signer, 'fail-open', ledger, message))).toThrow(failure('malformed_message'));
  });
});

describe('a frame', () => {
  const frame = (from: number, facts: Uint8Array, count = facts.length / 25): Uint8Array =>
    Buffer.concat([Buffer.from('KRF1'), be(8, from), be(4, count), facts, signedHead]);

  it('is what docs/feed.md says, to the byte', () => {
    expect(encodeFrame(0, fact, signedHead)).toEqual(new Uint8Array(frame(0, fact)));
    expect(openFrame(realm, keys, frame(0, fact))).toMatchObject({ from: 0, head });
    expect(Buffer.from(openFrame(realm, keys, frame(0, fact)).facts)).toEqual(fact);
    expect(openFrame(realm, keys, frame(1, Buffer.alloc(0)))).toMatchObject({ from: 1, head });
  });

  it.each([
    ['for a head of another seq', frame(1, fact)],
    ['for a head of another seq, empty', frame(0, Buffer.alloc(0))],
    ['with something that is no fact', frame(0, Buffer.concat([key, be(1, 8), be(8, 0)]))],
    ['with a second that is none', frame(0, Buffer.concat([fact, key, be(1, 8), be(8, 0)]))],
    ['cut short', frame(0, fact).subarray(0, -1)],
    ['with something behind', Buffer.concat([frame(0, fact), Buffer.of(0)])],
    ['that announces more than there is', frame(0, fact, 16_384)],
    ['of another kind', Buffer.concat([Buffer.from('KRF2'), frame(0, fact).subarray(4)])],
  ])('is refused %s', (_, bytes) => {
    expect(() => openFrame(realm, keys, bytes)).toThrow(failure('malformed_message'));
  });

  it('is refused with a head that nobody signed', () => {
    expect(() => openFrame(realm, [seed('other')], frame(0, fact))).toThrow(failure('bad_signature'));
  });

  it('holds 16,384 facts, and no more nor parts of one', () => {
    const most = new Uint8Array(MAX_FRAME_FACTS * 25);
    const headOf = (seq: number): Uint8Array => signHead(signer, ledger, { ...head, seq });
    const full = encodeFrame(7, most, headOf(7 + MAX_FRAME_FACTS));
    expect(full).toHaveLength(16 + most.length + HEAD_BYTES);
    expect(openFrame(realm, keys, full).facts).toHaveLength(most.length);
    const more = [new Uint8Array(most.length + 25), headOf(7 + MAX_FRAME_FACTS + 1)] as const;
    expect(() => encodeFrame(7, ...more)).toThrow();
    const tooMany = Buffer.concat([Buffer.from('KRF1'), be(8, 7), be(4, MAX_FRAME_FACTS + 1), ...more]);
    expect(() => openFrame(realm, keys, tooMany)).toThrow(failure('malformed_message'));
    expect(() => encodeFrame(0, fact.subarray(1), signedHead)).toThrow();
  });
});

describe('a signed snapshot', () => {
  const snapshot = Buffer.concat([Buffer.from('KRS1'), signedHead, encodeSnapshot(table)]);

  it('is the head, and the table behind it', () => {
    expect(Buffer.concat([encodeSnapshotHead(signedHead), encodeSnapshot(table)])).toEqual(snapshot);
    const opened = openSnapshot(hasher, realm, keys, snapshot);
    expect([opened.head, opened.table.head()]).toEqual([head, table.head()]);
    expect(Buffer.concat([...encodeSignedSnapshot(signedHead, table)])).toEqual(snapshot);
  });

  it('is refused of another head, however well each is', () => {
    const other = signHead(signer, ledger, { ...head, chainHash: seed('x') });
    const bytes = Buffer.concat([encodeSnapshotHead(other), encodeSnapshot(table)]);
    expect(() => openSnapshot(hasher, realm, keys, bytes)).toThrow(failure('malformed_snapshot'));
    expect(() => openSnapshot(hasher, realm, [seed('x')], snapshot)).toThrow(failure('bad_signature'));
  });
});

describe('joining', () => {
  it('shows the key that is brought, for the token that is shown', () => {
    const signature = signJoin(signer, 'kle_token');
    expect(signature).toHaveLength(SIGNATURE_BYTES);
    const check = (token: string, key: Uint8Array): void =>
      checkSignature({ ledger: '', verifier }, [key], 'join', signedJoin(token, key, signature));
    check('kle_token', signer.publicKey);
    const bytes = Buffer.concat([lp('keelson/join/v1'), lp(''), lp('kle_token'), signer.publicKey]);
    expect(verifier.verify(signer.publicKey, bytes, signature)).toBe(true);
    for (const [token, key] of [
      ['kle_other', signer.publicKey],
      ['kle_token', seed('x')],
    ] as const) {
      expect(() => check(token, key)).toThrow(failure('bad_signature'));
    }
  });

  it('names an instance by ledger and key', () => {
    const digest = new Uint8Array(32);
    hasher.sha256(Buffer.concat([lp(ledger), signer.publicKey]), digest, 0);
    expect(instanceOf(hasher, ledger, signer.publicKey)).toEqual(digest.subarray(0, 16));
  });
});

describe('a request over HTTP', () => {
  const asked = { method: 'GET', path: '/v1/feed/changes?from=7' };
  const atUs = 1_790_000_000_000_000;
  const header = signRequest(signer, ledger, asked, { instance, atUs });
  const parse = (text: string | undefined, nowUs = atUs): InstanceRequest & { readonly bytes: Uint8Array } =>
    parseRequest(text, nowUs);

  it('says who asks, and is signed with what is asked for', () => {
    const { bytes, ...said } = parse(header);
    expect(said).toEqual({ instance, atUs });
    const check = (key: Uint8Array, what: Asked): void =>
      checkSignature(realm, [key], 'request', signedRequest(what, bytes));
    check(signer.publicKey, asked);
    const message = Buffer.concat([Buffer.from('KIR1'), instance, be(8, atUs)]);
    expect(Buffer.from(bytes.subarray(0, -SIGNATURE_BYTES))).toEqual(message);
    const signed = Buffer.concat([lp('keelson/request/v1'), lp(ledger), message, lp(asked.method), lp(asked.path)]);
    expect(verifier.verify(signer.publicKey, signed, bytes.subarray(-SIGNATURE_BYTES))).toBe(true);
    for (const other of [
      { ...asked, method: 'POST' },
      { ...asked, path: '/v1/feed/changes?from=8' },
    ]) {
      expect(() => check(signer.publicKey, other)).toThrow(failure('bad_signature'));
    }
    expect(() => check(seed('x'), asked)).toThrow(failure('bad_signature'));
  });

  it('is of now, give or take five minutes', () => {
    for (const offUs of [-REQUEST_SKEW_US, REQUEST_SKEW_US]) {
      expect(parse(header, atUs + offUs)).toMatchObject({ atUs });
      expect(() => parse(header, atUs + offUs + Math.sign(offUs))).toThrow(failure('unauthenticated'));
    }
  });

  it('is of the scheme and whole', () => {
    const bytes = Buffer.from(header.slice('Keelson '.length), 'base64');
    for (const other of [undefined, '', 'Keelson', header.slice(8), `Bearer ${header.slice(8)}`, `${header}!`]) {
      expect(() => parse(other)).toThrow(failure('unauthenticated'));
    }
    for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)]), Buffer.from('KIR2')]) {
      expect(() => parse(`Keelson ${formatBase64(other)}`)).toThrow(failure('malformed_message'));
    }
  });
});
