import { describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../src/core/checkpoint.js';
import { KeelsonError } from '../../src/core/error.js';
import { makeVerifierKey } from '../../src/core/key.js';
import { hashLeaf } from '../../src/core/merkle.js';
import { proveInclusion } from '../../src/core/proof.js';
import { checkReceipt, formatReceipt, parseReceipt, type Receipt } from '../../src/core/receipt.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { TileStore } from '../support/tree.js';

const origin = 'ledger.example/decisions/0/g1';
const signer = nodeSigner(new Uint8Array(32).fill(3));
const key = makeVerifierKey(hasher, origin, signer.publicKey);
const entryOf = (i: number): Uint8Array => Uint8Array.of(1, 2, 3, i, i >> 8);

async function makeReceipt(index: number, size: number): Promise<Receipt> {
  const store = new TileStore(hasher);
  for (let i = 0; i < size; i++) store.append(hashLeaf(hasher, entryOf(i)));
  const checkpoint = signCheckpoint(hasher, { origin, size: BigInt(size), root: store.frontier.root() }, signer);
  const proof = await proveInclusion(hasher, BigInt(index), BigInt(size), store);
  return { entry: entryOf(index), index: BigInt(index), proof, checkpoint };
}

const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });

describe('receipts', () => {
  it.each([
    [0, 1],
    [0, 2],
    [299, 300],
    [255, 300],
    [17, 300],
  ])('of entry %i of %i are written, read and hold', async (index, size) => {
    const receipt = await makeReceipt(index, size);
    const read = parseReceipt(formatReceipt(receipt));
    expect(read).toEqual(receipt);
    expect(formatReceipt(read)).toBe(formatReceipt(receipt));
    expect(checkReceipt(hasher, read, entryOf(index), key, verifier)).toMatchObject({ origin, size: BigInt(size) });
  });

  it('are what C2SP tlog-proof says', async () => {
    const { index, proof, checkpoint } = await makeReceipt(1, 2);
    const text = formatReceipt({ entry: Uint8Array.of(0), index, proof, checkpoint });
    expect(text.startsWith('c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\n')).toBe(true);
    expect(text.endsWith(`=\n\n${checkpoint}`)).toBe(true);
  });

  it('without the entry are for who has it', async () => {
    const { index, proof, checkpoint } = await makeReceipt(3, 5);
    const read = parseReceipt(formatReceipt({ index, proof, checkpoint }));
    expect(read).not.toHaveProperty('entry');
    checkReceipt(hasher, read, entryOf(3), key, verifier);
  });

  it('hold for one entry, one index and one key only', async () => {
    const receipt = await makeReceipt(3, 5);
    const check = (changed: Partial<Receipt>, entry = entryOf(3), by = key) => {
      return () => checkReceipt(hasher, { ...receipt, ...changed }, entry, by, verifier);
    };
    expect(check({}, entryOf(4))).toThrow(failure('bad_proof'));
    expect(check({ index: 2n })).toThrow(failure('bad_proof'));
    expect(check({ index: 5n })).toThrow(failure('bad_proof'));
    expect(check({ proof: receipt.proof.slice(1) })).toThrow(failure('bad_proof'));
    const stranger = makeVerifierKey(hasher, origin, nodeSigner(new Uint8Array(32)).publicKey);
    expect(check({}, entryOf(3), stranger)).toThrow(failure('unknown_signer'));
  });

  it('with any one bit flipped are refused', async () => {
    const receipt = await makeReceipt(17, 300);
    const text = Buffer.from(formatReceipt(receipt));
    for (let i = 0; i < text.length * 8; i += 3) {
      const flipped = Buffer.from(text);
      flipped[i >> 3]! ^= 1 << (i & 7);
      try {
        const read = parseReceipt(flipped.toString('utf8'));
        checkReceipt(hasher, read, read.entry ?? new Uint8Array(0), key, verifier);
        throw new Error(`bit ${i} may be flipped`);
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw error;
      }
    }
  });

  const head = 'c2sp.org/tlog-proof@v1\n';
  const note = '\nlog\n1\nAAAA\n\n— log AAAAAAA=\n';
  const hash = `${'A'.repeat(43)}=\n`;
  it('start from one that is well-formed', () => {
    expect(parseReceipt(`${head}extra AA==\nindex 0\n${hash}${note}`).proof).toHaveLength(1);
  });
  it.each([
    ['', 'empty'],
    [`${head}index 0\n${hash}`, 'no checkpoint'],
    [`${head}index 0\n${hash}\nlog\n1\nAAAA\n`, 'a checkpoint without signature'],
    [`c2sp.org/tlog-proof@v2\nindex 0\n${note}`, 'another version'],
    [`\n${head}index 0\n${note}`, 'an empty first line'],
    [`${head}${hash}${note}`, 'no index'],
    [`${head}index 00\n${note}`, 'a leading zero'],
    [`${head}index -1\n${note}`, 'a negative index'],
    [`${head}index  1\n${note}`, 'two spaces'],
    [`${head}index 9223372036854775808\n${note}`, 'an index of 2^63'],
    [`${head}extra A\nindex 0\n${note}`, 'extra data that is not base64'],
    [`${head}index 0\nextra AA==\n${note}`, 'extra data behind the index'],
    [`${head}extra AA==\nextra AA==\nindex 0\n${note}`, 'extra data twice'],
    [`${head}index 0\nAAAA\n${note}`, 'a short hash'],
    [`${head}index 0\n${'A'.repeat(42)}B=\n${note}`, 'a hash with stray bits'],
    [`${head}index 0\n${hash.repeat(64)}${note}`, 'more hashes than a path can have'],
    [`${head}index 0\r\n${note}`, 'a carriage return'],
  ])('%# is malformed: %s', (text) => {
    expect(() => parseReceipt(text)).toThrow(failure('malformed_receipt'));
  });
});
