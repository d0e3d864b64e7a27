import { describe, expect, it } from 'vitest';
import { proveInclusion } from '../../src/core/proof.js';
import { formatReceipt, type Receipt } from '../../src/core/receipt.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeVerifier as verifier } from '../../src/platform/signer.js';
import { verifyReceipt } from '../../src/verify/verify-receipt.js';
import { LEDGER, LogFixture, signer } from '../support/ledger-files.js';

const on = { hasher, verifier, key: { ledger: LEDGER, publicKey: signer.publicKey } };
const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });

const log = new LogFixture('decisions/0/g1').fill(300);
const entry = log.entries[17]!;
const receipt: Receipt = {
  entry,
  index: 17n,
  proof: await proveInclusion(hasher, 17n, 300n, log.tree),
  checkpoint: log.checkpoint(),
};
const bare: Receipt = { index: receipt.index, proof: receipt.proof, checkpoint: receipt.checkpoint };

describe('a receipt', () => {
  it('says which entry stands where', () => {
    const verified = verifyReceipt(on, formatReceipt(receipt));
    expect(verified).toMatchObject({ log: 'decisions/0/g1', index: 17n, bytes: entry });
    expect(verified.entry).toMatchObject({ kind: 'record', offset: 24n, place: 1 });
    expect(verified.checkpoint).toMatchObject({ origin: log.origin, size: 300n });
  });

  it('is checked against the entry in hand', () => {
    expect(verifyReceipt(on, formatReceipt(bare), entry).bytes).toEqual(entry);
    expect(verifyReceipt(on, formatReceipt(receipt), entry).index).toBe(17n);
    expect(() => verifyReceipt(on, formatReceipt(bare), log.entries[18])).toThrow(failure('bad_proof'));
    expect(() => verifyReceipt(on, formatReceipt(receipt), log.entries[18])).toThrow(failure('bad_proof'));
  });

  it('without any entry says nothing', () => {
    expect(() => verifyReceipt(on, formatReceipt(bare))).toThrow(failure('malformed_receipt'));
  });

  it('of another ledger, or of no log, is refused', () => {
    const elsewhere = { ...on, key: { ...on.key, ledger: 'other.example' } };
    expect(() => verifyReceipt(elsewhere, formatReceipt(receipt))).toThrow(failure('malformed_checkpoint'));
    const within = { ...on, key: { ...on.key, ledger: 'ledger.example' } };
    expect(() => verifyReceipt(within, formatReceipt(receipt))).toThrow(failure('malformed_checkpoint'));
  });

  it('by another key is refused', () => {
    const stranger = { ...on, key: { ...on.key, publicKey: new Uint8Array(32) } };
    expect(() => verifyReceipt(stranger, formatReceipt(receipt))).toThrow(failure('unknown_signer'));
  });
});
