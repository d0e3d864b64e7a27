import { createHash, createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import { makeDurably, syncFolder } from './durable-file.js';
import { nodeSigner } from './signer.js';

/**
 * The installation's own keys, in `keys/` of the data folder (0700), one file each (0600), outside database and backups:
 *
 * - `signing.key`: the Ed25519 seed that signs every log's checkpoints;
 * - `encryption.key`: the key-encryption key that wraps what the vault holds;
 * - `mac.key`: the root of every keyed digest, one subkey per use.
 *
 * Keys live as `KeyObject`s, which neither print nor serialise. The database keeps a fingerprint of each
 * (`Installation`), so that another key is noticed before it is used, and a lost one is never replaced silently.
 */
export interface Keyring {
  readonly signer: Signer;
  /** AES-256 key that wraps other keys. */
  readonly encryptionKey: KeyObject;
  /** The HMAC-SHA-256 key for one use: HKDF-SHA-256(ikm = MAC root, no salt, info = `keelson/mac/<label>/1`), 32 bytes. */
  macKey(label: MacLabel): KeyObject;
  readonly fingerprints: KeyFingerprints;
}

/** lookup: a person's identifier → row; secrets: scrubbed secrets; content: repeat or conflict; cursor: paging; token: API tokens; guard: keys of the revocation table; snapshot: folded state. */
export type MacLabel =
  'lookup' | 'secrets' | 'content' | 'cursor' | 'token' | 'dictionary' | 'guard/g1' | 'scim' | 'snapshot';

/** What may be shown of the keys, and is kept in the database to compare with. All lowercase hex. */
export interface KeyFingerprints {
  /** The raw Ed25519 public key, 32 bytes. */
  readonly signingPublicKey: string;
  /** First 16 bytes of SHA-256 over a subkey that is used for nothing else. */
  readonly encryptionKey: string;
  readonly macKey: string;
}

const KINDS = ['signing', 'encryption', 'mac'] as const;
/** Keys of the feed: those that sign it, and the root that signs for them and may be taken elsewhere. */
type FeedKind = 'feed' | 'feed-root';
type Kind = (typeof KINDS)[number] | FeedKind;

const HEADER = 'keelson-key-1';
const FEED_FILE = /^feed(-[0-9a-f]{16})?\.key$/;

/**
 * Opens the keyring below `dataFolder`. With `expected` (the database knows an installation) every key must be there and match;
 * without it, missing keys are made.
 *
 * @throws KeelsonError `missing_key`: a key the ledger was written with is absent, damaged or another one.
 */
export async function openKeyring(dataFolder: string, expected?: KeyFingerprints): Promise<Keyring> {
  const folder = join(dataFolder, 'keys');
  if (!expected) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncFolder(dataFolder);
  }
  const bytes = {} as Record<(typeof KINDS)[number], Uint8Array>;
  for (const kind of KINDS) {
    const path = join(folder, `${kind}.key`);
    bytes[kind] = (await readKey(path, kind)) ?? (await makeKey(path, kind, expected !== undefined));
  }
  await chmod(folder, 0o700);

  const keyring = assemble(bytes);
  if (expected) requireSameKeys(folder, keyring.fingerprints, expected);
  return keyring;
}

function assemble(bytes: Record<(typeof KINDS)[number], Uint8Array>): Keyring {
  const signer = nodeSigner(bytes.signing);
  const encryptionKey = createSecretKey(bytes.encryption);
  const root = createSecretKey(bytes.mac);
  const subkeys = new Map<MacLabel, KeyObject>();
  return {
    signer,
    encryptionKey,
    macKey(label) {
      let key = subkeys.get(label);
      if (!key) subkeys.set(label, (key = createSecretKey(derive(root, `keelson/mac/${label}/1`))));
      return key;
    },
    fingerprints: {
      signingPublicKey: Buffer.from(signer.publicKey).toString('hex'),
      encryptionKey: fingerprint(encryptionKey),
      macKey: fingerprint(root),
    },
  };
}

/**
 * The feed keys whose files are here: `feed.key`, and `feed-<16 hex digits>.key` of those that came after it.
 * @throws KeelsonError `missing_key`: one is damaged, or another file
 */
export async function listFeedKeys(dataFolder: string): Promise<Signer[]> {
  const folder = join(dataFolder, 'keys');
  const names = (await readdir(folder)).filter((name) => FEED_FILE.test(name)).sort();
  const seeds = await Promise.all(names.map((name) => readKey(join(folder, name), 'feed')));
  return seeds.flatMap((seed) => (seed === undefined ? [] : [nodeSigner(seed)]));
}

/** Makes a feed key. @param name of its file; absent: after the key. */
export async function makeFeedKey(dataFolder: string, name?: string): Promise<Signer> {
  const seed = randomBytes(32);
  const signer = nodeSigner(seed);
  const file = name ?? `feed-${Buffer.from(signer.publicKey).toString('hex').slice(0, 16)}.key`;
  const path = join(dataFolder, 'keys', file);
  await makeDurably(path, formatKey('feed', seed));
  // Another process's, if it was first.
  return nodeSigner((await readKey(path, 'feed')) ?? seed);
}

/**
 * The root that signs sets of feed keys; undefined where its file is not here.
 * @param from the data folder, or the file itself.
 * @throws KeelsonError `missing_key`: damaged, or another file
 */
export async function openRootKey(
  from: string,
  { make = false, file = false }: { readonly make?: boolean; readonly file?: boolean } = {},
): Promise<Signer | undefined> {
  const path = file ? from : join(from, 'keys', 'feed-root.key');
  const seed = (await readKey(path, 'feed-root')) ?? (make ? await makeKey(path, 'feed-root', false) : undefined);
  return seed && nodeSigner(seed);
}

const derive = (key: KeyObject, info: string): Buffer => Buffer.from(hkdfSync('sha256', key, '', info, 32));

/** One-way: of a subkey, so that even the digest of the key itself is never stored. */
const fingerprint = (key: KeyObject): string =>
  createHash('sha256').update(derive(key, 'keelson/fingerprint/1')).digest('hex').slice(0, 32);

async function readKey(path: string, kind: Kind): Promise<Uint8Array | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KeelsonError('missing_key', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const key = Buffer.from(text.split(' ')[2] ?? '', 'base64');
  if (text !== formatKey(kind, key) || key.length !== 32) {
    throw new KeelsonError('missing_key', `${path} is damaged or is not the ${kind} key; put back the original`);
  }
  await chmod(path, 0o600);
  return key;
}

async function makeKey(path: string, kind: Kind, ledgerExists: boolean): Promise<Uint8Array> {
  if (ledgerExists) {
    throw new KeelsonError(
      'missing_key',
      `${path} is missing, but the database holds a ledger that was written with it. A new key would break that ledger, ` +
        `so none is made: put the file back from your copy of the keys folder, or point KEELSON_DATA at the folder that has it`,
    );
  }
  await makeDurably(path, formatKey(kind, randomBytes(32)));
  const key = await readKey(path, kind); // another process's, if it was first
  if (!key) throw new Error(`${path} vanished`);
  return key;
}

/** One line, so that a file can't be taken for another: `keelson-key-1 signing <base64>`. */
const formatKey = (kind: Kind, key: Uint8Array): string => `${HEADER} ${kind} ${Buffer.from(key).toString('base64')}\n`;

function requireSameKeys(folder: string, found: KeyFingerprints, expected: KeyFingerprints): void {
  const files = { signingPublicKey: 'signing', encryptionKey: 'encryption', macKey: 'mac' } as const;
  const wrong = Object.entries(files).flatMap(([field, file]) =>
    found[field as keyof KeyFingerprints] === expected[field as keyof KeyFingerprints] ? [] : [`${file}.key`],
  );
  if (wrong.length > 0) {
    throw new KeelsonError(
      'missing_key',
      `${wrong.join(', ')} in ${folder}: not the key this database's ledger was written with. Put back the original, ` +
        `or point KEELSON_DATA at the folder that belongs to this database`,
    );
  }
}
