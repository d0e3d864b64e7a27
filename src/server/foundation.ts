import type { Config } from '../config.js';
import { builtInSchemas, type SchemaRegistry } from '../events/index.js';
import { KeelsonError } from '../core/error.js';
import { systemClock, type Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { openInstallation, readInstallation, type Installation } from '../platform/installation.js';
import type { Keyring } from '../platform/keyring.js';
import type { Logger } from '../platform/logger.js';
import { openStorage, type Storage } from '../platform/storage.js';
import { Vault } from '../vault/index.js';

/** What the service and the commands beside it (fsck, rebuild) stand on. */
export interface Foundation {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly database: Database;
  readonly installation: Installation;
  readonly keyring: Keyring;
  readonly vault: Vault;
  readonly schemas: SchemaRegistry;
  close(): Promise<void>;
}

export interface FoundationOptions {
  readonly logger: Logger;
  readonly applicationName: string;
  /** See `openStorage`. */
  readonly attach?: boolean;
}

/**
 * Opens storage, installation, keys and vault.
 *
 * @throws KeelsonError as `openStorage` and `openInstallation`; everything opened is closed again.
 */
export async function openFoundation(config: Config, options: FoundationOptions): Promise<Foundation> {
  const storage = await openStorage({ settings: config, ...options });
  const { database } = storage;
  try {
    if (options.attach && (await readInstallation(database)) === undefined) {
      throw new KeelsonError('invalid_config', 'this database holds no ledger yet: start the service first');
    }
    const { installation, keyring } = await openInstallation({
      database,
      dataFolder: storage.dataFolder,
      clock: systemClock,
      ledgerName: config.KEELSON_LEDGER_NAME,
      partitions: {
        decisions: config.KEELSON_EVENTLOG_DECISIONS_PARTITIONS,
        activity: config.KEELSON_EVENTLOG_ACTIVITY_PARTITIONS,
      },
      hasEntries: async () => (await database.query('select from keelson.head where size > 0 limit 1')).rowCount !== 0,
    });
    const vault = new Vault({
      database,
      encryptionKey: keyring.encryptionKey,
      lookupKey: keyring.macKey('lookup'),
      cachedSubjects: config.KEELSON_SUBJECT_CACHE,
      quarantineDays: config.KEELSON_QUARANTINE_DAYS,
    });
    return {
      config,
      logger: options.logger,
      clock: systemClock,
      storage,
      database,
      installation,
      keyring,
      vault,
      schemas: builtInSchemas(),
      close: () => storage.close(),
    };
  } catch (error) {
    await storage.close();
    throw error;
  }
}
