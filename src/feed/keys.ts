/**
 * The keys that the feed is signed with. The root signs sets of them, and guards pin the root; so its file may lie elsewhere once the
 * first set is there, and a feed key can be replaced without touching a single guard.
 *
 * A process signs with the first key of the newest set whose file it has. A new set is told to everybody who is connected before anything
 * is signed under it, so a set that begins with a new key and still holds the old one costs nobody a frame.
 */
import { formatBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { listFeedKeys, makeFeedKey, openRootKey } from '../platform/keyring.js';
import type { Logger } from '../platform/logger.js';
import { openKeySet, signKeySet, type FeedKeySet } from '../protocol/key-set.js';
import type { Realm } from '../protocol/signed.js';

export interface FeedKeysOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly dataFolder: string;
  readonly realm: Realm;
  readonly logger: Logger;
}

const DAY_US = 86_400_000_000;
/** How long the first set is good. */
export const KEY_SET_LIFE_US = 2 * 366 * DAY_US;
/** So long before its end it is warned of, once a day. */
const WARN_US = 60 * DAY_US;
const LOOK_MS = 1_000;

export interface StoredKeySet extends FeedKeySet {
  /** As it was signed. */
  readonly bytes: Uint8Array;
  readonly rootKey: Uint8Array;
}

export class FeedKeys {
  #set: StoredKeySet;
  #signer: Signer;
  /** A set that names no key of ours is not signed under; and is looked at again. */
  #failure: KeelsonError | undefined;
  #warnedUs = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #looking = Promise.resolve();
  readonly #setListeners = new Set<(keySet: Uint8Array) => void>();
  readonly #signerListeners = new Set<(signer: Signer) => void>();

  private constructor(
    private readonly options: FeedKeysOptions,
    set: StoredKeySet,
    signer: Signer,
  ) {
    [this.#set, this.#signer] = [set, signer];
  }

  /**
   * The feed's keys; at the first start they are made, and the first set is signed.
   * @throws KeelsonError `missing_key`: the feed was signed before, and none of its keys is here
   */
  static async open(options: FeedKeysOptions): Promise<FeedKeys> {
    const set = (await readNewestSet(options.database, options.realm)) ?? (await makeFirstSet(options));
    return new FeedKeys(options, set, await findSigner(options.dataFolder, set));
  }

  /** Signs heads and grants. */
  get signer(): Signer {
    return this.#signer;
  }

  get rootKey(): Uint8Array {
    return this.#set.rootKey;
  }

  /** The newest set, as it was signed. */
  get keySet(): Uint8Array {
    return this.#set.bytes;
  }

  get version(): number {
    return this.#set.version;
  }

  get expiresUs(): number {
    return this.#set.expiresUs;
  }

  /** Follows what is installed, in whichever process. */
  start(): void {
    this.#timer ??= setInterval(() => {
      this.#looking = this.#looking.then(() => this.look());
    }, LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Told of every new set, before anything is signed under it. */
  onSet(listener: (keySet: Uint8Array) => void): () => void {
    this.#setListeners.add(listener);
    return () => void this.#setListeners.delete(listener);
  }

  /** Told with what to sign from now on; after `onSet`. What was signed before may be of a key that is not in force any more. */
  onSigner(listener: (signer: Signer) => void): () => void {
    this.#signerListeners.add(listener);
    return () => void this.#signerListeners.delete(listener);
  }

  /** @throws KeelsonError `keys_expired`: nothing that is signed now counts anywhere */
  requireInForce(): void {
    if (Number(this.options.clock.nowUs()) < this.#set.expiresUs) return;
    throw new KeelsonError('keys_expired', `the set of feed keys ${this.version} has expired: keelson feed-key renew`);
  }

  /** Whether it goes on; the answer is what should be done in time. @throws KeelsonError `keys_expired`, `missing_key` */
  check(): string | undefined {
    this.requireInForce();
    if (this.#failure !== undefined) throw this.#failure;
    const leftUs = this.#set.expiresUs - Number(this.options.clock.nowUs());
    if (leftUs > WARN_US) return undefined;
    return `the set of feed keys ${this.version} expires in ${Math.floor(leftUs / DAY_US)} days: keelson feed-key renew`;
  }

  /** Takes the newest set over, where there is a newer one. Never throws. */
  async look(): Promise<void> {
    const { database, realm, dataFolder, logger } = this.options;
    try {
      const set = await readNewestSet(database, realm);
      if (set !== undefined && set.version > this.#set.version) {
        const signer = await findSigner(dataFolder, set);
        [this.#set, this.#signer] = [set, signer];
        for (const listener of this.#setListeners) listener(set.bytes);
        for (const listener of this.#signerListeners) listener(signer);
        logger.info({ version: set.version, key: formatBase64(signer.publicKey) }, 'feed: another set of feed keys');
      }
      this.#failure = undefined;
    } catch (error) {
      // Without the database nothing is granted either, and that is told elsewhere.
      const isNews = error instanceof KeelsonError && error.code === 'missing_key';
      if (isNews && this.#failure === undefined) logger.error({ err: error }, 'feed: a set of keys that are not here');
      if (isNews) this.#failure = error;
    }
    this.#warn();
  }

  #warn(): void {
    const nowUs = Number(this.options.clock.nowUs());
    if (nowUs < this.#set.expiresUs - WARN_US || nowUs < this.#warnedUs + DAY_US) return;
    this.#warnedUs = nowUs;
    const { version, expiresUs } = this.#set;
    this.options.logger.warn({ version, expiresAt: new Date(expiresUs / 1000).toISOString() }, 'feed: its keys expire');
  }
}

/** The newest set; undefined before the first start. */
export async function readNewestSet(database: Database, realm: Realm): Promise<StoredKeySet | undefined> {
  const { rows } = await database.query<{ root_key: Buffer; bytes: Buffer }>(
    'select root_key, bytes from keelson.feed_key_set order by version desc limit 1',
  );
  if (rows[0] === undefined) return undefined;
  const { root_key: rootKey, bytes } = rows[0];
  return { ...openKeySet(realm, rootKey, bytes), bytes, rootKey };
}

/**
 * Puts a set in force that the root has signed: feed processes take it over in a second.
 * @throws KeelsonError `malformed_message`, `bad_signature`: not by the root that guards pin; `out_of_range`: not newer than the one in force, or
 *   expired; `conflict`: another was installed meanwhile
 */
export async function installKeySet(
  database: Database,
  clock: Pick<Clock, 'nowUs'>,
  realm: Realm,
  bytes: Uint8Array,
): Promise<FeedKeySet> {
  const current = await readNewestSet(database, realm);
  if (current === undefined) throw new KeelsonError('not_ready', 'the feed has not been started yet');
  const set = openKeySet(realm, current.rootKey, bytes);
  if (set.version <= current.version) {
    throw new KeelsonError('out_of_range', `version ${set.version} is not newer than ${current.version}`);
  }
  if (set.expiresUs <= Number(clock.nowUs())) throw new KeelsonError('out_of_range', 'this set has expired');
  const { rowCount } = await database.query(
    'insert into keelson.feed_key_set (version, root_key, bytes, made_at_us) values ($1, $2, $3, $4) on conflict do nothing',
    [set.version, Buffer.from(current.rootKey), Buffer.from(bytes), clock.nowUs()],
  );
  if (rowCount !== 1) throw new KeelsonError('conflict', 'another set of this version was installed');
  return set;
}

async function makeFirstSet({ database, clock, dataFolder, realm }: FeedKeysOptions): Promise<StoredKeySet> {
  const [held] = await listFeedKeys(dataFolder);
  const signer = held ?? (await makeFeedKey(dataFolder, 'feed.key'));
  const root = await openRootKey(dataFolder, { make: true });
  const expiresUs = Number(clock.nowUs()) + KEY_SET_LIFE_US;
  const bytes = signKeySet(root!, realm.ledger, { version: 1, expiresUs, publicKeys: [signer.publicKey] });
  await database.query(
    'insert into keelson.feed_key_set (version, root_key, bytes, made_at_us) values (1, $1, $2, $3) on conflict do nothing',
    [Buffer.from(root!.publicKey), Buffer.from(bytes), clock.nowUs()],
  );
  const set = await readNewestSet(database, realm);
  if (set === undefined) throw new Error('the set of feed keys vanished');
  return set;
}

/** The key of a set that this process signs with. @throws KeelsonError `missing_key` */
async function findSigner(dataFolder: string, { version, publicKeys }: FeedKeySet): Promise<Signer> {
  const held = new Map((await listFeedKeys(dataFolder)).map((signer) => [formatBase64(signer.publicKey), signer]));
  for (const key of publicKeys) {
    const signer = held.get(formatBase64(key));
    if (signer !== undefined) return signer;
  }
  throw new KeelsonError(
    'missing_key',
    `none of the keys that the set of feed keys ${version} names is in the folder keys: put its file there`,
  );
}
