/**
 * A signed head: which state the table is in, by its number, its chain and its contents.
 *
 *     "KRH1" ‖ generation uint32 ‖ seq uint64 ‖ h(seq) 32 ‖ state hash 32 ‖ signature 64
 */
import { equalBytes } from '../core/bytes.js';
import type { Signer } from '../core/signer.js';
import type { TableHead } from './fact-table.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KRH1';
export const HEAD_BYTES = 4 + 4 + 8 + 32 + 32 + SIGNATURE_BYTES;

export interface FeedHead extends TableHead {
  /** Of the guard key, and of everything that is derived by it. */
  readonly generation: number;
}

/** The 144 bytes of a signed head. */
export const signHead = (signer: Signer, ledger: string, head: FeedHead): Uint8Array =>
  sign(signer, 'head', ledger, writeHead(new WireWriter(MAGIC), head).finish());

/** @throws KeelsonError `malformed_message`, `bad_signature` */
export function openHead(realm: Realm, publicKeys: readonly Uint8Array[], bytes: Uint8Array): FeedHead {
  const reader = new WireReader(bytes, MAGIC);
  const head = readHead(reader);
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  checkSignature(realm, publicKeys, 'head', bytes);
  return head;
}

export const writeHead = (writer: WireWriter, { generation, seq, chainHash, stateHash }: FeedHead): WireWriter =>
  writer.uint32(generation).uint64(seq).bytes(chainHash).bytes(stateHash);

export const readHead = (reader: WireReader): FeedHead => ({
  generation: reader.uint32(),
  seq: reader.uint64(),
  chainHash: new Uint8Array(reader.bytes(32)),
  stateHash: new Uint8Array(reader.bytes(32)),
});

/** Whether two heads are one state. */
export const equalHeads = (a: TableHead, b: TableHead): boolean =>
  a.seq === b.seq && equalBytes(a.chainHash, b.chainHash) && equalBytes(a.stateHash, b.stateHash);
