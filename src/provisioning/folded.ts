/** Waiting until a projection has folded an entry, whichever process folds it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../core/error.js';
import { readPositions, type ProjectionRunner } from '../ledger/projection-runner.js';
import type { Database } from '../platform/database.js';

/** How long this process's own runner is trusted before the database is asked. */
const OWN_MS = 50;
const LOOK_MS = 20;

/**
 * Resolves when `projection` is complete to `size` entries of a log; false where the time is over first.
 * @throws KeelsonError `database_unavailable`
 */
export async function untilFolded(
  database: Database,
  runner: Pick<ProjectionRunner, 'waitUntil'>,
  projection: string,
  { log, size }: { readonly log: string; readonly size: bigint },
  waitMs: number,
): Promise<boolean> {
  const deadlineMs = performance.now() + waitMs;
  const own = await runner.waitUntil(log, size, Math.min(OWN_MS, waitMs)).then(
    () => true,
    (error: unknown) => {
      if (error instanceof KeelsonError && error.code === 'timeout') return false;
      throw error;
    },
  );
  if (own) return true;
  for (;;) {
    if (((await readPositions(database.pool, projection)).get(log) ?? 0n) >= size) return true;
    if (performance.now() >= deadlineMs) return false;
    await sleep(LOOK_MS);
  }
}
