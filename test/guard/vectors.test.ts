import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { portableHasher, portableVerifier } from '../../src/core/portable.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import { checkAck, parseAck, signAck } from '../../src/protocol/ack.js';
import { parseFailOpen, signFailOpen } from '../../src/protocol/fail-open.js';
import { instanceOf, signedJoin, signJoin } from '../../src/protocol/join.js';
import { parseRequest, signedRequest, signRequest } from '../../src/protocol/request.js';
import { checkSignature, type SignedAs } from '../../src/protocol/signed.js';
import type { KeyType } from '../../src/protocol/keys.js';
import { GuardCore } from '../../src/guard/core.js';
import vectors from '../vectors/protocol/feed.json' with { type: 'json' };
import { play, type Line } from './story.js';
import { seed } from './support.js';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const { ledger, ack, failOpen, join, request } = vectors;
const signer = nodeSigner(bytes(vectors.seeds.instance));
const instance = bytes(vectors.instance);
const realm = { ledger, verifier: nodeVerifier };

it.each([
  ['node:crypto', nodeHasher, nodeVerifier],
  ['noble', portableHasher, portableVerifier],
])('a guard hears and says what the vectors tell, by %s', (_, hasher, verifier) => {
  const now: Pick<Line, 'monotonicUs' | 'wallUs' | 'uptimeUs'> = { ...vectors.story[0]! };
  const core = new GuardCore({
    hasher,
    verifier,
    membership: {
      instance,
      ledger,
      generation: 1,
      guardKey: bytes(vectors.guardKey),
      rootKey: bytes(vectors.publicKeys.root),
      signer,
    },
    mapping: { hash: seed('mapping'), keyTypes: [] },
    clock: { monotonicUs: () => now.monotonicUs, wallUs: () => now.wallUs, uptimeUs: () => now.uptimeUs },
  });
  for (const line of vectors.story as Line[]) {
    Object.assign(now, line);
    const { rejected, seq, stateHash, request, verdict, ...given } = line;
    expect(play(core, given)).toEqual(line);
    void [rejected, seq, stateHash, request, verdict];
  }
});

describe('the vectors', () => {
  it('of an ack, a request and joining', () => {
    const check = (as: SignedAs, signed: Uint8Array): void =>
      checkSignature(as === 'join' ? { ...realm, ledger: '' } : realm, [signer.publicKey], as, signed);
    const read = parseAck(bytes(ack.bytes));
    checkAck(realm, signer.publicKey, bytes(ack.bytes));
    expect({ ...read, ...{ instance: formatHex(read.instance) } }).toMatchObject({
      instance: ack.instance,
      seq: ack.seq,
      keyTypes: ack.keyTypes,
      aborted: ack.aborted,
      atUs: ack.atUs,
    });
    expect(formatHex(signAck(signer, ledger, { ...read, keyTypes: ack.keyTypes as KeyType[] }))).toBe(ack.bytes);

    const asked = { method: request.method, path: request.path };
    expect(signRequest(signer, ledger, asked, { instance, atUs: request.atUs })).toBe(request.header);
    check('request', signedRequest(asked, parseRequest(request.header, request.atUs).bytes));

    expect(formatHex(signJoin(signer, join.token))).toBe(join.signature);
    check('join', signedJoin(join.token, signer.publicKey, bytes(join.signature)));
    expect(formatHex(signJoin(signer, join.token, join.failOpen))).toBe(join.signatureFailOpen);
    check('join', signedJoin(join.token, signer.publicKey, bytes(join.signatureFailOpen), join.failOpen));
    expect(instanceOf(nodeHasher, ledger, signer.publicKey)).toHaveLength(16);

    const { atUs, tools } = failOpen;
    expect(formatHex(signFailOpen(signer, ledger, { instance, atUs, tools }))).toBe(failOpen.bytes);
    expect(parseFailOpen(bytes(failOpen.bytes))).toEqual({ instance, atUs, tools });
    check('fail-open', bytes(failOpen.bytes));
  });
});
