import { randomBytes } from 'node:crypto';
import type { FsckFinding, FsckOptions } from './fsck-options.js';
import { readFoldBatch, readPositions } from './projection-runner.js';
import type { Projection } from './projection.js';

const FOLD_ENTRIES = 4096n;

/**
 * Folds a projection again, as far as it is folded, into a schema of its own, and compares. All in one transaction of one
 * snapshot, which is rolled back: nothing of it can be left behind.
 */
export async function* checkProjection(
  { scratch, reader, onProgress }: FsckOptions,
  projection: Projection,
): AsyncGenerator<FsckFinding, void, undefined> {
  if (!scratch) throw new Error('refolding a projection needs a connection that may make a schema');
  const schema = `keelson_scratch_${randomBytes(6).toString('hex')}`;
  const tx = await scratch.pool.connect();
  try {
    await tx.query('begin isolation level repeatable read');
    const positions = await readPositions(tx, projection.name);
    await tx.query(`create schema ${schema}`);
    await projection.createScratch(tx, schema);
    const fold = await projection.open(tx, schema);
    for (const [path, size] of positions) {
      const log = await reader.log(path);
      for (let from = 0n; from < size;) {
        const to = from + FOLD_ENTRIES < size ? from + FOLD_ENTRIES : size;
        await fold.fold(tx, await readFoldBatch(tx, log, from, to));
        onProgress?.({ log: `${projection.name} ${path}`, done: to, size });
        from = to;
      }
    }
    await fold.close?.();
    for await (const difference of projection.compare(tx, 'keelson', schema)) {
      const { log, index, reason } = difference;
      yield { log: log ?? projection.name, what: 'projection', ...(index !== undefined && { index }), reason };
    }
  } finally {
    await tx.query('rollback').catch(() => undefined);
    tx.release(true);
  }
}
