import { mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/platform/clock.js';
import { openInstallation, type InstallationOptions } from '../../src/platform/installation.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let dataFolder: string;
let created: TestDatabase;
beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keelson-installation-'));
  created = await createDatabase();
});
afterEach(async () => {
  await created.drop();
  await rm(dataFolder, { recursive: true });
});

const open = (options: Partial<InstallationOptions> = {}) =>
  openInstallation({
    database: created.database,
    dataFolder,
    clock: systemClock,
    partitions: { decisions: 1, activity: 1 },
    hasEntries: async () => false,
    ...options,
  });

describe('an installation', () => {
  test('is made once: name, keys and partitions stay', async () => {
    const first = await open();
    const second = await open();
    expect(second.installation).toEqual(first.installation);
    expect(second.installation).toMatchObject({ generation: 'g1', fingerprints: first.keyring.fingerprints });
    expect(first.installation.ledgerName).toMatch(/^keelson\.local\/[0-9a-f]{16}$/);
  });

  test('made by many at once has one set of keys', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => open()));
    for (const one of all) {
      expect(one.installation).toEqual(all[0]!.installation);
      expect(one.keyring.fingerprints).toEqual(one.installation.fingerprints);
    }
  });

  test('takes the given name, and keeps it', async () => {
    expect((await open({ ledgerName: 'example.org/audit' })).installation.ledgerName).toBe('example.org/audit');
    expect((await open()).installation.ledgerName).toBe('example.org/audit');
    await expect(open({ ledgerName: 'example.org/other' })).rejects.toMatchObject({ code: 'invalid_config' });
  });

  test('keeps its numbers of partitions', async () => {
    await open();
    await expect(open({ partitions: { decisions: 2, activity: 1 } })).rejects.toMatchObject({ code: 'invalid_config' });
    await expect(open({ partitions: { decisions: 1, activity: 3 } })).rejects.toMatchObject({ code: 'invalid_config' });
  });

  test('never gets new keys: lost ones, or another folder’s, are refused', async () => {
    await open();
    await unlink(join(dataFolder, 'keys', 'encryption.key'));
    await expect(open()).rejects.toMatchObject({ code: 'missing_key' });
    const other = await mkdtemp(join(tmpdir(), 'keelson-installation-'));
    await expect(open({ dataFolder: other })).rejects.toMatchObject({ code: 'missing_key' });
    await rm(other, { recursive: true });
  });

  test('is refused where entries exist without it', async () => {
    await expect(open({ hasEntries: async () => true })).rejects.toMatchObject({ code: 'missing_key' });
  });
});
