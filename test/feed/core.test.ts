import { describe, expect, it } from 'vitest';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { applyFrame, openFrame } from '../../src/protocol/frame.js';
import { openGrant } from '../../src/protocol/grant.js';
import { FeedCore, step, type FeedEffect } from '../../src/feed/core.js';
import { seed } from '../guard/support.js';

const ledger = 'ledger.example';
const signer = nodeSigner(seed('feed'));
const request = { instance: seed('i').subarray(0, 16), nonce: seed('n').subarray(0, 16) };
const another = { instance: seed('j').subarray(0, 16), nonce: seed('m').subarray(0, 16) };

function makeFeed(keptFacts = 100): { core: FeedCore; change: (count: number) => FeedEffect[] } {
  const table = new FactTable(hasher);
  const core = new FeedCore({ signer, ledger, generation: 1, table, keptFacts });
  let drawn = 0;
  return {
    core,
    change(count) {
      const facts = Array.from({ length: count }, () => table.put(seed(`key ${drawn++}`), 0, true, undefined)!.slice());
      return step(core, { kind: 'changed', facts: Buffer.concat(facts) }, 0);
    },
  };
}

const kinds = (effects: readonly FeedEffect[]): string[] => effects.map(({ kind }) => kind);

describe('a grant', () => {
  it('follows on a read that was folded, and its age begins with the read', () => {
    const { core } = makeFeed();
    expect(kinds(step(core, { kind: 'lease_request', to: 1, request }, 0))).toEqual(['read']);
    expect(step(core, { kind: 'lease_request', to: 2, request: another }, 5)).toEqual([]);
    expect(step(core, { kind: 'read', beganUs: 10, size: 7n }, 20)).toEqual([]);
    expect(step(core, { kind: 'folded', size: 6n }, 30)).toEqual([]);
    const granted = step(core, { kind: 'folded', size: 7n }, 40);
    // Who asked while it was read already is answered by the next one.
    expect(granted.map((effect) => effect.kind === 'grant' && effect.to)).toEqual([1, false]);
    expect(kinds(granted)).toEqual(['grant', 'read']);
    expect(kinds(step(core, { kind: 'read', beganUs: 41, size: 7n }, 42))).toEqual(['grant']);
    const [first] = granted;
    if (first?.kind !== 'grant') throw new Error('no grant');
    const grant = openGrant({ ledger, verifier }, [signer.publicKey], first.bytes);
    expect(grant).toMatchObject({ ...request, readAgeUs: 30, head: { seq: 0, generation: 1 } });
  });

  it('is not given twice by one read, nor after one that failed', () => {
    const { core } = makeFeed();
    step(core, { kind: 'folded', size: 9n }, 0);
    step(core, { kind: 'lease_request', to: 1, request }, 0);
    expect(kinds(step(core, { kind: 'read', beganUs: 0, size: 9n }, 1))).toEqual(['grant']);
    expect(kinds(step(core, { kind: 'lease_request', to: 2, request: another }, 2))).toEqual(['read']);
    expect(step(core, { kind: 'lease_request', to: 3, request }, 3)).toEqual([]);
    expect(kinds(step(core, { kind: 'read_failed' }, 3))).toEqual(['read']);
    expect(kinds(step(core, { kind: 'read', beganUs: 4, size: 9n }, 5))).toEqual(['grant', 'grant']);
  });

  it('answers the last request of an instance, so that no more wait than there are instances', () => {
    const { core } = makeFeed();
    expect(kinds(step(core, { kind: 'lease_request', to: 1, request }, 0))).toEqual(['read']);
    expect(step(core, { kind: 'lease_request', to: 2, request }, 1)).toEqual([]);
    expect(step(core, { kind: 'lease_request', to: 3, request }, 2)).toEqual([{ kind: 'superseded', to: 2 }]);
    expect(step(core, { kind: 'read_failed' }, 3)).toEqual([{ kind: 'superseded', to: 1 }, { kind: 'read' }]);
    expect(step(core, { kind: 'read', beganUs: 4, size: 0n }, 5)).toMatchObject([{ kind: 'grant', to: 3 }]);
  });
});

describe('frames', () => {
  it('lead from any seq that is kept to the head', () => {
    const { core, change } = makeFeed();
    for (const count of [1, 3, 5]) expect(kinds(change(count))).toEqual(['frame']);
    for (let from = 0; from <= 9; from++) {
      const frame = openFrame({ ledger, verifier }, [signer.publicKey], core.frameFrom(from)!);
      expect(frame.facts.length).toBe((9 - from) * FACT_BYTES);
      if (from === 0) {
        const copy = new FactTable(hasher);
        applyFrame(hasher, copy, frame);
        expect(copy.head()).toEqual(core.options.table.head());
      }
    }
    expect(core.frameFrom(10)).toBeUndefined();
  });

  it('are kept to a bound', () => {
    const { core, change } = makeFeed(8);
    for (let i = 0; i < 40; i++) change(1);
    expect(core.frameFrom(0)).toBeUndefined();
    expect(core.frameFrom(32)).toBeDefined();
  });
});
