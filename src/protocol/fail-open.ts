/**
 * What an instance says of tools that fail open with it: it lets them be called although it can't tell whether they are revoked. No lease
 * fences such a tool, so the ledger must say it.
 *
 *     "KFO1" ‖ instance 16 ‖ at uint64 ‖ count uint16 ‖ lp(tool) … ‖ signature 64, by the instance
 *
 * Tools in ascending order of their UTF-16 code units, each once; `*` is every tool. `at`: the instance's clock, microseconds since 1970
 * UTC; of two statements the later one counts.
 */
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import { INSTANCE_BYTES } from './grant.js';
import { sign, SIGNATURE_BYTES } from './signed.js';
import { WireReader, WireWriter } from './wire.js';

const MAGIC = 'KFO1';
/** Tools in a statement, at most; and bytes of one's name. Who has more says `*`. */
export const MAX_FAIL_OPEN_TOOLS = 100;
export const MAX_TOOL_BYTES = 256;
export const MAX_FAIL_OPEN_BYTES =
  4 + INSTANCE_BYTES + 8 + 2 + MAX_FAIL_OPEN_TOOLS * (4 + MAX_TOOL_BYTES) + SIGNATURE_BYTES;

export interface FailOpen {
  readonly instance: Uint8Array;
  readonly atUs: number;
  readonly tools: readonly string[];
}

/** @param statement its tools may come in any order. @throws KeelsonError `out_of_range`: too many, or a name that is too long */
export function signFailOpen(key: Signer, ledger: string, { instance, atUs, tools }: FailOpen): Uint8Array {
  const writer = new WireWriter(MAGIC).bytes(instance).uint64(atUs);
  return sign(key, 'fail-open', ledger, writeTools(writer, sortTools(tools)).finish());
}

/** A statement whose signature is not checked yet. @throws KeelsonError `malformed_message` */
export function parseFailOpen(bytes: Uint8Array): FailOpen {
  const reader = new WireReader(bytes, MAGIC);
  const instance = new Uint8Array(reader.bytes(INSTANCE_BYTES));
  const atUs = reader.uint64();
  const count = reader.uint16();
  if (count > MAX_FAIL_OPEN_TOOLS) reader.fail('too many tools');
  const tools = Array.from({ length: count }, () => reader.text(MAX_TOOL_BYTES));
  if (tools.some((tool, i) => tool === '' || (i > 0 && tool <= tools[i - 1]!))) reader.fail('tools out of order');
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  return { instance, atUs, tools };
}

/** Tools as they stand in messages. @throws KeelsonError `out_of_range` */
export function sortTools(tools: readonly string[]): readonly string[] {
  const sorted = [...new Set(tools)].sort((a, b) => (a < b ? -1 : 1));
  if (sorted.length > MAX_FAIL_OPEN_TOOLS) throw new KeelsonError('out_of_range', `${sorted.length} tools: say *`);
  return sorted;
}

/** count uint16 ‖ lp(tool) … @param tools of `sortTools`. @throws KeelsonError `out_of_range`: a name without a letter, or too long */
export function writeTools(writer: WireWriter, tools: readonly string[]): WireWriter {
  writer.uint16(tools.length);
  for (const tool of tools) {
    const before = writer.length;
    writer.text(tool);
    const bytes = writer.length - before - 4;
    if (bytes < 1 || bytes > MAX_TOOL_BYTES) throw new KeelsonError('out_of_range', `a tool's name of ${bytes} bytes`);
  }
  return writer;
}
