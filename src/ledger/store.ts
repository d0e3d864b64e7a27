import type { TreeHead } from '../core/proof.js';
import type { FullTile } from '../core/frontier.js';
import type { RefusalReason } from '../core/entry.js';
import type { Partition } from '../eventlog/port.js';
import type { Log } from './log.js';
import type { SlotRow } from './slots.js';

/** Where a log stands in the database: all that is needed to go on. */
export interface LogState extends TreeHead {
  /** The offset to read next. */
  readonly nextOffset: bigint;
  /** The last message taken: its offset, and the SHA-256 of its pack. */
  readonly last: { readonly offset: bigint; readonly hash: Uint8Array } | undefined;
  readonly greatestUs: bigint;
  /** Whether the log's `log.opened` is an entry. */
  readonly opened: boolean;
  /** Schemas the log was told of. */
  readonly schemas: readonly Uint8Array[];
  /** The partial tiles the tree ends in, by level. */
  readonly partials: readonly Uint8Array[];
}

/** What one transaction adds to a log besides its pages. All of it commits, or nothing. */
export interface Sealing {
  readonly log: Log;
  readonly from: TreeHead & { readonly nextOffset: bigint };
  readonly to: TreeHead & Omit<LogState, 'schemas' | 'partials'>;
  readonly tiles: readonly FullTile[];
  readonly slots: readonly SlotRow[];
  readonly schemas: readonly { readonly fingerprint: Uint8Array; readonly index: number }[];
  readonly refused: readonly Refusal[];
}

/** What the sequencer would not take, at the index of the entry that says so. */
export interface Refusal {
  readonly index: number;
  readonly reason: RefusalReason;
  readonly bytes: Uint8Array;
}

/** A signed checkpoint. `prevSize` is the one published before it; both 0 for the first. */
export interface Publication extends TreeHead {
  readonly note: string;
  readonly prevSize: bigint;
}

/**
 * The transaction of one batch, on a connection of its own. Calls come in the order of this interface; after `committed`
 * the next batch may follow, after any rejection only `close`.
 */
export interface Lane {
  /** Begins the transaction where none is, and sends CopyData messages of pages. Does not wait. */
  write(slice: Uint8Array): void;
  /** Resolves when every page written has arrived. */
  written(): Promise<void>;
  /**
   * Writes everything else. False, and nothing done, where the head is not at `sealing.from`: another sequencer was here.
   * The caller awaits the commit of the batch before this one first.
   */
  seal(sealing: Sealing): Promise<boolean>;
  /** A rejection leaves open whether it did. */
  commit(): Promise<void>;
  /** Cuts the connection; an open transaction is rolled back. */
  close(): void;
}

/** What the sequencer writes to and recovers from. Its implementation is `PostgresStore`; tests wrap it with faults. */
export interface LedgerStore {
  /**
   * The log of a partition; made, with the checkpoint of size 0, where it is missing.
   * @throws KeelsonError `invalid_config` where it exists under another origin.
   */
  openLog(at: Partition, origin: string): Promise<Log>;
  /** Reads where a log stands, after every sealing statement under way has come to its end. */
  loadState(log: Log): Promise<LogState>;
  /** Rows of slots whose greatest append time is `sinceUs` or later, behind the one that begins at `after`, in order. */
  loadSlots(log: Log, sinceUs: bigint, after?: number): AsyncIterable<SlotRow>;
  readSlots(log: Log, indexes: readonly number[]): Promise<Map<number, Uint8Array>>;
  /** Makes the partitions that hold a page at `index`, and slots of `greatestUs`. */
  ensurePartitions(index: number, greatestUs: bigint): Promise<void>;
  openLane(log: Log): Promise<Lane>;
  /** Ends the connections of other sequencers of this log: a frozen one can hold locks that no time-out of Postgres ends. */
  endOtherLanes(log: Log): Promise<void>;
  /** The newest signed checkpoint. */
  newestPublication(log: Log): Promise<Publication | undefined>;
  /** Stores a signed checkpoint. False where it does not follow the newest: another publisher was here. */
  publish(log: Log, publication: Publication): Promise<boolean>;
  /** The root of the log's first `size` entries, out of tiles and entries. @throws KeelsonError `out_of_range`. */
  rootAt(log: Log, size: bigint): Promise<Uint8Array>;
}
