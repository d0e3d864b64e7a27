import { expect, it } from 'vitest';
import type { KeelsonError } from '../../src/core/error.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import {
  MAX_FAIL_OPEN_BYTES,
  MAX_FAIL_OPEN_TOOLS,
  MAX_TOOL_BYTES,
  parseFailOpen,
  signFailOpen,
} from '../../src/protocol/fail-open.js';
import { signedJoin, signJoin } from '../../src/protocol/join.js';
import { checkSignature } from '../../src/protocol/signed.js';
import { seed } from '../guard/support.js';

const signer = nodeSigner(seed('instance'));
const instance = seed('i').subarray(0, 16);
const sign = (tools: readonly string[]): Uint8Array => signFailOpen(signer, 'ledger', { instance, atUs: 7, tools });

it('a statement reads as it was signed, its tools in order and once', () => {
  expect(parseFailOpen(sign(['read', 'deploy', 'read']))).toEqual({ instance, atUs: 7, tools: ['deploy', 'read'] });
  for (const tools of [[], ['x'], ['*']]) expect(parseFailOpen(sign(tools))).toEqual({ instance, atUs: 7, tools });
  const longest = Array.from({ length: MAX_FAIL_OPEN_TOOLS }, (_, i) => `${i}`.padStart(MAX_TOOL_BYTES, 'x'));
  expect(sign(longest)).toHaveLength(MAX_FAIL_OPEN_BYTES);
  expect(parseFailOpen(sign(longest)).tools).toHaveLength(MAX_FAIL_OPEN_TOOLS);
});

it('no bit of it can be another', () => {
  const bytes = sign(['deploy', 'read']);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    let code: string | undefined;
    try {
      parseFailOpen(flipped);
      checkSignature({ ledger: 'ledger', verifier }, [signer.publicKey], 'fail-open', flipped);
    } catch (error) {
      code = (error as KeelsonError).code;
    }
    expect(code, `${bit}`).toMatch(/^(malformed_message|bad_signature)$/);
  }
  for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, bytes])]) {
    expect(() => parseFailOpen(other)).toThrow(expect.objectContaining({ code: 'malformed_message' }));
  }
});

it.each([
  ['too many', Array.from({ length: MAX_FAIL_OPEN_TOOLS + 1 }, (_, i) => `${i}`)],
  ['one without a name', ['']],
  ['one whose name is too long', ['x'.repeat(MAX_TOOL_BYTES + 1)]],
])('tools that can not be said: %s', (_, tools) => {
  expect(() => sign(tools)).toThrow(expect.objectContaining({ code: 'out_of_range' }));
});

it('joining, what is signed is what is said', () => {
  const signature = signJoin(signer, 'kle_token', ['read', 'deploy']);
  const check = (failOpen?: string[]): void => {
    const signed = signedJoin('kle_token', signer.publicKey, signature, failOpen);
    checkSignature({ ledger: '', verifier }, [signer.publicKey], 'join', signed);
  };
  check(['deploy', 'read']);
  for (const other of [undefined, [], ['deploy'], ['deploy', 'read', 'write']]) {
    expect(() => check(other)).toThrow(expect.objectContaining({ code: 'bad_signature' }));
  }
});
