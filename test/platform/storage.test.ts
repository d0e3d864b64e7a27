import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.js';
import { openStorage } from '../../src/platform/storage.js';
import { createDatabase } from '../support/postgres.js';

let dataFolder: string;
beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keelson-storage-'));
});
afterEach(() => rm(dataFolder, { recursive: true }));

const open = (environment: Record<string, string> = {}, attach = false) =>
  openStorage({
    settings: readConfig({ KEELSON_DATA: dataFolder, ...environment }),
    logger: pino({ level: 'silent' }),
    applicationName: 'keelson-test',
    attach,
  });
const ROLE = { text: 'select current_user::text as role' };

describe('storage', () => {
  test('embedded: one service at a time, commands beside it, and free again after close', async () => {
    const service = await open();
    expect(service.embedded).toBe(true);
    await expect(open()).rejects.toMatchObject({ code: 'already_running' });
    const command = await open({}, true);
    expect((await command.database.query(ROLE.text)).rows).toEqual([{ role: 'keelson_writer' }]);
    await command.close();
    expect((await service.database.query(ROLE.text)).rows).toEqual([{ role: 'keelson_writer' }]);
    await service.close();
    const alone = await open({}, true);
    expect((await alone.database.query(ROLE.text)).rows).toEqual([{ role: 'keelson_writer' }]);
    await alone.close();
  });

  test('external: migrated by the stronger role, used by the weaker one, by any number of processes', async () => {
    const { url, adminUrl, drop } = await createDatabase({ migrated: false });
    await expect(open({ KEELSON_DATABASE_URL: url })).rejects.toMatchObject({ code: 'database_too_old' });
    const environment = { KEELSON_DATABASE_URL: url, KEELSON_MIGRATION_URL: adminUrl };
    const both = await Promise.all([open(environment), open(environment)]);
    for (const storage of both) {
      expect(storage.embedded).toBe(false);
      expect((await storage.database.query(ROLE.text)).rows).toEqual([{ role: 'keelson_writer' }]);
      await storage.close();
    }
    await (await open({ KEELSON_DATABASE_URL: url })).close();
    await expect(open({ KEELSON_DATABASE_URL: adminUrl })).rejects.toMatchObject({ code: 'invalid_config' });
    await drop();
  });

  test('an unreachable database is unavailable', async () => {
    const url = 'postgresql://keelson_writer:x@127.0.0.1:1/keelson';
    await expect(open({ KEELSON_DATABASE_URL: url })).rejects.toMatchObject({ code: 'database_unavailable' });
  });

  test('a database that says nothing is unavailable, soon', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `postgresql://keelson_writer:x@127.0.0.1:${(silent.address() as AddressInfo).port}/keelson`;
    const environment = { KEELSON_DATABASE_URL: url, KEELSON_DATABASE_CONNECT_TIMEOUT_MS: '200' };
    await expect(open(environment)).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(open({ ...environment, KEELSON_MIGRATION_URL: url })).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    silent.close();
  });

  test('commands beside the service make no data where there is none, and migrate no database of others', async () => {
    await expect(open({}, true)).rejects.toMatchObject({ code: 'invalid_config' });
    await expect(open({ KEELSON_DATA: join(dataFolder, 'nowhere') }, true)).rejects.toMatchObject({
      code: 'invalid_config',
    });
    const { url, adminUrl, drop } = await createDatabase({ migrated: false });
    const environment = { KEELSON_DATABASE_URL: url, KEELSON_MIGRATION_URL: adminUrl };
    await expect(open(environment, true)).rejects.toMatchObject({ code: 'database_too_old' });
    await drop();
    expect(await readdir(dataFolder)).toEqual([]);
  });
});
