import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { KeelsonError } from '../../core/error.js';
import { databaseError } from '../../platform/database.js';
import { readFoldBatch } from '../fold-batch.js';
import { readPositions, readSizes } from '../projection-runner.js';
import type { Projection } from '../projection.js';
import type { FsckFinding, FsckOptions } from './options.js';

const FOLD_ENTRIES = 4096n;

/**
 * Folds a projection again, as far as it is folded, into a schema of its own, and compares. All in one transaction of one
 * snapshot, which is rolled back: nothing of it can be left behind.
 */
export async function* checkProjection(
  options: FsckOptions,
  projection: Projection,
): AsyncGenerator<FsckFinding, void, undefined> {
  const { scratch } = options;
  if (!scratch) throw new Error('refolding a projection needs a connection that may make a schema');
  const schema = `keelson_scratch_${randomBytes(6).toString('hex')}`;
  const tx = await scratch.pool.connect();
  try {
    await tx.query('begin isolation level repeatable read');
    const unfit = await refold(options, projection, tx, schema);
    if (unfit !== undefined) return yield unfit;
    for await (const { log, index, reason } of projection.compare(tx, 'keelson', schema)) {
      yield { log: log ?? projection.name, what: 'projection', ...(index !== undefined && { index }), reason };
    }
  } finally {
    await tx.query('rollback').catch(() => undefined);
    tx.release(true);
  }
}

/** Folds into `schema`. Answers why it can't be done, where entries are not there or not as they were. */
async function refold(
  { reader, onProgress }: FsckOptions,
  projection: Projection,
  tx: PoolClient,
  schema: string,
): Promise<FsckFinding | undefined> {
  const positions = await readPositions(tx, projection.name);
  const sizes = await readSizes(tx);
  await tx.query(`create schema ${schema}`);
  await projection.createScratch(tx, schema);
  const fold = await projection.open(tx, schema);
  try {
    for (const [path, size] of positions) {
      const ends = sizes.get(path) ?? 0n;
      if (size > ends) {
        const reason = `${projection.name} says it is folded to entry ${size}, there are ${ends}`;
        return { log: path, what: 'projection', index: ends, reason };
      }
      const log = await reader.log(path);
      for (let from = 0n; from < size;) {
        const to = from + FOLD_ENTRIES < size ? from + FOLD_ENTRIES : size;
        try {
          await fold.fold(tx, await readFoldBatch(tx, log, from, to));
        } catch (error) {
          return unfit(databaseError(error), projection, path, from);
        }
        onProgress?.({ log: `${projection.name} ${path}`, done: to, size });
        from = to;
      }
    }
  } finally {
    await fold.close?.();
  }
  return undefined;
}

/** A ledger that was changed may hold what can't be folded; a database that is away says nothing about it. */
function unfit(error: unknown, projection: Projection, path: string, from: bigint): FsckFinding {
  if (error instanceof KeelsonError && ['database_unavailable', 'timeout'].includes(error.code)) throw error;
  const reason = `from entry ${from} on it can't be folded into ${projection.name}: ${(error as Error).message}`;
  return { log: path, what: 'projection', index: from, reason };
}
