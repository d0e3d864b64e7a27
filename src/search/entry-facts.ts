/** From an entry's bytes to its row. Every entry has one, so that the rows of a log can be counted. */
import { parseEntry } from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import type { Facts, Row } from './facts.js';
import type { FactsReader } from './facts-reader.js';

/**
 * The row of an entry. What the sequencer refused is found as type `refused`; what this program can't read as type `unreadable`: a
 * projection that stopped at it would stop for ever.
 */
export function readEntry(log: number, index: bigint, bytes: Uint8Array, reader: FactsReader): Row {
  const entry = parseEntry(bytes);
  const { appendedAtUs } = entry;
  if (entry.kind === 'refused') return { log, index, appendedAtUs, facts: bareFacts('refused', appendedAtUs) };
  try {
    return { log, index, appendedAtUs, facts: reader.read(entry.record) };
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    return { log, index, appendedAtUs, facts: bareFacts('unreadable', appendedAtUs) };
  }
}

const bareFacts = (type: string, occurredAtUs: bigint): Facts => ({
  eventId: '',
  type,
  occurredAtUs,
  producer: '',
  agents: [],
  tokens: [],
  sessions: [],
  principals: [],
  policies: [],
});
