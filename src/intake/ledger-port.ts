/** What intake asks of the ledger, for those who want to wait for it. */
import type { Partition } from '../eventlog/port.js';
import type { Place } from './batcher.js';

/** What became of a record. */
export interface Settled {
  /** `recorded`: a new entry. `repeat`: there was one already, at this index. `refused`: an entry of kind refused, at this index. */
  readonly outcome: 'recorded' | 'repeat' | 'refused';
  /** The log's path, `decisions/0/g1`. */
  readonly log: string;
  readonly index: bigint;
  /** Why it was refused. */
  readonly reason?: string;
  /** Address of its receipt, below this server's root. */
  readonly receipt?: string;
}

export interface LedgerPort {
  /** Something for a partition is about to be written: what is urgent there goes first. */
  expect(at: Partition): void;
  /**
   * Waits until the ledger has committed these places of a partition, at most `timeoutMs`. One answer per place, in order;
   * undefined where the time was over first. Never rejects for being late.
   */
  settle(at: Partition, places: readonly Place[], timeoutMs: number): Promise<readonly (Settled | undefined)[]>;
}
