/**
 * Checks the database against itself: every hash, tile, checkpoint, link, offset, duplicate key and signature, and the
 * projections by folding them again. It trusts nothing but the key that signs. Reads in pieces, so memory stays bounded, and in
 * one snapshot, so that it can run beside a server that writes.
 */
import { databaseError, type Database } from '../platform/database.js';
import { checkLog } from './fsck/log.js';
import { checkLogs } from './fsck/logs.js';
import type { FsckFinding, FsckOptions, Snapshot } from './fsck/options.js';
import { checkProjection } from './fsck/projection.js';
import { checkMemory, checkPublications } from './fsck/publications.js';

export type { FsckFinding, FsckOptions, FsckProgress } from './fsck/options.js';

/** Yields each finding as it is made; none: all is well. @throws KeelsonError `database_unavailable`. */
export async function* fsck(options: FsckOptions): AsyncGenerator<FsckFinding, void, undefined> {
  // Before the snapshot: what was remembered by then must be in it.
  const remembered = await recallAll(options);
  yield* inSnapshot(options.database, (snapshot) => checkLedger(options, snapshot, remembered));
  for (const projection of options.projections ?? []) yield* checkProjection(options, projection);
}

async function* checkLedger(
  options: FsckOptions,
  snapshot: Snapshot,
  remembered: ReadonlyMap<string, string>,
): AsyncGenerator<FsckFinding, void, undefined> {
  const logs = yield* checkLogs(snapshot);
  for (const log of logs) {
    yield* checkLog(options, snapshot, log);
    yield* checkPublications(options, snapshot, log);
    const note = remembered.get(log.origin);
    if (note !== undefined) yield* checkMemory(options, snapshot, log, note);
  }
}

/** Origin → the note that is remembered outside the database. */
async function recallAll({ database, eventLog }: FsckOptions): Promise<Map<string, string>> {
  const { rows } = await database.query<{ origin: string }>('select origin from keelson.log');
  const notes = new Map<string, string>();
  for (const { origin } of eventLog ? rows : []) {
    const note = await eventLog?.checkpoints.recall(origin);
    if (note !== undefined) notes.set(origin, note);
  }
  return notes;
}

/** Reads in one transaction, which sees one moment and writes nothing. It may sit idle while its findings are told. */
async function* inSnapshot<T>(
  database: Database,
  read: (snapshot: Snapshot) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const client = await database.pool.connect().catch((error: unknown) => {
    throw databaseError(error);
  });
  let broken: Error | undefined;
  const onError = (error: Error): void => void (broken = error);
  client.on('error', onError);
  try {
    await client.query(
      'begin isolation level repeatable read, read only; set local idle_in_transaction_session_timeout = 0',
    );
    yield* read(client);
  } catch (error) {
    throw databaseError(error);
  } finally {
    await client.query('rollback').catch((error: Error) => (broken = error));
    client.off('error', onError);
    client.release(broken);
  }
}
