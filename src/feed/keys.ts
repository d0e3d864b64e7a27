/**
 * The keys that the feed is signed with. The root signs sets of them, and guards pin the root; so its file may lie elsewhere once the
 * first set is there, and a feed key can be replaced without touching a single guard.
 */
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { openFeedKey } from '../platform/keyring.js';
import { signKeySet } from '../protocol/key-set.js';

export interface FeedKeys {
  /** Signs heads and grants. */
  readonly signer: Signer;
  readonly rootKey: Uint8Array;
  /** The newest set, as it was signed. */
  readonly keySet: Uint8Array;
}

const YEAR_US = 366 * 86_400_000_000;

/**
 * The feed's keys; at the first start they are made, and the first set is signed.
 * @throws KeelsonError `missing_key`: the feed was signed before, and its key is not here
 */
export async function openFeedKeys(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  dataFolder: string,
  ledger: string,
): Promise<FeedKeys> {
  const known = await readKeySet(database);
  if (known === undefined) {
    const [signer, root] = await Promise.all([
      openFeedKey(dataFolder, 'feed', true),
      openFeedKey(dataFolder, 'feed-root', true),
    ]);
    const expiresUs = Number(clock.nowUs()) + 2 * YEAR_US;
    const bytes = signKeySet(root!, ledger, { version: 1, expiresUs, publicKeys: [signer!.publicKey] });
    await database.query(
      'insert into keelson.feed_key_set (version, root_key, bytes, made_at_us) values (1, $1, $2, $3) on conflict do nothing',
      [Buffer.from(root!.publicKey), Buffer.from(bytes), clock.nowUs()],
    );
  }
  const set = known ?? (await readKeySet(database));
  const signer = await openFeedKey(dataFolder, 'feed', false);
  if (set === undefined) throw new Error('the set of feed keys vanished');
  if (signer === undefined || !Buffer.from(set.bytes).includes(Buffer.from(signer.publicKey))) {
    throw new KeelsonError(
      'missing_key',
      `keys/feed.key is not the key that the set of feed keys ${set.version} names: put back the original`,
    );
  }
  return { signer, rootKey: set.rootKey, keySet: set.bytes };
}

async function readKeySet(
  database: Database,
): Promise<{ version: bigint; rootKey: Uint8Array; bytes: Uint8Array } | undefined> {
  const { rows } = await database.query<{ version: bigint; root_key: Buffer; bytes: Buffer }>(
    'select version, root_key, bytes from keelson.feed_key_set order by version desc limit 1',
  );
  const row = rows[0];
  return row && { version: row.version, rootKey: row.root_key, bytes: row.bytes };
}
