/** A feed and a machine to hold a guard against: real keys, real messages, clocks that do as they are told. */
import { createHash } from 'node:crypto';
import { makePortableSigner } from '../../src/core/portable.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { encodeFrame } from '../../src/protocol/frame.js';
import { parseLeaseRequest, signGrant } from '../../src/protocol/grant.js';
import { signHead, type FeedHead } from '../../src/protocol/head.js';
import { signKeySet } from '../../src/protocol/key-set.js';
import { deriveCanaryKey, deriveKey, type KeyType } from '../../src/protocol/keys.js';
import type { LeaseClock } from '../../src/protocol/lease-time.js';
import { encodeSnapshot, encodeSnapshotHead } from '../../src/protocol/snapshot.js';
import { GuardCore, type Floor, type GuardOptions } from '../../src/guard/core.js';
import { step, type Effect } from '../../src/guard/step.js';

export const LEDGER = 'ledger.example';
export const guardKey = new Uint8Array(32).fill(7);
export const seed = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest());
export const rootSigner = makePortableSigner(seed('root'));
export const instanceSigner = nodeSigner(seed('instance'));
export const verifier = nodeVerifier;

/** A machine's clocks, from 2026 on. */
export class ModelClock implements LeaseClock {
  #monotonicUs = 5_000_000;
  #wallUs = 1_790_000_000_000_000;
  #uptimeUs = 1_000_000_000;

  monotonicUs = (): number => this.#monotonicUs;
  wallUs = (): number => this.#wallUs;
  /** As coarse as Linux tells it. */
  uptimeUs = (): number => Math.floor(this.#uptimeUs / 10_000) * 10_000;

  pass(us: number): void {
    this.#monotonicUs += us;
    this.suspend(us);
  }

  /** Time that the monotonic clock does not see. */
  suspend(us: number): void {
    this.#wallUs += us;
    this.#uptimeUs += us;
  }

  setWall(byUs: number): void {
    this.#wallUs += byUs;
  }
}

/** The truth, and who tells it. */
export class ModelFeed {
  readonly table = new FactTable(hasher);
  readonly #facts: Uint8Array[] = [];
  #parts = 0;
  generation = 1;

  constructor(readonly signer = nodeSigner(seed('feed'))) {}

  keySet(
    version = 1,
    publicKeys = [this.signer.publicKey],
    expiresUs = 2_000_000_000_000_000,
    root = rootSigner,
  ): Uint8Array {
    return signKeySet(root, LEDGER, { version, expiresUs, publicKeys });
  }

  put(key: Uint8Array, blocked: boolean, cutoffUs?: number): void {
    const fact = this.table.put(key, 0, blocked, cutoffUs);
    if (fact !== undefined) this.#facts.push(fact.slice());
  }

  /** A part: the keys are blocked, and the canary moves. */
  block(...keys: Uint8Array[]): void {
    for (const key of keys) this.put(key, true);
    this.put(deriveCanaryKey(hasher, guardKey), false, ++this.#parts);
  }

  setStaleness(tool: string, stalenessUs: number): void {
    const fact = this.table.putFact({
      key: keyOf('staleness', tool),
      blocked: false,
      cutoffUs: undefined,
      stalenessUs,
    });
    if (fact !== undefined) this.#facts.push(fact.slice());
  }

  head(): FeedHead {
    return { generation: this.generation, ...this.table.head() };
  }

  frame(from: number): Uint8Array {
    return encodeFrame(from, Buffer.concat(this.#facts.slice(from)), this.signedHead());
  }

  signedHead(): Uint8Array {
    return signHead(this.signer, LEDGER, this.head());
  }

  snapshot(): Uint8Array {
    return Buffer.concat([encodeSnapshotHead(this.signedHead()), encodeSnapshot(this.table)]);
  }

  grant(request: Uint8Array, readAgeUs = 0, head = this.head()): Uint8Array {
    const { instance, nonce } = parseLeaseRequest(request);
    return signGrant(this.signer, LEDGER, { instance, nonce, readAgeUs, head });
  }
}

export const keyOf = (type: KeyType, value: string): Uint8Array =>
  deriveKey(hasher, guardKey, type, type === 'staleness' || type === 'tool' ? '' : 'https://idp', value);

export interface TestGuard {
  readonly core: GuardCore;
  readonly clock: ModelClock;
  hear(bytes: Uint8Array): Effect[];
  tick(): Effect[];
  /** Asks for a lease at once; the request. */
  ask(): Uint8Array;
}

let drawn = 0;

export function makeGuard(
  options: Partial<GuardOptions> & { floor?: Floor } = {},
  clock = new ModelClock(),
): TestGuard {
  const core = new GuardCore({
    hasher,
    verifier,
    membership: {
      instance: seed('an instance').subarray(0, 16),
      ledger: LEDGER,
      generation: 1,
      guardKey,
      rootKey: rootSigner.publicKey,
      signer: instanceSigner,
    },
    mapping: { hash: seed('mapping'), keyTypes: ['token', 'principal'] },
    clock,
    ...options,
  });
  const tick = (): Effect[] => step(core, { kind: 'tick', random: seed(`random ${drawn++}`).subarray(0, 16) });
  return {
    core,
    clock,
    hear: (bytes) => step(core, { kind: 'message', bytes }),
    tick,
    ask() {
      core.asked = undefined;
      const sent = tick().find((effect) => effect.kind === 'send' && effect.what === 'lease-request');
      if (sent?.kind !== 'send') throw new Error('no request');
      return sent.bytes;
    },
  };
}
