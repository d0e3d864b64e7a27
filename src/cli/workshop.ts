/** The server's own parts, for commands that work beside it on its database. Loads most of the program: import it late. */
import { readConfig, type Config } from '../config.js';
import { fsck, type FsckFinding, type FsckProgress } from '../ledger/fsck.js';
import { openDatabase, type Database } from '../platform/database.js';
import { nodeHasher } from '../platform/hasher.js';
import { createLogger, type Logger } from '../platform/logger.js';
import { attachEmbeddedPostgres } from '../platform/postgres/embedded.js';
import { nodeVerifier } from '../platform/signer.js';
import { Closing } from '../server/closing.js';
import { openEventLog } from '../server/event-log.js';
import { openFoundation, type Foundation } from '../server/foundation.js';
import { describeLogRecords, makeLedgerParts } from '../server/ledger.js';
import { PROJECTIONS } from '../server/projections.js';
import type { Context } from './command.js';
import { CommandError, EXIT } from './exit.js';

const APPLICATION = 'keelson-cli';

/**
 * Database, keys and vault, under the server's settings; through its embedded Postgres where a server runs, which is started
 * for the time being where none does. The caller closes the foundation.
 */
export function openWorkshop(context: Context): Promise<Foundation> {
  const { config, logger } = read(context);
  return openFoundation(config, { logger, applicationName: APPLICATION, attach: true });
}

function read({ io }: Context): { config: Config; logger: Logger } {
  const config = readConfig(io.env);
  return { config, logger: createLogger({ ...config, KEELSON_LOG_LEVEL: 'error' }, io.stderr) };
}

export interface Inspection {
  run(onProgress: (progress: FsckProgress) => void): AsyncIterable<FsckFinding>;
  close(): Promise<void>;
}

/** Everything that fsck compares. @throws CommandError `usage` where projections can't be folded again. */
export async function openInspection(
  context: Context,
  { projections, eventLog }: { projections: boolean; eventLog: boolean },
): Promise<Inspection> {
  const { config, logger } = read(context);
  const closing = new Closing();
  const foundation = await openWorkshop(context);
  closing.add(() => foundation.close());
  try {
    const { database, storage, keyring, schemas } = foundation;
    const { reader } = makeLedgerParts(foundation);
    const scratch = projections ? await openScratch(config, foundation) : undefined;
    if (scratch !== undefined) closing.add(() => scratch.close());
    const opened = eventLog ? await openEventLog(config, storage, logger, { readOnly: true }) : undefined;
    if (opened !== undefined) closing.add(opened.close);
    const options = {
      database,
      reader,
      hasher: nodeHasher,
      verifier: nodeVerifier,
      kinds: describeLogRecords(schemas),
      publicKey: keyring.signer.publicKey,
      ...(opened === undefined ? {} : { eventLog: opened.eventLog }),
      ...(scratch === undefined
        ? {}
        : { scratch, projections: Object.values(PROJECTIONS).map((make) => make(foundation)) }),
    };
    return { run: (onProgress) => fsck({ ...options, onProgress }), close: () => closing.close() };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

/** A connection that may make a schema, for projections to be folded into; what it writes is rolled back. */
async function openScratch(config: Config, { storage }: Foundation): Promise<Database> {
  const url = storage.embedded
    ? (await attachEmbeddedPostgres(storage.dataFolder)).migrationUrl
    : config.KEELSON_MIGRATION_URL;
  if (url === undefined) {
    throw new CommandError(EXIT.usage, 'folding projections again needs KEELSON_MIGRATION_URL; else: --no-projections');
  }
  return openDatabase({
    url,
    applicationName: APPLICATION,
    poolSize: 1,
    connectTimeoutMs: config.KEELSON_DATABASE_CONNECT_TIMEOUT_MS,
    // One transaction over the whole ledger: as long as it takes.
    statementTimeoutMs: 0,
    lockTimeoutMs: config.KEELSON_DATABASE_LOCK_TIMEOUT_MS,
    idleInTransactionTimeoutMs: 0,
  });
}
