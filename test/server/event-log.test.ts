import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.js';
import { openStorage } from '../../src/platform/storage.js';
import { openEventLog } from '../../src/server/event-log.js';
import { createDatabase } from '../support/postgres.js';

test('the memory of checkpoints is one process’s at a time, also with a database of one’s own; a look beside it is free', async () => {
  const logger = pino({ level: 'silent' });
  const dataFolder = await mkdtemp(join(tmpdir(), 'keelson-event-log-'));
  const { url, drop } = await createDatabase();
  const config = readConfig({ KEELSON_DATA: dataFolder, KEELSON_DATABASE_URL: url });
  const storage = await openStorage({ settings: config, logger, applicationName: 'keelson-test' });
  const first = await openEventLog(config, storage, logger);
  await expect(openEventLog(config, storage, logger)).rejects.toMatchObject({ code: 'already_running' });
  await (await openEventLog(config, storage, logger, { readOnly: true })).close();
  await first.close();
  await (await openEventLog(config, storage, logger)).close();
  await storage.close();
  await drop();
  await rm(dataFolder, { recursive: true });
});
