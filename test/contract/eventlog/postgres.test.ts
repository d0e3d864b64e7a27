import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { openCheckpointFile, type CheckpointFile } from '../../../src/eventlog/postgres/checkpoint-file.js';
import { openPostgresEventLog } from '../../../src/eventlog/postgres/event-log.js';
import { createDatabase } from '../../support/postgres.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { describeEventLog, type Harness } from './contract.js';

/** The same URL, by TCP through the proxy instead of the Unix socket. */
function throughProxy(url: string, port: number): string {
  const changed = new URL(url);
  changed.searchParams.delete('host');
  changed.searchParams.delete('port');
  changed.hostname = '127.0.0.1';
  changed.port = String(port);
  return changed.href;
}

async function start(): Promise<Harness> {
  const test = await createDatabase();
  const original = new URL(test.url);
  const port = Number(original.searchParams.get('port') ?? (original.port || 5432));
  const folder = original.searchParams.get('host');
  const proxy = await TcpProxy.listen(folder === null ? { port } : { path: join(folder, `.s.PGSQL.${port}`) });
  const memory = await mkdtemp(join(tmpdir(), 'keelson-checkpoints-'));
  const files: CheckpointFile[] = [];
  const trim = (before: bigint): string =>
    `update keelson.event_log_partition set first_offset = ${before} where topic = 'decisions' and partition = 0;
     delete from keelson.event_log_message where "offset" < ${before}`;
  return {
    proxy,
    isAppend: (sent) => sent.includes('keelson_eventlog_append'),
    async open(options = {}) {
      const database = test.open({ url: throughProxy(test.url, proxy.port), connectTimeoutMs: 5_000 });
      const checkpoints = await openCheckpointFile(join(memory, 'checkpoints'));
      files.push(checkpoints);
      return openPostgresEventLog({
        pool: database.pool,
        checkpoints,
        logger: pino({ level: process.env['LOG'] ?? 'silent' }),
        ...options,
      });
    },
    truncate: async (_, before) => void (await test.tamper(trim(before))),
    makeAnew: async () =>
      void (await test.tamper(
        `delete from keelson.event_log_message;
         update keelson.event_log_partition set first_offset = 0, next_offset = 0, appended_at_us = 0`,
      )),
    async close() {
      await Promise.all(files.map((file) => file.close()));
      await test.drop();
      await proxy.close();
      await rm(memory, { recursive: true });
    },
  };
}

describeEventLog('event log in Postgres', start);
