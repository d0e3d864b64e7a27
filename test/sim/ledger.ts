/** A ledger beside the model store: what happens there as real entries in real trees, so that certificates can be made of it and checked. */
import { formatBase64 } from '../../src/core/bytes.js';
import { signCheckpoint } from '../../src/core/checkpoint.js';
import { encodeRecordEntry } from '../../src/core/entry.js';
import { emptyRoot, hashLeaf, hashNode } from '../../src/core/merkle.js';
import { builtInSchemas, formatTimestamp, type JsonObject } from '../../src/events/index.js';
import { makeOwnRecord, SELF } from '../../src/events/log-records.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import type { CertifiedLog, EntryRef } from '../../src/protocol/certificate.js';
import type { KeyType } from '../../src/protocol/keys.js';
import { formatChanges, type Change } from '../../src/protocol/part.js';
import type { ToProve } from '../../src/revocation/cases/statement.js';
import { orderName, partName } from '../../src/revocation/names.js';
import { digestOf, modelSigner, modelVerifier } from './keys.js';
import { EPOCH_US } from './machine.js';
import { LEDGER } from './names.js';

const schemas = builtInSchemas();
export const ledgerSigner = modelSigner('ledger');
export const trusted = {
  hasher,
  verifier: modelVerifier,
  key: { ledger: LEDGER, publicKey: ledgerSigner.publicKey },
};

/** The records of one order. */
export interface OrderRecords {
  readonly cause: { readonly id: string; readonly index: number };
  /** Index of its last part. */
  readonly last: number;
}

/** What happens to one key. */
export interface TypedChange {
  readonly type: KeyType;
  readonly change: Change;
}

export type Topic = 'activity' | 'decisions' | 'lifecycle';
export const logOf = (topic: Topic): string => `${topic}/0/g1`;

export const orderOf = (cause: string): string => orderName(hasher, SELF, cause);

export class ModelLedger {
  readonly #logs = new Map((['activity', 'decisions', 'lifecycle'] as const).map((one) => [logOf(one), new Tree()]));

  /** @param nowUs true time; the event log's clock is right. */
  constructor(private readonly nowUs: () => number) {}

  add(topic: Topic, type: string, id: string, event: JsonObject): EntryRef {
    const log = logOf(topic);
    const tree = this.#logs.get(log)!;
    const atUs = BigInt(Math.floor(EPOCH_US + this.nowUs()));
    const stamp = { blind: Buffer.from(digestOf(id)).subarray(0, 16), nowUs: atUs };
    const record = makeOwnRecord(schemas, type, id, { timestamp: formatTimestamp(atUs), ...event }, stamp);
    const index = tree.entries.length;
    tree.push(encodeRecordEntry({ appendedAtUs: atUs, partition: 0, offset: BigInt(index), place: 0 }, record));
    return { log, index };
  }

  /** A cause, and the order that follows from it: a record of the first change, and one of the others where there are more. */
  order(id: string, term: number, changes: readonly TypedChange[]): OrderRecords {
    const { index } = this.add('lifecycle', 'revocation.requested', id, {});
    const order = orderOf(id);
    const cause = { id, type: 'revocation.requested', producer: SELF, index };
    const parts = changes.length > 1 ? [changes.slice(0, 1), changes.slice(1)] : [changes];
    let last = index;
    for (const [number, part] of parts.entries()) {
      const type = number === 0 ? 'revocation.ordered' : 'revocation.extended';
      const types = [...new Set(part.map((one) => one.type))];
      const counts = types.map((type) => ({ type, count: part.filter((one) => one.type === type).length }));
      ({ index: last } = this.add('lifecycle', type, partName(hasher, SELF, id, BigInt(term), number), {
        ...{ term, number, order, cause, counts, last: number === parts.length - 1 },
        changes: formatChanges(part.map(({ change }) => change)).map((change) => ({ ...change })),
      }));
    }
    return { cause: { id, index }, last };
  }

  /** An instance joins. */
  join(point: string, instance: string, publicKey: Uint8Array): EntryRef {
    const event = { point, instance, public_key: formatBase64(publicKey), generation: 1 };
    return this.add('lifecycle', 'point.enrolled', `instance/${instance}`, event);
  }

  size(topic: Topic): number {
    return this.#logs.get(logOf(topic))!.entries.length;
  }

  entries(topic: Topic, from: number, to: number): readonly Uint8Array[] {
    return this.#logs.get(logOf(topic))!.entries.slice(from, to);
  }

  entry({ log, index }: EntryRef): Uint8Array {
    return this.#logs.get(log)!.entries[index]!;
  }

  prove({ log, indexes }: ToProve): CertifiedLog {
    const tree = this.#logs.get(log)!;
    const size = tree.entries.length;
    const head = { origin: `${LEDGER}/${log}`, size: BigInt(size), root: tree.root(0, size) };
    const entries = [...new Set(indexes.map(Number))]
      .sort((a, b) => a - b)
      .map((index) => ({ index, entry: tree.entries[index]!, proof: tree.path(index, 0, size) }));
    return { log, checkpoint: signCheckpoint(hasher, head, ledgerSigner), entries };
  }
}

/** RFC 9162 §2.1, word by word, but that it remembers perfect subtrees. */
class Tree {
  readonly entries: Uint8Array[] = [];
  /** Hashes of perfect subtrees by height. */
  readonly #perfect: Uint8Array[][] = [];

  push(entry: Uint8Array): void {
    this.entries.push(entry);
    let hash = hashLeaf(hasher, entry);
    for (let height = 0; ; height++) {
      const row = (this.#perfect[height] ??= []);
      if (row.push(hash) % 2 === 1) return;
      hash = hashNode(hasher, row.at(-2)!, row.at(-1)!);
    }
  }

  root(start: number, end: number): Uint8Array {
    const width = end - start;
    if (width === 0) return emptyRoot(hasher);
    const height = Math.log2(width);
    if (Number.isInteger(height) && start % width === 0) return this.#perfect[height]![start / width]!;
    const middle = start + leftOf(width);
    return hashNode(hasher, this.root(start, middle), this.root(middle, end));
  }

  path(index: number, start: number, end: number): Uint8Array[] {
    if (end - start === 1) return [];
    const middle = start + leftOf(end - start);
    return index < middle
      ? [...this.path(index, start, middle), this.root(middle, end)]
      : [...this.path(index, middle, end), this.root(start, middle)];
  }
}

/** The greatest power of two below. */
const leftOf = (width: number): number => 2 ** Math.ceil(Math.log2(width) - 1);
