import { openCheckpoint } from '../core/checkpoint.js';
import { makeVerifierKey } from '../core/key.js';
import { readRoot } from '../core/proof.js';
import type { FsckFinding, FsckOptions } from './fsck-options.js';
import type { Log } from './log.js';
import { StoredTiles } from './tile-reader.js';

const ROWS_READ = 1000;

interface PublicationRow {
  size: bigint;
  root: Buffer;
  prev_size: bigint;
  note: string;
  committed: Buffer | null;
}

/** That published checkpoints follow one another from the empty one on, and each is one that was committed. */
export async function* checkSigningChain(options: FsckOptions, log: Log): AsyncGenerator<FsckFinding, void, undefined> {
  const { rows } = await options.database.query<{ size: bigint; prev_size: bigint; expected: bigint | null }>(
    `select * from (
       select size, prev_size, lag(size) over (order by size) as expected from keelson.publication where log = $1) p
     where coalesce(expected, 0) <> prev_size order by size limit 10`,
    [log.id],
  );
  for (const { size, prev_size, expected } of rows) {
    const reason = `publication ${size} says it follows ${prev_size}, and follows ${expected ?? 'nothing'}`;
    yield { log: log.path, what: 'publication', index: size, reason };
  }
}

/** Every signed note: by our key, of this log, of the root that the ledger has for that size. */
export async function* checkPublications(options: FsckOptions, log: Log): AsyncGenerator<FsckFinding, void, undefined> {
  const { database, hasher, verifier, publicKey } = options;
  const key = makeVerifierKey(hasher, log.origin, publicKey);
  const found = (index: bigint, reason: string): FsckFinding => ({ log: log.path, what: 'publication', index, reason });
  let after = -1n;
  for (;;) {
    const { rows } = await database.query<PublicationRow & Record<string, unknown>>(
      `select p.size, p.root, p.prev_size, p.note, c.root as committed from keelson.publication p
       left join keelson.checkpoint c on c.log = p.log and c.size = p.size
       where p.log = $1 and p.size > $2 order by p.size limit ${ROWS_READ}`,
      [log.id, after],
    );
    for (const row of rows) {
      try {
        const signed = openCheckpoint(row.note, key, verifier);
        if (signed.size !== row.size || Buffer.compare(signed.root, row.root) !== 0) {
          yield found(row.size, `the note of publication ${row.size} signs another checkpoint`);
        }
      } catch (error) {
        yield found(row.size, `publication ${row.size}: ${(error as Error).message}`);
      }
      if (!row.committed || Buffer.compare(row.committed, row.root) !== 0) {
        yield found(
          row.size,
          `the ledger has ${row.committed ? 'another root' : 'no checkpoint'} for the signed size ${row.size}`,
        );
      }
    }
    if (rows.length < ROWS_READ) return;
    after = rows.at(-1)!.size;
  }
}

/** The checkpoint remembered outside the database: not beyond the ledger, and of the same root. */
export async function* checkMemory(options: FsckOptions, log: Log): AsyncGenerator<FsckFinding, void, undefined> {
  const { database, hasher, verifier, publicKey, eventLog, reader } = options;
  const note = await eventLog?.checkpoints.recall(log.origin);
  if (note === undefined) return;
  const found = (index: bigint, reason: string): FsckFinding => ({ log: log.path, what: 'memory', index, reason });
  try {
    const remembered = openCheckpoint(note, makeVerifierKey(hasher, log.origin, publicKey), verifier);
    const { size } = await reader.head(log);
    if (remembered.size > size) {
      return yield found(
        size,
        `${remembered.size} entries were signed before; entries ${size} to ${remembered.size - 1n} are gone`,
      );
    }
    const root = await readRoot(hasher, remembered.size, new StoredTiles(database.pool, hasher, log));
    if (Buffer.compare(root, remembered.root) !== 0)
      yield found(remembered.size, `another root was signed for ${remembered.size} entries`);
  } catch (error) {
    yield found(0n, `the remembered checkpoint: ${(error as Error).message}`);
  }
}
