/**
 * Checks the database against itself: every hash, tile, checkpoint, link, offset, duplicate key and signature, and the
 * projections by folding them again. It trusts nothing but the key that signs. Reads in pieces, so memory stays bounded.
 */
import { checkEntries } from './fsck-entries.js';
import { checkMemory, checkPublications, checkSigningChain } from './fsck-publications.js';
import type { FsckFinding, FsckOptions } from './fsck-options.js';
import { checkProjection } from './fsck-projection.js';

export type { FsckFinding, FsckOptions, FsckProgress } from './fsck-options.js';

/** Yields each finding as it is made; none: all is well. @throws KeelsonError `database_unavailable`. */
export async function* fsck(options: FsckOptions): AsyncGenerator<FsckFinding, void, undefined> {
  for (const log of await options.reader.logs()) {
    yield* checkEntries(options, log);
    yield* checkSigningChain(options, log);
    yield* checkPublications(options, log);
    yield* checkMemory(options, log);
  }
  for (const projection of options.projections ?? []) yield* checkProjection(options, projection);
}
