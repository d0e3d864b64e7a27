import { openCheckpoint } from '../../core/checkpoint.js';
import { makeVerifierKey } from '../../core/key.js';
import { readRoot } from '../../core/proof.js';
import type { Log } from '../log.js';
import { StoredTiles } from '../tile-reader.js';
import type { FsckFinding, FsckOptions, Snapshot } from './options.js';

const ROWS_READ = 1000;

interface PublicationRow {
  size: bigint;
  root: Buffer;
  prev_size: bigint;
  note: string;
  committed: Buffer | null;
}

/**
 * Every signed note: by our key, of this log, of the root that the ledger has for that size; and following the one before it,
 * from the checkpoint of nothing on.
 */
export async function* checkPublications(
  { hasher, verifier, publicKey }: FsckOptions,
  snapshot: Snapshot,
  log: Log,
): AsyncGenerator<FsckFinding, void, undefined> {
  const key = makeVerifierKey(hasher, log.origin, publicKey);
  const found = (index: bigint, reason: string): FsckFinding => ({ log: log.path, what: 'publication', index, reason });
  let before: bigint | undefined;
  for (;;) {
    const { rows } = await snapshot.query<PublicationRow & Record<string, unknown>>(
      `select p.size, p.root, p.prev_size, p.note, c.root as committed from keelson.publication p
       left join keelson.checkpoint c on c.log = p.log and c.size = p.size
       where p.log = $1 and p.size > $2 order by p.size limit ${ROWS_READ}`,
      [log.id, before ?? -1n],
    );
    for (const { size, root, prev_size, note, committed } of rows) {
      if (prev_size !== (before ?? 0n) || (before === undefined && size !== 0n))
        yield found(size, `publication ${size} says it follows ${prev_size}, and follows ${before ?? 'nothing'}`);
      before = size;
      try {
        const signed = openCheckpoint(note, key, verifier);
        if (signed.size !== size || Buffer.compare(signed.root, root) !== 0)
          yield found(size, `the note of publication ${size} signs another checkpoint`);
      } catch (error) {
        yield found(size, `publication ${size}: ${(error as Error).message}`);
      }
      if (!committed || Buffer.compare(committed, root) !== 0) {
        const what = committed ? 'another root' : 'no checkpoint';
        yield found(size, `the ledger has ${what} for the signed size ${size}`);
      }
    }
    if (rows.length < ROWS_READ) return;
  }
}

/**
 * The checkpoint remembered outside the database: not beyond the ledger and what it published, and of the same root.
 * @param note what was remembered before the snapshot was taken.
 */
export async function* checkMemory(
  { hasher, verifier, publicKey }: FsckOptions,
  snapshot: Snapshot,
  log: Log,
  note: string,
): AsyncGenerator<FsckFinding, void, undefined> {
  const found = (index: bigint, reason: string): FsckFinding => ({ log: log.path, what: 'memory', index, reason });
  try {
    const remembered = openCheckpoint(note, makeVerifierKey(hasher, log.origin, publicKey), verifier);
    const { rows } = await snapshot.query<{ size: bigint; published: bigint | null }>(
      `select size, (select max(size) from keelson.publication where log = $1) as published from keelson.head where log = $1`,
      [log.id],
    );
    const { size = 0n, published = 0n } = rows[0] ?? {};
    if (remembered.size > size) {
      const gone = `entries ${size} to ${remembered.size - 1n} are gone`;
      return yield found(size, `${remembered.size} entries were signed before; ${gone}`);
    }
    if (remembered.size > (published ?? 0n))
      yield found(
        remembered.size,
        `publications end at ${published ?? 0n}, but ${remembered.size} entries were signed`,
      );
    const root = await readRoot(hasher, remembered.size, new StoredTiles(snapshot, hasher, log));
    if (Buffer.compare(root, remembered.root) !== 0)
      yield found(remembered.size, `another root was signed for ${remembered.size} entries`);
  } catch (error) {
    yield found(0n, `the remembered checkpoint: ${(error as Error).message}`);
  }
}
