import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import type { CheckpointMemory, EventLog } from '../../src/eventlog/port.js';
import { openPostgresEventLog } from '../../src/eventlog/postgres/event-log.js';
import { appendPacks, readBatch } from '../../src/eventlog/postgres/messages.js';
import { DECISIONS, Recorder, until } from '../contract/eventlog/contract.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startProcess } from '../support/process.js';

const none: CheckpointMemory = { remember: async () => undefined, recall: async () => undefined };
const logger = pino({ level: 'silent' });

let database: TestDatabase;
let log: EventLog;
beforeEach(async () => {
  database = await createDatabase();
  log = await openPostgresEventLog({ pool: database.database.pool, checkpoints: none, logger });
  return async () => {
    await log.close();
    await database.drop();
  };
});

test('an append waits for an earlier one that has not committed, so that no reader skips it', async () => {
  const { rows } = await database.tamper(
    `select id from keelson.event_log_partition where topic = 'decisions' and partition = 0`,
  );
  const { id } = rows[0] as { id: number };
  const recorder = new Recorder();
  await log.subscribe(recorder);
  const client = await database.database.pool.connect();
  await client.query('begin');
  expect(await appendPacks(client, id, [Buffer.from('early')])).toBe(0n);
  let late: bigint | undefined;
  const appended = log.append(DECISIONS, Buffer.from('late')).then((offset) => (late = offset));
  await sleep(200);
  expect(late).toBeUndefined();
  expect(await readBatch(database.database.pool, id, 0n, 1_000, 10)).toBeUndefined();
  await client.query('commit');
  client.release();
  expect(await appended).toBe(1n);
  await until(() => recorder.taken().length === 2, 'both');
  expect(recorder.texts()).toEqual(['early', 'late']);
});

test('an append rolled back leaves no hole', async () => {
  const client = await database.database.pool.connect();
  await client.query('begin');
  await appendPacks(client, 1, [Buffer.from('x')]);
  await client.query('rollback');
  client.release();
  expect(await log.append(log.partitions[0]!, Buffer.from('y'))).toBe(0n);
});

test('a process that is frozen loses what it reads to another one, and knows when it thaws', async () => {
  const child = startProcess(new URL('./member.ts', import.meta.url), [database.url]);
  const said: string[] = [];
  child.on('message', (what: string) => said.push(what));
  try {
    await until(() => said.includes('assigned decisions/0'), 'the child reads');
    const recorder = new Recorder();
    await log.subscribe(recorder);
    // Whoever is alive is left alone, however little there is to do.
    await sleep(500);
    expect(recorder.calls).toEqual([]);
    child.kill('SIGSTOP');
    await log.append(DECISIONS, Buffer.from('while it is frozen'));
    await until(() => recorder.texts().includes('while it is frozen'), 'somebody else reads', 60_000);
    expect(said).not.toContain('revoked decisions/0');
    child.kill('SIGCONT');
    await until(() => said.includes('revoked decisions/0'), 'it has noticed', 60_000);
    // It is a member like any other again: it gets what the other one leaves.
    const before = said.length;
    await log.close();
    await until(() => said.slice(before).includes('assigned decisions/0'), 'the child reads again', 60_000);
  } finally {
    child.kill('SIGKILL');
  }
}, 240_000);

test('every connection terminated by the server, again and again: nothing acknowledged is lost, reading goes on', async () => {
  const recorder = new Recorder();
  await log.subscribe(recorder);
  const acknowledged: string[] = [];
  let rounds = 0;
  const killing = (async () => {
    for (; rounds < 5; rounds++) {
      await sleep(60);
      await database.tamper(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      );
    }
  })();
  for (let i = 0; rounds < 5; i++) {
    await log.append(DECISIONS, Buffer.from(`${i}`));
    acknowledged.push(`${i}`);
    await sleep(1);
  }
  await killing;
  await until(() => new Set(recorder.texts()).size === acknowledged.length, 'all that was acknowledged');
  // A repetition may stand twice; in the order of the first ones nothing is out of place.
  expect([...new Set(recorder.texts())]).toEqual(acknowledged);
  await until(() => log.health().ready, 'health');
});

test('trimming keeps the last consumed message, and goes no further than it was asked', async () => {
  for (let i = 0; i < 10; i++) await log.append(DECISIONS, Buffer.from(`${i}`));
  await log.trim(DECISIONS, 6n);
  expect(await log.bounds(DECISIONS)).toEqual({ start: 5n, end: 10n });
  expect(await log.read(DECISIONS, 4n)).toBeUndefined();
  expect(Buffer.from((await log.read(DECISIONS, 5n))!.pack).toString()).toBe('5');
  const { rows } = await database.tamper('select count(*)::int as count from keelson.event_log_message');
  expect(rows).toEqual([{ count: 5 }]);
});

test('told to keep, it trims nothing', async () => {
  const keeping = await openPostgresEventLog({
    pool: database.database.pool,
    checkpoints: none,
    logger,
    keep: true,
  });
  for (let i = 0; i < 3; i++) await keeping.append(DECISIONS, Buffer.from(`${i}`));
  await keeping.trim(DECISIONS, 3n);
  expect(await keeping.bounds(DECISIONS)).toEqual({ start: 0n, end: 3n });
  await keeping.close();
});

test('the service may not change a message', async () => {
  await log.append(DECISIONS, Buffer.from('x'));
  await expect(database.database.pool.query(`update keelson.event_log_message set pack = ''`)).rejects.toEqual(
    expect.objectContaining({ code: '42501' }),
  );
});

test('a database that acknowledges before it is durable is refused', async () => {
  const pool = new pg.Pool({ connectionString: database.url, options: '-c synchronous_commit=off', max: 1 });
  try {
    await expect(openPostgresEventLog({ pool, checkpoints: none, logger })).rejects.toMatchObject({
      code: 'event_log_misconfigured',
    });
  } finally {
    await pool.end();
  }
});
