import { randomBytes } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import type { Clock } from './clock.js';
import type { Database } from './database.js';
import { openKeyring, type KeyFingerprints, type Keyring } from './keyring.js';

/** Which ledger a database holds: one row, written once, at the first start. */
export interface Installation {
  /** Unique in the world; the first part of every log's origin. */
  readonly ledgerName: string;
  /** `g1`: the last part of every log's origin. */
  readonly generation: string;
  /** Fixed within a generation. Lifecycle always has one. */
  readonly partitions: { readonly decisions: number; readonly activity: number };
  readonly fingerprints: KeyFingerprints;
}

export interface InstallationOptions {
  readonly database: Database;
  readonly dataFolder: string;
  readonly clock: Clock;
  /** KEELSON_LEDGER_NAME. */
  readonly ledgerName?: string | undefined;
  readonly partitions: Installation['partitions'];
  /** Whether the ledger's own tables hold anything. Asked only when the row is missing. */
  hasEntries(): Promise<boolean>;
}

/**
 * Opens the keyring that belongs to the database; at the first start makes both. Keys come first, then the row with their fingerprints:
 * a crash in between leaves keys without a row, which the next start uses.
 *
 * @throws KeelsonError `missing_key` (never makes a key for a ledger that exists), `invalid_config` (name or partitions differ from
 * what was fixed), `database_unavailable`.
 */
export async function openInstallation(
  options: InstallationOptions,
): Promise<{ installation: Installation; keyring: Keyring }> {
  const known = await readInstallation(options.database);
  if (known) {
    const keyring = await openKeyring(options.dataFolder, known.fingerprints);
    return { installation: requireSame(known, options), keyring };
  }
  if (await options.hasEntries()) {
    throw new KeelsonError(
      'missing_key',
      'the ledger has entries, but the row that says which keys they were written with (keelson.installation) is gone: restore the database',
    );
  }
  const keyring = await openKeyring(options.dataFolder);
  await writeInstallation(options, keyring.fingerprints);
  // Another process may have been first, with keys of its own.
  const written = await readInstallation(options.database);
  if (!written) throw new Error('the installation row vanished');
  return {
    installation: requireSame(written, options),
    keyring: await openKeyring(options.dataFolder, written.fingerprints),
  };
}

interface Row {
  ledger_name: string;
  generation: string;
  signing_public_key: string;
  encryption_key_fingerprint: string;
  mac_key_fingerprint: string;
  decisions_partitions: number;
  activity_partitions: number;
}

export async function readInstallation(database: Database): Promise<Installation | undefined> {
  const { rows } = await database.query<Row & Record<string, unknown>>('select * from keelson.installation');
  const row = rows[0];
  return (
    row && {
      ledgerName: row.ledger_name,
      generation: row.generation,
      partitions: { decisions: row.decisions_partitions, activity: row.activity_partitions },
      fingerprints: {
        signingPublicKey: row.signing_public_key,
        encryptionKey: row.encryption_key_fingerprint,
        macKey: row.mac_key_fingerprint,
      },
    }
  );
}

async function writeInstallation(options: InstallationOptions, fingerprints: KeyFingerprints): Promise<void> {
  await options.database.query(
    `insert into keelson.installation (ledger_name, generation, signing_public_key, encryption_key_fingerprint, mac_key_fingerprint,
       decisions_partitions, activity_partitions, made_at_us) values ($1, 'g1', $2, $3, $4, $5, $6, $7)
     on conflict (only_one) do nothing`,
    [
      options.ledgerName ?? `keelson.local/${randomBytes(8).toString('hex')}`,
      fingerprints.signingPublicKey,
      fingerprints.encryptionKey,
      fingerprints.macKey,
      options.partitions.decisions,
      options.partitions.activity,
      options.clock.nowUs(),
    ],
  );
}

function requireSame(installation: Installation, options: InstallationOptions): Installation {
  const { ledgerName, partitions } = installation;
  if (options.ledgerName !== undefined && options.ledgerName !== ledgerName) {
    throw new KeelsonError(
      'invalid_config',
      `KEELSON_LEDGER_NAME is ${options.ledgerName}, but this database holds the ledger ${ledgerName}: a ledger keeps its name`,
    );
  }
  for (const topic of ['decisions', 'activity'] as const) {
    if (partitions[topic] !== options.partitions[topic]) {
      throw new KeelsonError(
        'invalid_config',
        `KEELSON_EVENTLOG_${topic.toUpperCase()}_PARTITIONS is ${options.partitions[topic]}, but this ledger has ${partitions[topic]}: ` +
          'the number is fixed within a generation',
      );
    }
  }
  return installation;
}
