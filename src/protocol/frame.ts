/**
 * A frame: changes of the table that follow on each other, and the signed head that they lead to. Any cut of the changes is a frame, so
 * every feed process may send another and all of them mean the same.
 *
 *     "KRF1" ‖ from uint64 ‖ count uint32 ‖ facts, 25 bytes each ‖ signed head
 *
 * `from` is the seq before the first fact; the head's is from + count. No facts: it only tells the head.
 */
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { FACT_BYTES, parseFact } from './fact.js';
import type { FactTable, TableHead } from './fact-table.js';
import { equalHeads, HEAD_BYTES, openHead, type FeedHead } from './head.js';
import type { Realm } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KRF1';
/** In one frame, at most: 410 kB. */
export const MAX_FRAME_FACTS = 16_384;

export interface Frame {
  readonly from: number;
  /** 25 bytes each. */
  readonly facts: Uint8Array;
  readonly head: FeedHead;
}

/**
 * @param facts 25 bytes each, at most 16,384.
 * @param signedHead of `signHead`
 */
export function encodeFrame(from: number, facts: Uint8Array, signedHead: Uint8Array): Uint8Array {
  const count = facts.length / FACT_BYTES;
  if (!Number.isInteger(count) || count > MAX_FRAME_FACTS) throw new Error(`a frame of ${count} facts`);
  return new WireWriter(MAGIC).uint64(from).uint32(count).bytes(facts).bytes(signedHead).finish();
}

/** @throws KeelsonError `malformed_message`, `bad_signature` */
export function openFrame(realm: Realm, publicKeys: readonly Uint8Array[], bytes: Uint8Array): Frame {
  const reader = new WireReader(bytes, MAGIC);
  const from = reader.uint64();
  const count = reader.uint32();
  if (count > MAX_FRAME_FACTS) reader.fail('too many facts');
  const facts = reader.bytes(count * FACT_BYTES);
  const head = openHead(realm, publicKeys, reader.bytes(HEAD_BYTES));
  reader.end();
  for (let at = 0; at < facts.length; at += FACT_BYTES) {
    if (parseFact(facts, at) === undefined) reader.fail('something that is no fact');
  }
  if (head.seq !== from + count) reader.fail('a head of another seq');
  return { from, facts, head };
}

/**
 * Applies what a table does not have yet of a frame.
 * @returns the keys whose fact changed, 16 bytes each, in order.
 * @throws KeelsonError `gap`: the frame begins behind the table's seq. `bad_proof`: the facts don't lead from this table to the head. The
 *   table is as it was. `fork`: they do, and what was signed is not what they make; the table is of no use any more.
 */
export function applyFrame(hasher: Hasher, table: FactTable, { from, facts, head }: Frame): Uint8Array[] {
  const { seq } = table;
  if (from > seq) throw new KeelsonError('gap', `a frame from ${from}, where the table is at ${seq}`);
  if (head.seq < seq) return [];
  const fresh = facts.subarray((seq - from) * FACT_BYTES);
  if (!leadsTo(hasher, table.head(), fresh, head)) {
    throw new KeelsonError('bad_proof', `these changes do not lead to the head of ${head.seq}`);
  }
  const changed: Uint8Array[] = [];
  for (let at = 0; at < fresh.length; at += FACT_BYTES) {
    const fact = parseFact(fresh, at)!;
    if (table.putFact(fact) === undefined) throw new KeelsonError('fork', 'a change that changes nothing');
    changed.push(fact.key);
  }
  if (!equalHeads(table.head(), head)) throw new KeelsonError('fork', `another table at seq ${head.seq}`);
  return changed;
}

/** Whether the chain goes from `head` over the facts to `to`. */
function leadsTo(hasher: Hasher, { chainHash }: TableHead, facts: Uint8Array, to: TableHead): boolean {
  const link = new Uint8Array(32 + FACT_BYTES);
  link.set(chainHash);
  for (let at = 0; at < facts.length; at += FACT_BYTES) {
    link.set(facts.subarray(at, at + FACT_BYTES), 32);
    hasher.sha256(link, link, 0);
  }
  return to.chainHash.every((byte, i) => byte === link[i]);
}
