import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBase64 } from '../../src/core/bytes.js';
import { formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from '../../src/core/checkpoint.js';
import { makeVerifierKey } from '../../src/core/key.js';
import { parseNote, signNote } from '../../src/core/note.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';

const origin = 'ledger.example/decisions/0/g1';
const signer = nodeSigner(new Uint8Array(32).fill(3));
const key = makeVerifierKey(hasher, origin, signer.publicKey);
const root = Uint8Array.from({ length: 32 }, (_, i) => i);
const rootText = formatBase64(root);
const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });

describe('checkpoints', () => {
  it('are origin, size and root, a line each', () => {
    expect(formatCheckpoint({ origin, size: 70_000n, root })).toBe(`${origin}\n70000\n${rootText}\n`);
  });

  it('parse to what they were formatted from', () => {
    const anySize = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
    const anyRoot = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.domain(), anySize, anyRoot, (name, size, hash) => {
        const checkpoint = { origin: name, size, root: hash };
        expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
      }),
    );
  });

  it.each([
    ['', 'empty'],
    [`${origin}\n5\n${rootText}`, 'no last newline'],
    [`${origin}\n5\n${rootText}\n\n`, 'an empty line behind'],
    [`${origin}\n5\n${rootText}\nextension\n`, 'an extension line'],
    [`\n5\n${rootText}\n`, 'no origin'],
    [`a b\n5\n${rootText}\n`, 'a space in the origin'],
    [`${origin}\n05\n${rootText}\n`, 'a leading zero'],
    [`${origin}\n+5\n${rootText}\n`, 'a sign'],
    [`${origin}\n-5\n${rootText}\n`, 'a negative size'],
    [`${origin}\n5.0\n${rootText}\n`, 'a fraction'],
    [`${origin}\n5e3\n${rootText}\n`, 'an exponent'],
    [`${origin}\n0x5\n${rootText}\n`, 'hex'],
    [`${origin}\n 5\n${rootText}\n`, 'a space before the size'],
    [`${origin}\n\n${rootText}\n`, 'no size'],
    [`${origin}\n9223372036854775808\n${rootText}\n`, 'a size of 2^63'],
    [`${origin}\n5\n${rootText.slice(0, -1)}\n`, 'a root without padding'],
    [`${origin}\n5\n${formatBase64(root.slice(1))}\n`, 'a root of 31 bytes'],
    [`${origin}\n5\n${rootText.slice(0, -2)}9=\n`, 'a root with stray bits'],
  ])('%# is malformed: %s', (text) => {
    expect(() => parseCheckpoint(text)).toThrow(failure('malformed_checkpoint'));
  });

  it.each([
    { origin: 'a b', size: 1n, root },
    { origin, size: -1n, root },
    { origin, size: 1n << 63n, root },
    { origin, size: 1n, root: root.slice(1) },
  ])('are never written wrongly: %#', (checkpoint) => {
    expect(() => formatCheckpoint(checkpoint)).toThrow('not a checkpoint');
  });

  it('open under the key of their origin', () => {
    const note = signCheckpoint(hasher, { origin, size: 5n, root }, signer);
    expect(openCheckpoint(note, key, verifier)).toEqual({ origin, size: 5n, root, verified: [{ key }] });
  });

  it("of another log of the same signer don't", () => {
    const other = makeVerifierKey(hasher, 'ledger.example/lifecycle/0/g1', signer.publicKey);
    const note = signCheckpoint(hasher, { origin, size: 5n, root }, signer);
    expect(() => openCheckpoint(note, other, verifier)).toThrow(failure('unknown_signer'));
    const misnamed = signNote(hasher, parseNote(note).text, other.name, signer);
    expect(() => openCheckpoint(misnamed, other, verifier)).toThrow(failure('malformed_checkpoint'));
  });

  it("that only a cosigner signed don't", () => {
    const cosigner = nodeSigner(new Uint8Array(32).fill(4));
    const cosignerKey = makeVerifierKey(hasher, 'cosigner.example', cosigner.publicKey);
    const note = signNote(hasher, formatCheckpoint({ origin, size: 5n, root }), cosignerKey.name, cosigner);
    expect(() => openCheckpoint(note, key, verifier, [cosignerKey])).toThrow(failure('unknown_signer'));
    const both = signCheckpoint(hasher, { origin, size: 5n, root }, signer) + note.slice(note.indexOf('—'));
    expect(openCheckpoint(both, key, verifier, [cosignerKey]).verified).toEqual([{ key }, { key: cosignerKey }]);
  });

  it("whose signed text is no checkpoint don't", () => {
    const note = signNote(hasher, `${origin}\n05\n${rootText}\n`, origin, signer);
    expect(() => openCheckpoint(note, key, verifier)).toThrow(failure('malformed_checkpoint'));
  });
});
