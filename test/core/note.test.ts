import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalBytes, formatBase64 } from '../../src/core/bytes.js';
import { formatVerifierKey, makeVerifierKey, parseVerifierKey } from '../../src/core/key.js';
import { cosignedMessage, formatNote, openNote, parseNote, signNote } from '../../src/core/note.js';
import { makePortableSigner, portableHasher, portableVerifier } from '../../src/core/portable.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';

const alice = nodeSigner(new Uint8Array(32).fill(1));
const bob = nodeSigner(new Uint8Array(32).fill(2));
const aliceKey = makeVerifierKey(hasher, 'alice.example/log', alice.publicKey);
const bobKey = makeVerifierKey(hasher, 'bob.example', bob.publicKey);
const witnessKey = makeVerifierKey(hasher, 'witness.example', bob.publicKey, 'cosignature/v1');

const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });
const signatureLines = (note: string): string => note.slice(note.lastIndexOf('\n\n') + 2);

function cosign(note: string, timeS: bigint): string {
  const { text, signatures } = parseNote(note);
  const bytes = new Uint8Array(72);
  new DataView(bytes.buffer).setBigUint64(0, timeS);
  bytes.set(bob.sign(cosignedMessage(timeS, text)), 8);
  return formatNote({ text, signatures: [...signatures, { name: witnessKey.name, keyId: witnessKey.keyId, bytes }] });
}

describe('verifier keys', () => {
  const published = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';

  it('agree with the published one', () => {
    const key = parseVerifierKey(hasher, published);
    expect(key).toMatchObject({ name: 'example.com/foo', algorithm: 'ed25519', keyId: 0x530d903a });
    expect(formatVerifierKey(key)).toBe(published);
    expect(parseVerifierKey(portableHasher, published)).toEqual(key);
  });

  it('parse to what they were formatted from, with pluses in their base64', () => {
    const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(anyKey, fc.constantFrom('ed25519' as const, 'cosignature/v1' as const), (publicKey, algorithm) => {
        const key = makeVerifierKey(hasher, 'ledger.example/decisions/0/g1', publicKey, algorithm);
        expect(parseVerifierKey(hasher, formatVerifierKey(key))).toEqual(key);
      }),
    );
  });

  it.each([
    ['', 'empty'],
    ['example.com/foo', 'a name alone'],
    [published.replace('530d903a', '530d903b'), 'another id'],
    [published.replace('530d903a', '530D903A'), 'an upper-case id'],
    [published.replace('example.com', 'example.org'), 'another name'],
    [published.replace('+Ae', '+Ee'), 'an unknown type'],
    [published.slice(0, -4), 'a short key'],
    [`${published}\n`, 'a newline behind it'],
    [published.replace('example.com/foo', ''), 'no name'],
    [published.replace('example.com/foo', 'example com'), 'a space in the name'],
  ])('%j is none: %s', (text) => {
    expect(() => parseVerifierKey(hasher, text)).toThrow(failure('malformed_key'));
  });

  it.each(['', 'a b', 'a+b', 'a\nb', 'a\u00a0b', 'a\u0085b', 'a\ud800'])('have no name like %j', (name) => {
    expect(() => makeVerifierKey(hasher, name, alice.publicKey)).toThrow(failure('malformed_key'));
  });

  it('are of 32 bytes', () => {
    expect(() => makeVerifierKey(hasher, 'name', new Uint8Array(31))).toThrow(failure('malformed_key'));
  });
});

describe('signed notes', () => {
  const note = signNote(hasher, 'first line\n\nthird line, ünïcode\n', aliceKey.name, alice);

  it('open to their text, whoever else signed', () => {
    const byBob = signNote(hasher, 'first line\n\nthird line, ünïcode\n', bobKey.name, bob);
    const both = note + signatureLines(byBob);
    for (const each of [note, both]) {
      expect(openNote(each, [aliceKey], verifier)).toEqual({
        text: 'first line\n\nthird line, ünïcode\n',
        verified: [{ key: aliceKey }],
      });
    }
    expect(openNote(both, [bobKey, aliceKey], verifier).verified.map(({ key }) => key)).toEqual([aliceKey, bobKey]);
  });

  it('by nobody known are refused', () => {
    expect(() => openNote(note, [bobKey], verifier)).toThrow(failure('unknown_signer'));
    expect(() => openNote(note, [], verifier)).toThrow(failure('unknown_signer'));
    const sameName = makeVerifierKey(hasher, aliceKey.name, bob.publicKey);
    expect(() => openNote(note, [sameName], verifier)).toThrow(failure('unknown_signer'));
  });

  it("with a known signer's line that is not theirs are refused, whatever else is there", () => {
    const other = signNote(hasher, 'another text\n', aliceKey.name, alice);
    expect(() => openNote(note + signatureLines(other), [aliceKey], verifier)).toThrow(failure('bad_signature'));
    const byBob = signNote(hasher, parseNote(note).text, bobKey.name, bob);
    const mixed = byBob + signatureLines(other);
    expect(() => openNote(mixed, [aliceKey, bobKey], verifier)).toThrow(failure('bad_signature'));
    expect(openNote(mixed, [bobKey], verifier).verified).toHaveLength(1);
  });

  it("with any bit of the text or the signature flipped don't open", () => {
    const bytes = Buffer.from(note);
    for (let i = 0; i < bytes.length; i++) {
      const flipped = Buffer.from(bytes);
      flipped[i]! ^= 1 << (i % 7);
      expect(() => openNote(flipped.toString('utf8'), [aliceKey], verifier)).toThrow(
        expect.objectContaining({ name: 'KeelsonError' }),
      );
    }
  });

  it("of another length of signature don't open", () => {
    const { text, signatures } = parseNote(note);
    const [{ name, keyId, bytes }] = signatures as [(typeof signatures)[number]];
    for (const each of [bytes.slice(1), Uint8Array.of(...bytes, 0)]) {
      const changed = formatNote({ text, signatures: [{ name, keyId, bytes: each }] });
      expect(() => openNote(changed, [aliceKey], verifier)).toThrow(failure('bad_signature'));
    }
  });

  it('carry cosignatures and their times', () => {
    const cosigned = cosign(note, 1_700_000_000n);
    expect(openNote(cosigned, [aliceKey, witnessKey], verifier).verified).toEqual([
      { key: aliceKey },
      { key: witnessKey, cosignedAtS: 1_700_000_000n },
    ]);
    expect(openNote(cosigned, [witnessKey], portableVerifier).verified).toHaveLength(1);
    const { text, signatures } = parseNote(cosigned);
    const bytes = signatures[1]!.bytes.slice();
    bytes[7]! ^= 1;
    const later = formatNote({ text, signatures: [signatures[0]!, { ...signatures[1]!, bytes }] });
    expect(() => openNote(later, [aliceKey, witnessKey], verifier)).toThrow(failure('bad_signature'));
    expect(openNote(later, [aliceKey], verifier).verified).toHaveLength(1);
  });

  it('parse to what they were formatted from', () => {
    const anyLine = fc.string({ unit: 'grapheme' }).filter((line) => !/[\0-\x1f]/.test(line));
    const anySignature = fc.record({
      name: fc.domain(),
      keyId: fc.integer({ min: 0, max: 0xffffffff }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 90 }),
    });
    const anyNote = fc.record({
      text: fc.array(anyLine, { minLength: 1 }).map((lines) => `${lines.join('\n')}\n`),
      signatures: fc.array(anySignature, { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(anyNote, (each) => {
        const parsed = parseNote(formatNote(each));
        expect(parsed.text).toBe(each.text);
        expect(parsed.signatures).toEqual(each.signatures);
      }),
    );
  });

  const line = '— name AAAAAAA=\n';
  it('start from one that is well-formed', () => {
    expect(parseNote(`text\n\n${line}`).signatures).toHaveLength(1);
  });
  it.each([
    ['', 'empty'],
    ['text\n', 'no signatures'],
    ['text\n\n', 'an empty block of signatures'],
    [`text\n${line}`, 'no empty line'],
    [`\n${line}`, 'no text'],
    [`text\n\n${line.trimEnd()}`, 'no last newline'],
    [`text\n\n${line}\n`, 'one newline too many'],
    [`text\n\n-${line.slice(1)}`, 'a hyphen for the dash'],
    [`text\n\n—  name AAAAAAA=\n`, 'two spaces'],
    [`text\n\n— na+me AAAAAAA=\n`, 'a plus in the name'],
    [`text\n\n— na\u2003me AAAAAAA=\n`, 'a wide space in the name'],
    [`text\n\n— name AAAAAAA=x\n`, 'not base64'],
    [`text\n\n— name AAAAAAB=\n`, 'base64 with stray bits'],
    [`text\n\n— name AAAAAA\n`, 'base64 without padding'],
    [`text\n\n— name AAAAAA==\n`, 'a key id alone'],
    [`text\n\n— name AAAAAAA= \n`, 'a space at the end'],
    [`te\rxt\n\n${line}`, 'a carriage return'],
    [`te\txt\n\n${line}`, 'a tab'],
    [`te\0xt\n\n${line}`, 'a NUL'],
    [`te\ud800xt\n\n${line}`, 'a lone surrogate'],
    [`text\n\n${line.repeat(101)}`, 'more than 100 signatures'],
    [`${'x'.repeat(1_000_001)}\n\n${line}`, 'too long'],
  ])('%# is malformed: %s', (text) => {
    expect(() => parseNote(text)).toThrow(failure('malformed_note'));
  });

  it('are never made from a text that would not parse', () => {
    for (const text of ['', 'no newline', 'tab\t\n']) {
      expect(() => signNote(hasher, text, aliceKey.name, alice)).toThrow(failure('malformed_note'));
    }
  });
});

describe('noble and node:crypto', () => {
  it('sign and verify alike', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 300 }),
        (seed, message) => {
          const [node, noble] = [nodeSigner(seed), makePortableSigner(seed)];
          expect(equalBytes(node.publicKey, noble.publicKey)).toBe(true);
          const signature = node.sign(message);
          expect(formatBase64(noble.sign(message))).toBe(formatBase64(signature));
          expect(portableVerifier.verify(node.publicKey, message, signature)).toBe(true);
          const flipped = signature.slice();
          flipped[message.length % 64]! ^= 1;
          for (const each of [verifier, portableVerifier]) {
            expect(each.verify(node.publicKey, message, flipped)).toBe(false);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('refuse what only ZIP-215 accepts: a key and signature of small order', () => {
    const smallOrder = new Uint8Array(32);
    smallOrder[0] = 1;
    const signature = new Uint8Array(64);
    signature[0] = 1;
    expect(portableVerifier.verify(smallOrder, new Uint8Array(3), signature)).toBe(false);
  });

  it('answer false to bytes of a wrong length', () => {
    for (const each of [verifier, portableVerifier]) {
      expect(each.verify(new Uint8Array(31), new Uint8Array(0), new Uint8Array(64))).toBe(false);
      expect(each.verify(alice.publicKey, new Uint8Array(0), new Uint8Array(63))).toBe(false);
      expect(each.verify(new Uint8Array(32).fill(255), new Uint8Array(0), new Uint8Array(64))).toBe(false);
    }
  });
});
