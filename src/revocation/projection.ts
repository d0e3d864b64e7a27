/** Revocation as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { PoolClient } from 'pg';
import { readFoldBatch } from '../ledger/fold-batch.js';
import { readPositions } from '../ledger/projection-runner.js';
import type { Fold, FoldBatch, Projection, ProjectionDifference } from '../ledger/projection.js';
import { parseLogPath, type Log } from '../ledger/log.js';
import { learnSchemas } from '../ledger/schemas.js';
import type { SchemaRegistry } from '../events/index.js';
import { foldEvent } from './fold.js';
import { LIFECYCLE, readLifecycle } from './lifecycle.js';
import { RevocationState, type KeyMaterial } from './state.js';
import { TABLES, writeChanges } from './store.js';

const NAME = 'revocation';
const FOLD_ENTRIES = 4096n;

/** What is in memory comes from the ledger, never from these tables: they are for those who ask. */
class RevocationFold implements Fold {
  constructor(
    private readonly schema: string,
    private readonly state: RevocationState,
    private readonly schemas: SchemaRegistry,
  ) {}

  async fold(tx: PoolClient, { log, from, pages }: FoldBatch): Promise<void> {
    if (log.path !== LIFECYCLE) return;
    for (const event of readLifecycle(from, pages, this.schemas)) foldEvent(this.state, event);
    await writeChanges(tx, this.schema, this.state);
  }
}

/** The revocation projection, complete with `clear` and `compare`. It does nothing until the runner opens it. */
export function revocationProjection(material: KeyMaterial): Projection {
  return {
    name: NAME,
    topics: ['lifecycle'],
    async open(tx, schema) {
      const state = new RevocationState(material);
      const schemas = await learnSchemas(tx);
      if (schema === 'keelson') await refold(tx, state, schemas);
      return new RevocationFold(schema, state, schemas);
    },
    async clear(tx, schema) {
      for (const table of TABLES) await tx.query(`delete from ${schema}.revocation_${table}`);
    },
    async createScratch(tx, schema) {
      for (const table of TABLES) {
        await tx.query(`create table ${schema}.revocation_${table} (like keelson.revocation_${table} including all)`);
      }
    },
    compare,
  };
}

/** Folds again, without writing, what the tables hold already. */
async function refold(tx: PoolClient, state: RevocationState, schemas: SchemaRegistry): Promise<void> {
  const size = (await readPositions(tx, NAME)).get(LIFECYCLE) ?? 0n;
  if (size === 0n) return;
  const log = await findLifecycle(tx);
  if (log === undefined) throw new Error('a position in a log that is not there');
  for (let from = 0n; from < size;) {
    const to = from + FOLD_ENTRIES < size ? from + FOLD_ENTRIES : size;
    for (const event of readLifecycle(from, (await readFoldBatch(tx, log, from, to)).pages, schemas))
      foldEvent(state, event);
    from = to;
  }
  state.forgetChanges();
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
