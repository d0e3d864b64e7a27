import { expect, it } from 'vitest';
import { StateHash } from '../../src/protocol/state-hash.js';
import { seed } from '../guard/support.js';

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (number: bigint): Uint8Array => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
const MODULUS = 1n << 256n;

it('is a sum modulo 2^256, of what comes less what goes', () => {
  const hash = new StateHash();
  let sum = 0n;
  const digests = [bytesOf(MODULUS - 1n), bytesOf(1n), bytesOf(0x1_00n), bytesOf(0xff_ffn), seed('a'), seed('b')];
  for (const digest of [...digests, ...digests]) {
    hash.add(digest);
    sum = (sum + numberOf(digest)) % MODULUS;
    expect(numberOf(hash.bytes())).toBe(sum);
  }
  for (const digest of [...digests, ...digests]) {
    hash.subtract(digest);
    sum = (sum - numberOf(digest) + MODULUS) % MODULUS;
    expect(numberOf(hash.bytes())).toBe(sum);
  }
  hash.subtract(bytesOf(1n));
  expect(numberOf(hash.bytes())).toBe(MODULUS - 1n);
  hash.bytes().fill(0);
  expect(numberOf(hash.bytes())).toBe(MODULUS - 1n);
});
