import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier, verifyLater } from '../../src/platform/signer.js';

describe('nodeHasher', () => {
  test('agrees with createHash for every length to 300, at any offset', () => {
    const out = new Uint8Array(100);
    for (let length = 0; length <= 300; length++) {
      const input = randomBytes(length);
      nodeHasher.sha256(input, out, length % 68);
      expect(Buffer.from(out.subarray(length % 68, (length % 68) + 32))).toEqual(
        createHash('sha256').update(input).digest(),
      );
    }
  });

  test('writes its 32 bytes and nothing else; input and output may overlap', () => {
    const shared = new Uint8Array(64).fill(9);
    const expected = createHash('sha256').update(shared).digest();
    nodeHasher.sha256(shared, shared, 16);
    expect(Buffer.from(shared.subarray(16, 48))).toEqual(expected);
    expect([...shared.subarray(0, 16), ...shared.subarray(48)].every((byte) => byte === 9)).toBe(true);
  });

  test('never writes part of a digest', () => {
    for (const offset of [1, 32, -1]) {
      expect(() => nodeHasher.sha256(new Uint8Array(1), new Uint8Array(32), offset)).toThrow('no room');
    }
  });
});

describe('nodeSigner', () => {
  // RFC 8032 §7.1, tests 1 to 3.
  test.each([
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ])('signs as RFC 8032 says (%#)', (seed, publicKey, message, signature) => {
    const signer = nodeSigner(Buffer.from(seed, 'hex'));
    expect(Buffer.from(signer.publicKey).toString('hex')).toBe(publicKey);
    expect(Buffer.from(signer.sign(Buffer.from(message, 'hex'))).toString('hex')).toBe(signature);
    expect(nodeVerifier.verify(signer.publicKey, Buffer.from(message, 'hex'), Buffer.from(signature, 'hex'))).toBe(
      true,
    );
  });

  test('one changed bit anywhere in the signature is refused', async () => {
    const signer = nodeSigner(randomBytes(32));
    const message = randomBytes(40);
    const signature = signer.sign(message);
    for (let bit = 0; bit < 512; bit++) {
      const changed = signature.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(nodeVerifier.verify(signer.publicKey, message, changed)).toBe(false);
      expect(await verifyLater(signer.publicKey, message, changed)).toBe(false);
    }
    expect(await verifyLater(signer.publicKey, message, signature)).toBe(true);
    expect(await verifyLater(signer.publicKey, message, signature.subarray(1))).toBe(false);
    expect(await verifyLater(signer.publicKey.subarray(1), message, signature)).toBe(false);
    expect(nodeVerifier.verify(signer.publicKey, message, signature.subarray(1))).toBe(false);
    expect(nodeVerifier.verify(signer.publicKey.subarray(1), message, signature)).toBe(false);
  });
});
