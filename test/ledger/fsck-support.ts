import { fsck, type FsckFinding } from '../../src/ledger/fsck.js';
import type { Projection } from '../../src/ledger/projection.js';
import type { LedgerReader } from '../../src/ledger/reader.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import type { MemoryEventLog } from '../support/memory-eventlog.js';
import { kinds, signer, verifier, type TestDatabase } from './support.js';

/** Everything fsck finds, in order. */
export async function runFsck(
  test: TestDatabase,
  reader: LedgerReader,
  eventLog: MemoryEventLog,
  projections: Projection[] = [],
): Promise<FsckFinding[]> {
  const findings: FsckFinding[] = [];
  const { database } = test;
  const keys = { verifier, publicKey: signer.publicKey };
  const scratch = test.open({ url: test.adminUrl });
  const options = { database, reader, hasher: nodeHasher, ...keys, kinds, eventLog, projections, scratch };
  for await (const finding of fsck(options)) findings.push(finding);
  await scratch.close();
  return findings;
}

/** What somebody with all power over the database can do: switch the triggers off first. */
export async function changeAsSuperuser(test: TestDatabase, ...statements: string[]): Promise<void> {
  await test.tamper(`begin; set local session_replication_role = replica;
    do $$ declare t regclass; begin
      for t in select oid from pg_class where relnamespace = 'keelson'::regnamespace and relkind in ('r', 'p') loop
        execute format('alter table %s disable trigger user', t);
      end loop; end $$; ${statements.join('; ')}; commit`);
}
