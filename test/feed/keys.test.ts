/** Feed keys, and sets of them that the root signs, on a real database. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { pino } from 'pino';
import { FeedKeys, installKeySet, KEY_SET_LIFE_US } from '../../src/feed/keys.js';
import { listFeedKeys, makeFeedKey, openRootKey } from '../../src/platform/keyring.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import type { Signer } from '../../src/core/signer.js';
import { openKeySet, signKeySet } from '../../src/protocol/key-set.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { seed } from '../guard/support.js';

const DAY_US = 86_400_000_000;
const realm = { ledger: 'ledger.example', verifier: nodeVerifier };
let opened: TestDatabase;
let dataFolder: string;
let nowUs = 1_790_000_000_000_000;
const clock = { nowUs: () => BigInt(nowUs), monotonicMs: () => nowUs / 1000 };

beforeAll(async () => {
  opened = await createDatabase();
});
afterAll(() => opened?.drop());
beforeEach(async () => {
  await opened.tamper('delete from keelson.feed_key_set');
  dataFolder = await mkdtemp(join(tmpdir(), 'keelson-feed-keys-'));
  await mkdir(join(dataFolder, 'keys'));
  return () => rm(dataFolder, { recursive: true });
});

const open = (folder = dataFolder): Promise<FeedKeys> =>
  FeedKeys.open({ database: opened.database, clock, dataFolder: folder, realm, logger: pino({ level: 'silent' }) });
const root = async (): Promise<Signer> => (await openRootKey(dataFolder))!;
const install = async (version: number, publicKeys: Uint8Array[], by?: Signer, expiresUs = nowUs + 9 * DAY_US) =>
  installKeySet(
    opened.database,
    clock,
    realm,
    signKeySet(by ?? (await root()), realm.ledger, { version, expiresUs, publicKeys }),
  );

it('are made at the first start, and found again', async () => {
  const keys = await open();
  const set = openKeySet(realm, keys.rootKey, keys.keySet);
  expect(set).toEqual({ version: 1, expiresUs: nowUs + KEY_SET_LIFE_US, publicKeys: [keys.signer.publicKey] });
  expect((await open()).keySet).toEqual(keys.keySet);
});

it('a new set is told before anything is signed under it, and its first key that is here signs', async () => {
  const keys = await open();
  const [old, next] = [keys.signer, await makeFeedKey(dataFolder)];
  const told: string[] = [];
  keys.onSigner((signer) =>
    told.push(
      `signs ${signer.publicKey === next.publicKey || signer.publicKey.toString() === next.publicKey.toString() ? 'next' : 'old'}`,
    ),
  );
  keys.onSet((bytes) => told.push(`set ${openKeySet(realm, keys.rootKey, bytes).version}`));
  await keys.look();
  expect(told).toEqual([]);
  await install(2, [next.publicKey, old.publicKey]);
  await keys.look();
  expect(told).toEqual(['set 2', 'signs next']);
  await install(3, [next.publicKey]);
  await keys.look();
  expect(told.slice(2)).toEqual(['set 3', 'signs next']);
  // The key before is of no use any more; its file is still there.
  expect(await listFeedKeys(dataFolder)).toHaveLength(2);
  expect((await open()).signer.publicKey).toEqual(next.publicKey);
});

it('a set is taken from the root alone, newer, and not past', async () => {
  const keys = await open();
  const publicKeys = [keys.signer.publicKey];
  const code = (work: Promise<unknown>): Promise<unknown> => work.catch((error: { code: string }) => error.code);
  expect(await code(install(2, publicKeys, nodeSigner(seed('another root'))))).toBe('bad_signature');
  expect(await code(install(2, publicKeys, keys.signer))).toBe('bad_signature');
  expect(await code(install(1, publicKeys))).toBe('out_of_range');
  expect(await code(install(2, publicKeys, undefined, nowUs))).toBe('out_of_range');
  expect(await code(installKeySet(opened.database, clock, realm, new Uint8Array(50)))).toBe('malformed_message');
  await install(7, publicKeys);
  expect(await code(install(6, publicKeys))).toBe('out_of_range');
});

it('a set without a key of this process is not signed under; it is missed, and taken once the file is there', async () => {
  const keys = await open();
  const elsewhere = await mkdtemp(join(tmpdir(), 'keelson-elsewhere-'));
  await mkdir(join(elsewhere, 'keys'));
  const next = await makeFeedKey(elsewhere, 'feed-0123456789abcdef.key');
  await install(2, [next.publicKey]);
  await keys.look();
  expect(keys.version).toBe(1);
  expect(() => keys.check()).toThrow(expect.objectContaining({ code: 'missing_key' }));
  await expect(open()).rejects.toMatchObject({ code: 'missing_key' });
  const file = 'keys/feed-0123456789abcdef.key';
  await rename(join(elsewhere, file), join(dataFolder, file));
  await rm(elsewhere, { recursive: true });
  await keys.look();
  expect([keys.version, keys.check()]).toEqual([2, expect.stringMatching(/expires in 9 days/)]);
});

it('that expire are warned of for 60 days, refuse afterwards, and go on when they are renewed', async () => {
  const before = nowUs;
  const keys = await open();
  nowUs = keys.expiresUs - 60 * DAY_US - 1;
  expect(keys.check()).toBeUndefined();
  nowUs += 1;
  expect(keys.check()).toMatch(/^the set of feed keys 1 expires in 60 days/);
  nowUs = keys.expiresUs - 1;
  expect(keys.check()).toMatch(/expires in 0 days/);
  keys.requireInForce();
  nowUs++;
  expect(() => keys.requireInForce()).toThrow(expect.objectContaining({ code: 'keys_expired' }));
  expect(() => keys.check()).toThrow(expect.objectContaining({ code: 'keys_expired' }));
  await install(2, [keys.signer.publicKey], undefined, nowUs + KEY_SET_LIFE_US);
  await keys.look();
  expect(keys.check()).toBeUndefined();
  nowUs = before;
});
