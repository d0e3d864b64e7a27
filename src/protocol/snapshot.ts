/**
 * A fact table as bytes, to be kept or sent:
 *
 *     "KRT1" ‖ seq uint64 ‖ h(seq) 32 ‖ state hash 32 ‖ count uint64 ‖ facts, 25 bytes each, in strictly ascending order of keys
 *
 * A signed one has "KRS1" and a signed head before it.
 */
import { equalBytes } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { FACT_BYTES, flagsOf, parseFact, type Fact } from './fact.js';
import { FactTable } from './fact-table.js';
import { equalHeads, HEAD_BYTES, openHead, type FeedHead } from './head.js';
import type { Realm } from './signed.js';
import { WireReader } from './wire.js';

const MAGIC = 0x4b525431;
const HEADER_BYTES = 84;

/** Facts in a piece: 50 kB. */
const PIECE_FACTS = 2_048;

/** The bytes of a table: the same for equal tables. */
export function encodeSnapshot(table: FactTable): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + table.size * FACT_BYTES);
  let at = 0;
  for (const piece of encodeSnapshotPieces(table)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The same in pieces of up to 50 kB, each made when it is asked for, of the table as it is now, whatever becomes of it. */
export function encodeSnapshotPieces(table: FactTable): Generator<Uint8Array> {
  return precede(encodeHeader(table), table.copyFacts(PIECE_FACTS));
}

function encodeHeader(table: FactTable): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const { seq, chainHash, stateHash } = table.head();
  view.setUint32(0, MAGIC);
  view.setBigUint64(4, BigInt(seq));
  bytes.set(chainHash, 12);
  bytes.set(stateHash, 44);
  view.setBigUint64(76, BigInt(table.size));
  return bytes;
}

function* precede(first: Uint8Array, rest: Iterable<Uint8Array>): Generator<Uint8Array> {
  yield first;
  yield* rest;
}

/**
 * The table in a snapshot; its facts count as changed at the snapshot's seq.
 * @throws KeelsonError `malformed_snapshot`: other bytes than `encodeSnapshot` writes, cut short, or facts that the state hash is not of.
 */
export function decodeSnapshot(hasher: Hasher, bytes: Uint8Array): FactTable {
  if (bytes.length < HEADER_BYTES) malformed('cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) malformed('not a snapshot of facts');
  const seq = Number(view.getBigUint64(4));
  const count = Number(view.getBigUint64(76));
  if (!Number.isSafeInteger(seq)) malformed('a seq out of range');
  if (bytes.length !== HEADER_BYTES + count * FACT_BYTES) malformed(`not ${count} facts long`);
  const head = { seq, chainHash: bytes.subarray(12, 44) };
  const table = FactTable.restore(hasher, head, readFacts(bytes), count);
  if (!equalBytes(table.head().stateHash, bytes.subarray(44, 76))) malformed('the state hash is not of these facts');
  return table;
}

const SIGNED_MAGIC = 'KRS1';

/** A signed snapshot in pieces, as `encodeSnapshotPieces`. @param signedHead of the table as it is now */
export const encodeSignedSnapshot = (signedHead: Uint8Array, table: FactTable): Generator<Uint8Array> =>
  precede(encodeSnapshotHead(signedHead), encodeSnapshotPieces(table));

/** The first bytes of a signed snapshot, `"KRS1" ‖ signed head`; what `encodeSnapshot` gives follows. */
export function encodeSnapshotHead(signedHead: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + HEAD_BYTES);
  for (let i = 0; i < 4; i++) bytes[i] = SIGNED_MAGIC.charCodeAt(i);
  bytes.set(signedHead, 4);
  return bytes;
}

/**
 * The table in a signed snapshot, and its head.
 * @throws KeelsonError `malformed_message`, `bad_signature`, `malformed_snapshot`
 */
export function openSnapshot(
  hasher: Hasher,
  realm: Realm,
  publicKeys: readonly Uint8Array[],
  bytes: Uint8Array,
): { readonly table: FactTable; readonly head: FeedHead } {
  const reader = new WireReader(bytes, SIGNED_MAGIC);
  const head = openHead(realm, publicKeys, reader.bytes(HEAD_BYTES));
  const table = decodeSnapshot(hasher, bytes.subarray(reader.at));
  if (!equalHeads(table.head(), head)) malformed('of another head');
  return { table, head };
}

function* readFacts(bytes: Uint8Array): Generator<Fact> {
  let before: Uint8Array | undefined;
  for (let at = HEADER_BYTES; at < bytes.length; at += FACT_BYTES) {
    const fact = parseFact(bytes, at);
    if (fact === undefined || flagsOf(fact) === 0) malformed('something that is no fact');
    if (before !== undefined && !isAscending(before, fact.key)) malformed('keys out of order');
    before = fact.key;
    yield fact;
  }
}

function isAscending(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return false;
}

function malformed(message: string): never {
  throw new KeelsonError('malformed_snapshot', `a snapshot that can't be used: ${message}`);
}
