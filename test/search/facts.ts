import type { SearchFacts } from '../../src/events/facts.js';

/** What search keeps of an entry's facts. Persons are pseudonyms: nothing here has to be opened, or forgotten. */
export type Facts = Omit<SearchFacts, 'agent' | 'client' | 'token' | 'session'>;

/** One row: the facts of one entry, and where it stands. */
export interface Row {
  /** The log's id in the ledger (a smallint). */
  readonly log: number;
  readonly index: bigint;
  /** The event log's time for it, microseconds since 1970. */
  readonly appendedAtUs: bigint;
  readonly facts: Facts;
}
