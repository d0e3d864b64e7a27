/** Revocation as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { PoolClient } from 'pg';
import { readFoldBatch } from '../ledger/fold-batch.js';
import { readPositions } from '../ledger/projection-runner.js';
import type { Fold, FoldBatch, Projection, ProjectionDifference } from '../ledger/projection.js';
import { parseLogPath, type Log } from '../ledger/log.js';
import { learnSchemas } from '../ledger/schemas.js';
import type { Database } from '../platform/database.js';
import type { SchemaRegistry } from '../events/index.js';
import { foldEvent } from './fold.js';
import { LIFECYCLE, readLifecycle } from './lifecycle.js';
import type { Folded, Snapshots } from './snapshot.js';
import { RevocationState } from './state.js';
import { TABLES, writeChanges } from './store.js';

const NAME = 'revocation';
const FOLD_ENTRIES = 4096n;

/** What is in memory comes from the ledger, or from a snapshot of it, never from these tables: they are for those who ask. */
class RevocationFold implements Fold {
  #folded: Folded;

  /** @param kept of how many entries a snapshot is kept, and how to keep another one. */
  constructor(
    private readonly schema: string,
    folded: Folded,
    private readonly schemas: SchemaRegistry,
    private readonly kept?: { size: bigint; readonly keep: (folded: Folded, keptSize: bigint) => Promise<bigint> },
  ) {
    this.#folded = folded;
  }

  async fold(tx: PoolClient, { log, from, to, pages }: FoldBatch): Promise<void> {
    if (log.path !== LIFECYCLE) return;
    for (const event of readLifecycle(from, pages, this.schemas)) foldEvent(this.#folded.state, event);
    this.#folded = { ...this.#folded, size: to };
    await writeChanges(tx, this.schema, this.#folded.state);
  }

  async idle(): Promise<void> {
    const { kept } = this;
    if (kept !== undefined) kept.size = await kept.keep(this.#folded, kept.size);
  }
}

export interface RevocationProjectionOptions {
  readonly snapshots: Snapshots;
  /** Where snapshots are kept, beside the runner's own connection. */
  readonly database: Database;
}

/** The revocation projection, complete with `clear` and `compare`. It does nothing until the runner opens it. */
export function revocationProjection({ snapshots, database }: RevocationProjectionOptions): Projection {
  return {
    name: NAME,
    topics: ['lifecycle'],
    async open(tx, schema) {
      const schemas = await learnSchemas(tx);
      if (schema !== 'keelson') {
        return new RevocationFold(schema, { state: new RevocationState(snapshots.material), size: 0n }, schemas);
      }
      const { kept, ...folded } = await refold(tx, snapshots, schemas);
      let log: Log | undefined;
      const keep = async (all: Folded, keptSize: bigint): Promise<bigint> => {
        // Once: this is asked whenever nothing waits.
        log ??= await findLifecycle(database.pool);
        return log === undefined ? keptSize : snapshots.keep(database.pool, log, all, keptSize);
      };
      return new RevocationFold(schema, folded, schemas, { size: kept, keep });
    },
    async clear(tx, schema) {
      for (const table of TABLES) await tx.query(`delete from ${schema}.revocation_${table}`);
      if (schema === 'keelson') await snapshots.clear(tx);
    },
    async createScratch(tx, schema) {
      for (const table of TABLES) {
        await tx.query(`create table ${schema}.revocation_${table} (like keelson.revocation_${table} including all)`);
      }
    },
    compare,
  };
}

/** Folds again, without writing, what the tables hold already: what came after the snapshot, which is of `kept` entries. */
async function refold(
  tx: PoolClient,
  snapshots: Snapshots,
  schemas: SchemaRegistry,
): Promise<Folded & { readonly kept: bigint }> {
  const size = (await readPositions(tx, NAME)).get(LIFECYCLE) ?? 0n;
  if (size === 0n) return { state: new RevocationState(snapshots.material), size, kept: 0n };
  const log = await findLifecycle(tx);
  if (log === undefined) throw new Error('a position in a log that is not there');
  const { state, size: kept } = await snapshots.load(tx, log, size);
  for (let from = kept; from < size;) {
    const to = from + FOLD_ENTRIES < size ? from + FOLD_ENTRIES : size;
    for (const event of readLifecycle(from, (await readFoldBatch(tx, log, from, to)).pages, schemas))
      foldEvent(state, event);
    from = to;
  }
  state.forgetChanges();
  return { state, size, kept };
}

/** The lifecycle log; undefined while it has no entry. */
export async function findLifecycle(tx: Pick<PoolClient, 'query'>): Promise<Log | undefined> {
  const { rows } = await tx.query<{ id: number; origin: string }>(
    'select id, origin from keelson.log where path = $1',
    [LIFECYCLE],
  );
  const row = rows[0];
  return row && { id: row.id, path: LIFECYCLE, origin: row.origin, at: parseLogPath(LIFECYCLE) };
}

/** Differences told at most for each table. */
const TOLD_MAX = 20;

async function* compare(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  for (const table of TABLES) {
    const [ours, theirs] = [live, scratch].map(
      (schema) => `select t::text as row from ${schema}.revocation_${table} t`,
    );
    const { rows } = await tx.query<{ row: string; isLive: boolean }>(
      `(select row, true as "isLive" from (${ours} except ${theirs}) as more
        union all select row, false from (${theirs} except ${ours}) as fewer) order by row limit ${TOLD_MAX}`,
    );
    for (const { row, isLive } of rows) {
      const what = isLive
        ? 'is there, and does not follow from the ledger'
        : 'follows from the ledger, and is not there';
      yield { log: LIFECYCLE, reason: `revocation_${table}: ${row.slice(0, 200)} ${what}` };
    }
  }
}
