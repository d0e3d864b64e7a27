/**
 * The revocation table as anybody would work it out who has the ledger and docs/revocation.md: every record in order into a map, a hash over
 * all of it at the end. None of what the service folds with.
 */
import { createHash, createHmac } from 'node:crypto';
import type { DecodedRecord } from '../../../src/events/index.js';

interface Change {
  readonly change: 'block' | 'lift' | 'cutoff' | 'expire';
  readonly keys: Uint8Array;
  readonly order?: string | null;
  readonly at?: bigint | null;
}

/** One part, as far as who wrote it and whether it counts. */
export interface NaivePart {
  readonly index: number;
  readonly term: bigint;
  readonly order: string;
  readonly counts: boolean;
}

interface Fact {
  readonly orders: Set<string>;
  cutoffUs: bigint | undefined;
}

const PARTS = new Set(['revocation.ordered', 'revocation.extended', 'revocation.lifted', 'revocation.expired']);
const MODULUS = 1n << 256n;

export class NaiveLedger {
  readonly facts = new Map<string, Fact>();
  readonly parts: NaivePart[] = [];
  #term = 0n;
  #moves = 0n;

  constructor(private readonly guardKey: Uint8Array) {}

  /** `lp(x)`: its length before it. */
  keyOf(type: string, issuer: string, ...values: string[]): string {
    const hmac = createHmac('sha256', this.guardKey);
    for (const text of [type, issuer, ...values]) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      hmac.update(length).update(text);
    }
    return hmac.digest().subarray(0, 16).toString('hex');
  }

  take(index: number, { type, producer, protocol, body }: DecodedRecord): void {
    if (producer !== 'keelson' || protocol !== 'internal' || !type.startsWith('revocation.')) return;
    const term = body.term as bigint;
    const counts = term >= this.#term;
    if (PARTS.has(type)) this.parts.push({ index, term, order: body.order as string, counts });
    if (!counts) return;
    this.#term = term;
    if (!PARTS.has(type)) return;
    for (const change of body.changes as unknown as Change[]) this.#apply(change, body.order as string);
    this.#factOf(this.keyOf('canary', '', '')).cutoffUs = ++this.#moves;
  }

  #apply({ change, keys, order, at }: Change, partOrder: string): void {
    for (let from = 0; from < keys.length; from += 16) {
      const key = Buffer.from(keys.subarray(from, from + 16)).toString('hex');
      if (change === 'expire') {
        this.facts.delete(key);
        continue;
      }
      const fact = this.#factOf(key);
      const name = order ?? partOrder;
      if (change === 'block') fact.orders.add(name);
      else if (change === 'cutoff' || fact.orders.delete(name)) {
        if (fact.cutoffUs === undefined || at! > fact.cutoffUs) fact.cutoffUs = at!;
      }
    }
  }

  #factOf(key: string): Fact {
    let fact = this.facts.get(key);
    if (fact === undefined) this.facts.set(key, (fact = { orders: new Set(), cutoffUs: undefined }));
    return fact;
  }

  /** Orders that block a key. */
  ordersOf(key: string): string[] {
    return [...(this.facts.get(key)?.orders ?? [])];
  }

  /** In hex. */
  stateHash(): string {
    let sum = 0n;
    for (const [key, { orders, cutoffUs }] of this.facts) {
      const fact = Buffer.alloc(25);
      fact.write(key, 'hex');
      fact[16] = (orders.size > 0 ? 1 : 0) | (cutoffUs === undefined ? 0 : 2);
      if (orders.size === 0 && cutoffUs === undefined) continue;
      fact.writeBigInt64BE(cutoffUs ?? 0n, 17);
      sum = (sum + BigInt(`0x${createHash('sha256').update(fact).digest('hex')}`)) % MODULUS;
    }
    return sum.toString(16).padStart(64, '0');
  }
}
