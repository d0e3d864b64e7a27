import { mkdtemp, readFile, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openKeyring } from '../../src/platform/keyring.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-keyring-'));
});
afterEach(() => rm(folder, { recursive: true }));

const keyFile = (name: string) => join(folder, 'keys', `${name}.key`);

describe('the keyring', () => {
  test('is made once and read back the same, for its owner only', async () => {
    const made = await openKeyring(folder);
    const read = await openKeyring(folder, made.fingerprints);
    expect(read.fingerprints).toEqual(made.fingerprints);
    const message = new Uint8Array([1, 2, 3]);
    expect(read.signer.sign(message)).toEqual(made.signer.sign(message));
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
    const files = await readdir(join(folder, 'keys'));
    expect(files.sort()).toEqual(['encryption.key', 'mac.key', 'signing.key']);
    for (const file of files) expect((await stat(join(folder, 'keys', file))).mode & 0o777).toBe(0o600);
  });

  test('derives one MAC key per label', async () => {
    const keyring = await openKeyring(folder);
    const digest = (label: 'lookup' | 'secrets') =>
      createHmac('sha256', keyring.macKey(label)).update('x').digest('hex');
    expect(digest('lookup')).toBe(digest('lookup'));
    expect(digest('lookup')).not.toBe(digest('secrets'));
  });

  test.each(['signing', 'encryption', 'mac'])('never replaces a missing %s key of a known ledger', async (kind) => {
    const { fingerprints } = await openKeyring(folder);
    await unlink(keyFile(kind));
    await expect(openKeyring(folder, fingerprints)).rejects.toMatchObject({ code: 'missing_key' });
    await expect(stat(keyFile(kind))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('makes no folder where a known ledger expects one', async () => {
    const { fingerprints } = await openKeyring(folder);
    await rm(join(folder, 'keys'), { recursive: true });
    await expect(openKeyring(folder, fingerprints)).rejects.toMatchObject({ code: 'missing_key' });
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(['signing', 'encryption', 'mac'])('refuses another %s key', async (kind) => {
    const { fingerprints } = await openKeyring(folder);
    const text = await readFile(keyFile(kind), 'utf8');
    const other = Buffer.from(text.split(' ')[2]!, 'base64');
    other[31]! ^= 1;
    await writeFile(keyFile(kind), text.replace(/\S+\n$/, `${other.toString('base64')}\n`));
    await expect(openKeyring(folder, fingerprints)).rejects.toMatchObject({ code: 'missing_key' });
  });

  test.each([
    ['a cut file', (text: string) => text.slice(0, -10)],
    ['an empty file', () => ''],
    ["another kind's file", (text: string) => text.replace('signing', 'mac')],
  ])('refuses %s, even for a new ledger', async (_, damage) => {
    await openKeyring(folder);
    await writeFile(keyFile('signing'), damage(await readFile(keyFile('signing'), 'utf8')));
    await expect(openKeyring(folder)).rejects.toMatchObject({ code: 'missing_key' });
  });

  test('shows no key when printed or serialised', async () => {
    const keyring = await openKeyring(folder);
    const shown = inspect(keyring, { depth: 9, showHidden: true }) + JSON.stringify(keyring);
    for (const kind of ['signing', 'encryption', 'mac']) {
      const secret = (await readFile(keyFile(kind), 'utf8')).split(' ')[2]!.trim();
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(Buffer.from(secret, 'base64').toString('hex'));
    }
  });
});
