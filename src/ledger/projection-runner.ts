import { randomUUID } from 'node:crypto';
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { KeelsonError } from '../core/error.js';
import { BackOff, pause } from '../eventlog/back-off.js';
import type { Database } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import { Hints, readFoldBatch } from './fold-batch.js';
import type { Fold, FoldBatch, Positions, Projection } from './projection.js';
import type { LedgerReader } from './reader.js';
import type { LedgerWatch } from './watch.js';
import { parseLogPath, type Log } from './log.js';

/** How many entries are read from the ledger for one fold. */
const READ_ENTRIES = 4096n;
/** How often the ledger is looked at for what other processes wrote. */
const LOOK_MS = 100;

export interface ProjectionRunnerOptions {
  readonly database: Database;
  readonly reader: LedgerReader;
  readonly watch: LedgerWatch;
  readonly logger: Logger;
  readonly projection: Projection;
  /** It stands in no order's way: where something urgent is under way, it folds a moment later, lifecycle too. */
  readonly givesWay?: boolean;
}

/** How long the process that folds may be unseen before another takes over: it died, or is frozen. */
const UNSEEN_S = 3;
/** How often it shows itself while there is nothing to fold, and how often others look whether it still does. */
const SEEN_EVERY_MS = 500;

/** A log and its committed size. */
interface Head {
  readonly log: Log;
  readonly size: bigint;
}

/**
 * Folds committed entries into one projection, in order within each log. A committed batch of this process is a hint: folded at
 * once iff it continues the position, else the ledger is read. State and position commit together, so after any failure the
 * projection is opened again on what the database holds, and goes on from there.
 */
export class ProjectionRunner {
  readonly #options: ProjectionRunnerOptions;
  readonly #folder = randomUUID();
  readonly #stopping = new AbortController();
  readonly #backOff = new BackOff();
  readonly #hints = new Hints();
  #positions = new Map<string, bigint>();
  /** Once it is known. */
  #lifecycle: Log | undefined;
  #waiting: (() => void)[] = [];
  #running: Promise<void> | undefined;
  #unsubscribe: (() => void) | undefined;
  #failure: unknown;

  constructor(options: ProjectionRunnerOptions) {
    this.#options = options;
  }

  /** Begins to fold, until `close`. */
  start(): void {
    this.#unsubscribe ??= this.#options.watch.onCommitted((batch) => {
      if (this.#folds(batch.log.path)) this.#hints.add(batch);
    });
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe?.();
    await this.#running;
    // Others need not wait until they miss it.
    await this.#options.database
      .query('delete from keelson.projection_folder where projection = $1 and folder = $2', this.#self)
      .catch(() => undefined);
  }

  /** Why folding does not go on; undefined while it does. */
  get failure(): unknown {
    return this.#failure;
  }

  /** How far this process has folded, as of its last commit. */
  get positions(): Positions {
    return this.#positions;
  }

  /**
   * Resolves when the projection is complete to `size` entries of a log.
   * @throws KeelsonError `timeout`.
   */
  async waitUntil(path: string, size: bigint, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while ((this.#positions.get(path) ?? 0n) < size) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || this.#stopping.signal.aborted) {
        throw new KeelsonError('timeout', `${this.#options.projection.name} is not at entry ${size} of ${path} yet`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  async #run(): Promise<void> {
    const { projection, logger } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#foldUntilFailure();
      } catch (error) {
        this.#failure = error;
        logger.warn({ err: error, projection: projection.name }, 'ledger: folding starts again');
        await pause(this.#backOff.nextMs(), this.#stopping.signal);
      }
    }
  }

  async #foldUntilFailure(): Promise<void> {
    const { database, projection } = this.#options;
    const fold = await database.transaction(async (tx) => {
      await lockProjection(tx, projection.name);
      this.#positions = await readPositions(tx, projection.name);
      return (await this.#take(tx)) ? projection.open(tx, 'keelson') : undefined;
    });
    if (!fold) return this.#leaveToAnother();
    try {
      let seenAtMs = performance.now();
      while (!this.#stopping.signal.aborted) {
        const folded = await this.#foldOnce(fold);
        // Also where there was nothing to fold: an idle ledger must not keep a failure that is over.
        this.#failure = undefined;
        this.#backOff.reset();
        if (folded) seenAtMs = performance.now();
        if (folded) continue;
        if (performance.now() - seenAtMs > SEEN_EVERY_MS) {
          await this.#requireMine(database.pool);
          seenAtMs = performance.now();
        }
        await fold.idle?.();
        if (this.#hints.isEmpty) await this.#options.watch.grown(LOOK_MS, this.#stopping.signal);
      }
    } finally {
      await fold.close?.();
    }
  }

  get #self(): [string, string] {
    return [this.#options.projection.name, this.#folder];
  }

  /** This process folds from now on; false while another one does. */
  async #take(tx: PoolClient): Promise<boolean> {
    const { rowCount } = await tx.query(
      `insert into keelson.projection_folder as f (projection, folder, seen_at) values ($1, $2, clock_timestamp())
       on conflict (projection) do update set folder = excluded.folder, seen_at = excluded.seen_at
       where f.folder = excluded.folder or f.seen_at < clock_timestamp() - interval '${UNSEEN_S} s'`,
      this.#self,
    );
    return rowCount === 1;
  }

  /**
   * Shows that this process folds. In the transaction of a fold it also keeps others out until the commit: what this fold has
   * in memory is what the database holds.
   * @throws KeelsonError `fenced` where another took over, or the projection was rebuilt.
   */
  async #requireMine(tx: Pick<PoolClient, 'query'>): Promise<void> {
    const { rowCount } = await tx.query(
      'update keelson.projection_folder set seen_at = clock_timestamp() where projection = $1 and folder = $2',
      this.#self,
    );
    if (rowCount !== 1)
      throw new KeelsonError('fenced', `${this.#options.projection.name} is folded by another process`);
  }

  async #leaveToAnother(): Promise<void> {
    this.#failure = undefined;
    this.#hints.clear();
    for (const wake of this.#waiting.splice(0)) wake();
    await pause(SEEN_EVERY_MS, this.#stopping.signal);
  }

  /**
   * Folds what each log has beyond its position, one batch each; lifecycle, for which somebody may be waiting, before each other one.
   * False where there was nothing.
   */
  async #foldOnce(fold: Fold): Promise<boolean> {
    const { givesWay = false, watch } = this.#options;
    if (givesWay) await watch.precedence.giveWay(this.#stopping.signal);
    let folded = await this.#foldLifecycle(fold);
    const heads = await this.#heads();
    this.#lifecycle = heads.find(isLifecycle)?.log;
    for (const { log, size } of [...heads.filter(isLifecycle), ...heads.filter((head) => !isLifecycle(head))]) {
      const from = this.#positions.get(log.path) ?? 0n;
      if (!isLifecycle({ log, size }) && size > from) await watch.precedence.giveWay(this.#stopping.signal);
      const batch =
        this.#hints.take(log, from, watch.precedence.isLikely) ??
        (size > from ? await this.#read(log, from, size) : undefined);
      if (!batch) continue;
      await this.#fold(fold, batch);
      folded = true;
      await this.#foldLifecycle(fold);
    }
    return folded;
  }

  /** Folds what this process committed to lifecycle, without asking where the logs stand. False where there was nothing. */
  async #foldLifecycle(fold: Fold): Promise<boolean> {
    const log = this.#lifecycle;
    const batch = log && this.#hints.take(log, this.#positions.get(log.path) ?? 0n);
    if (batch === undefined) return false;
    await this.#fold(fold, batch);
    return true;
  }

  #folds(path: string): boolean {
    const { topics } = this.#options.projection;
    return topics === undefined || topics.includes(parseLogPath(path).topic);
  }

  async #fold(fold: Fold, batch: FoldBatch): Promise<void> {
    const { database, projection } = this.#options;
    await database.transaction(async (tx) => {
      await lockProjection(tx, projection.name);
      await this.#requireMine(tx);
      await tx.query(
        `insert into keelson.projection_position (projection, log, next_index) values ($1, $2, $3)
         on conflict (projection, log) do update set next_index = $3`,
        [projection.name, batch.log.id, batch.to],
      );
      await fold.fold(tx, batch);
    });
    this.#positions.set(batch.log.path, batch.to);
    fold.committed?.(this.#positions);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Where every log stands. */
  async #heads(): Promise<Head[]> {
    const { database, reader } = this.#options;
    const ours = [...(await readSizes(database))].filter(([path]) => this.#folds(path));
    return Promise.all(ours.map(async ([path, size]) => ({ log: await reader.log(path), size })));
  }

  async #read(log: Log, from: bigint, size: bigint): Promise<FoldBatch> {
    // Up to where a hint continues: reading on past it would leave every further hint behind the position.
    const hinted = this.#hints.firstOf(log) ?? size;
    const to = [from + READ_ENTRIES, size, hinted].reduce((least, end) => (end < least ? end : least));
    return readFoldBatch(this.#options.database.pool, log, from, to);
  }
}

const isLifecycle = ({ log }: Head): boolean => log.at.topic === 'lifecycle';

/**
 * Empties a projection and forgets its positions, in one transaction: a runner, here or elsewhere, folds it anew from the
 * first entry.
 */
export async function rebuildProjection(database: Database, projection: Projection): Promise<void> {
  await database.transaction(async (tx) => {
    await lockProjection(tx, projection.name);
    await projection.clear(tx, 'keelson');
    await tx.query('delete from keelson.projection_position where projection = $1', [projection.name]);
    // Whoever folds has in memory what is gone.
    await tx.query('delete from keelson.projection_folder where projection = $1', [projection.name]);
  });
}

/** How far a projection is, whoever folds it: the `asOf` of what is read in the same snapshot. */
export async function readPositions(tx: Pick<PoolClient, 'query'>, projection: string): Promise<Map<string, bigint>> {
  const { rows } = await tx.query<{ path: string; next_index: bigint }>(
    `select l.path, p.next_index from keelson.projection_position p join keelson.log l on l.id = p.log
     where p.projection = $1`,
    [projection],
  );
  return new Map(rows.map(({ path, next_index }) => [path, next_index]));
}

/** A database, or a transaction in it. */
interface Queries {
  query<Row extends QueryResultRow>(text: string): Promise<QueryResult<Row>>;
}

/** How many entries of each log are committed, by path. */
export async function readSizes(tx: Queries): Promise<Map<string, bigint>> {
  const { rows } = await tx.query<{ path: string; size: bigint }>(
    'select l.path, h.size from keelson.log l join keelson.head h on h.log = l.id order by l.id',
  );
  return new Map(rows.map(({ path, size }) => [path, size]));
}

/** How many entries a projection has folded, and how many are committed beyond. */
export interface Backlog {
  readonly folded: number;
  readonly behind: number;
}

/** The backlog of a projection that folds every log. */
export async function readBacklog(tx: PoolClient, projection: string): Promise<Backlog> {
  const sum = (sizes: ReadonlyMap<string, bigint>): number => Number([...sizes.values()].reduce((a, b) => a + b, 0n));
  const folded = sum(await readPositions(tx, projection));
  return { folded, behind: sum(await readSizes(tx)) - folded };
}

/** One runner of a projection at a time folds or rebuilds; the others wait. Held to the end of the transaction. */
const lockProjection = (tx: Pick<PoolClient, 'query'>, name: string): Promise<unknown> =>
  tx.query(`select pg_advisory_xact_lock(hashtextextended('keelson.projection.' || $1, 0))`, [name]);
