import type { PoolClient } from 'pg';
import type { Topic } from '../eventlog/port.js';
import type { Log } from './log.js';
import type { Page } from './page.js';

/** Committed entries `[from, to)` of one log, in pages. Pages are whole: they hold exactly these entries. */
export interface FoldBatch {
  readonly log: Log;
  readonly from: bigint;
  readonly to: bigint;
  readonly pages: readonly Page[];
}

/** Per log path, how many entries a projection has folded: it is complete to this size. The `asOf` of its answers. */
export type Positions = ReadonlyMap<string, bigint>;

/**
 * A fold over committed entries that can be dropped and rebuilt from the ledger alone.
 *
 * Contract
 * - **Order.** Within a log, batches come in order and without gaps. How logs interleave must not matter to the state: lifecycle goes
 *   first, however far others are behind.
 * - **One transaction.** The runner stores the position in the transaction it hands to `fold`; both commit or neither.
 *   A crash, or a commit of unknown outcome, drops the `Fold`; the next one is opened on what the database then holds.
 * - **Cuts.** Batches may be cut anywhere, and differently after a rebuild: the state may not depend on where.
 * - **One runner.** A lock in the database keeps a second runner of the same projection waiting, whichever process it is in.
 */
export interface Projection {
  /** Its name in `projection_position` and on the command line: lower case. */
  readonly name: string;
  /** The topics it folds; absent: all. It has no position in other logs, and costs nothing while they grow. */
  readonly topics?: readonly Topic[];
  /**
   * Begins or goes on with folding into the tables of `schema` (`keelson`, or a scratch schema while fsck refolds).
   * `tx` reads what was folded so far; in-memory state is loaded here.
   */
  open(tx: PoolClient, schema: string): Promise<Fold>;
  /** Empties the tables of `schema`, in the transaction that also forgets the positions. */
  clear(tx: PoolClient, schema: string): Promise<void>;
  /** Makes the same tables, empty, in `schema`, which was just created. For fsck; dropped with the schema afterwards. */
  createScratch(tx: PoolClient, schema: string): Promise<void>;
  /**
   * Compares live state with a refolded one that is complete to the same positions. Yields one line for people for every
   * difference, naming log path and index where there is one; yields nothing if they are equal.
   */
  compare(tx: PoolClient, liveSchema: string, scratchSchema: string): AsyncIterable<ProjectionDifference>;
}

export interface ProjectionDifference {
  readonly log?: string;
  readonly index?: bigint;
  readonly reason: string;
}

/** Folding, from one open to the next failure. Owns whatever the projection keeps in memory. */
export interface Fold {
  /**
   * Folds one batch, writing through `tx` alone. A rejection rolls back and drops this fold: the runner opens another after a
   * back-off, for ever; a projection that can't take an entry must record that, not reject.
   */
  fold(tx: PoolClient, batch: FoldBatch): Promise<void>;
  /** The transaction of the last `fold` is durable: what it prepared in memory may be shown. */
  committed?(positions: Positions): void;
  /** Between batches, when nothing is waiting: housekeeping in transactions of its own (closing and merging parts). */
  idle?(): Promise<void>;
  /** No more calls follow. */
  close?(): Promise<void>;
}
