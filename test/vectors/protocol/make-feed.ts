/**
 * Writes feed.json beside it: the messages of docs/feed.md, and a story of what a guard hears at which time by which clocks, what it says
 * to it, and whom it lets through. Bytes are lower-case hex. Made once; test/guard/vectors.test.ts and the reader under examples/ are
 * held to the file.
 *
 *     node --import ./test/support/typescript.mjs test/vectors/protocol/make-feed.ts
 */
import { writeFileSync } from 'node:fs';
import { nodeSigner } from '../../../src/platform/signer.js';
import { signAck } from '../../../src/protocol/ack.js';
import { signFailOpen } from '../../../src/protocol/fail-open.js';
import { signJoin } from '../../../src/protocol/join.js';
import { signRequest } from '../../../src/protocol/request.js';
import type { TokenFacts } from '../../../src/protocol/token-keys.js';
import { instanceSigner, keyOf, LEDGER, makeGuard, ModelFeed, rootSigner, seed, guardKey } from '../../guard/support.js';
import { play, type Line } from '../../guard/story.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const S = 1_000_000;
const instance = seed('an instance').subarray(0, 16);
const feed = new ModelFeed();
const next = nodeSigner(seed('next feed key'));

const iat = 1_789_999_000_000_000;
const ana: TokenFacts = { issuer: 'https://idp', subject: 'ana', jti: 't1', issuedAtUs: iat };
const bob: TokenFacts = { issuer: 'https://idp', subject: 'bob', jti: 't2', issuedAtUs: iat };
const unsaid: TokenFacts = { issuer: 'https://idp', subject: 'bob', jti: 't3' };

const guard = makeGuard();
const lines: Line[] = [];
const tell = (line: Omit<Line, 'monotonicUs' | 'wallUs' | 'uptimeUs'>): void => {
  const { clock } = guard;
  const at = { monotonicUs: clock.monotonicUs(), wallUs: clock.wallUs(), uptimeUs: clock.uptimeUs() };
  lines.push(play(guard.core, { ...at, ...line }));
};
const hear = (what: string, bytes: Uint8Array): void => tell({ what, hear: hex(bytes) });
let nonces = 0;
const ask = (what: string): Uint8Array => {
  tell({ what, nonce: hex(seed(`nonce ${nonces++}`).subarray(0, 16)) });
  return Buffer.from(lines.at(-1)!.request!, 'hex');
};
const check = (what: string, token: TokenFacts, tool?: string): void => tell({ what, token, ...(tool ? { tool } : {}) });
const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const lease = (): void => hear('a grant', feed.grant(ask('a nonce'), 250_000));

check('nothing is trusted after a start', ana);
hear('a frame before the keys', feed.frame(0));
hear('the feed keys', feed.keySet());
hear('a frame without facts', feed.frame(0));
check('no lease yet', ana);
const request = ask('a nonce');
guard.clock.pass(2 * S);
const grant = feed.grant(request, 1 * S);
hear('a grant with a bit flipped', flip(grant, 50));
hear('a grant', grant);
hear('the same grant again', grant);
hear('a grant for another instance', feed.grant(flip(request, 5)));
check('allowed', ana, 'deploy');
feed.block(keyOf('principal', 'ana'));
hear('a frame with a bit flipped in a fact', flip(feed.frame(0), 20));
hear('a frame', feed.frame(0));
check('blocked', ana, 'deploy');
check('allowed', bob, 'deploy');
feed.setStaleness('deploy', 15 * S);
feed.put(keyOf('principal', 'bob'), false, iat);
hear('a frame that begins too far on', feed.frame(3));
hear('a frame that overlaps', feed.frame(1));
check('issued up to the cutoff', bob);
check('does not say when it was issued', unsaid);
const later = { ...bob, issuedAtUs: iat + 60 * S + 1 };
check('issued after the cutoff and the skew', later);
check('issued in the future', { ...bob, issuedAtUs: guard.clock.wallUs() + 61 * S });
guard.clock.pass(11_999_999);
check('as stale as may be for this tool', later, 'deploy');
guard.clock.pass(1);
check('too stale for this tool', later, 'deploy');
check('not for another', later, 'read');
lease();
check('fresh again', later, 'deploy');
guard.clock.setWall(-600 * S);
check('the wall clock was set back', later);
guard.clock.pass(59_740_000);
check('stale all the same', later);
lease();
guard.clock.suspend(60 * S);
check('the machine was suspended', later);
lease();
const old = feed.snapshot();
feed.block(keyOf('agent', 'x'), keyOf('client', 'y'));
const head = feed.head();
hear('a grant whose head is not there yet', feed.grant(ask('a nonce'), 0, head));
hear('a snapshot', feed.snapshot());
hear('a snapshot of the past', old);
check('allowed', later);
hear('a newer set of feed keys', feed.keySet(2, [next.publicKey, feed.signer.publicKey]));
hear('the older one', feed.keySet(1));
hear('a set that somebody else signed', feed.keySet(3, [next.publicKey], 2_000_000_000_000_000, next));
hear('a set without the key', feed.keySet(3, [next.publicKey]));
feed.block(keyOf('session', 'z'));
hear('a frame by a key that is not in force', feed.frame(6));
hear('something else', Buffer.from('KXX1'));

const ack = {
  instance,
  generation: 1,
  seq: guard.core.seq,
  stateHash: guard.core.table!.head().stateHash,
  mappingHash: seed('mapping'),
  keyTypes: ['token', 'principal', 'membership'] as const,
  aborted: 3,
  atUs: 1_790_000_000_000_000,
};
const asked = { method: 'GET', path: '/v1/feed/changes?from=7' };
const atUs = 1_790_000_000_000_000;
const vectors = {
  ledger: LEDGER,
  guardKey: hex(guardKey),
  instance: hex(instance),
  /** Ed25519 seeds (RFC 8032 §5.1.5); of tests alone. */
  seeds: { root: hex(seed('root')), feed: hex(seed('feed')), next: hex(seed('next feed key')), instance: hex(seed('instance')) },
  publicKeys: { root: hex(rootSigner.publicKey), feed: hex(feed.signer.publicKey), instance: hex(instanceSigner.publicKey) },
  join: {
    token: 'kle_token',
    signature: hex(signJoin(instanceSigner, 'kle_token')),
    failOpen: ['deploy', 'read'],
    signatureFailOpen: hex(signJoin(instanceSigner, 'kle_token', ['read', 'deploy'])),
  },
  failOpen: {
    atUs,
    tools: ['deploy', 'read'],
    bytes: hex(signFailOpen(instanceSigner, LEDGER, { instance, atUs, tools: ['read', 'deploy'] })),
  },
  request: { ...asked, atUs, header: signRequest(instanceSigner, LEDGER, asked, { instance, atUs }) },
  ack: {
    ...ack,
    instance: hex(ack.instance),
    stateHash: hex(ack.stateHash),
    mappingHash: hex(ack.mappingHash),
    bytes: hex(signAck(instanceSigner, LEDGER, ack)),
  },
  story: lines,
};
writeFileSync(new URL('feed.json', import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`);
