import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/platform/migrations.js';
import { copyEventLog } from '../support/event-log-copy.js';
import { runKeelson, startServer } from '../support/server.js';
import { checkExactlyOnce, exportAndVerify, inFolder, untilSettled } from './aftermath.js';
import { KillableDatabase } from './database.js';
import { Dice } from './dice.js';
import { Fleet } from './fleet.js';
import { KILL_SERVER, runChaos, ZOMBIE, type Misfortune } from './run-chaos.js';

const dice = Dice.fromEnvironment('the event log in Postgres');
let database: KillableDatabase;
let fleet: Fleet;
const env = (name?: string): Record<string, string> => ({
  ...database.env(name),
  KEELSON_LEDGER_NAME: 'chaos.example',
  KEELSON_EVENTLOG_KEEP: 'true',
  KEELSON_EVENTLOG_DECISIONS_PARTITIONS: '2',
});

beforeAll(async () => {
  database = await KillableDatabase.start();
  fleet = await Fleet.start(env());
});
afterAll(async () => {
  await fleet?.stop();
  await database?.stop();
});

const KILL_POSTGRES: Misfortune = { name: 'SIGKILL Postgres', weight: 2, strike: () => database.killAndRestart() };

it('loses nothing, doubles nothing, and a replay arrives at the same roots', async () => {
  const workload = await runChaos(fleet, dice, [KILL_SERVER, KILL_POSTGRES, ZOMBIE]);
  await untilSettled(fleet.serving, workload.accepted.size);
  await inFolder(async (folder) => {
    const heads = await exportAndVerify(fleet.serving, join(folder, 'tiles'));
    await checkExactlyOnce(join(folder, 'tiles'), workload);
    const fsck = await runKeelson(['fsck', '--json'], { env: { ...env(), KEELSON_DATA: fleet.serving.dataFolder } });
    expect(fsck.code, fsck.stdout + fsck.stderr).toBe(0);

    await fleet.serving.end();
    await database.create('replayed');
    const [from, to] = [env(), env('replayed')].map(({ KEELSON_MIGRATION_URL: url }) => url!);
    await migrate({ url: to! });
    await copyEventLog(from!, to!);
    const dataFolder = join(folder, 'data');
    await cp(fleet.keysFolder, join(dataFolder, 'keys'), { recursive: true });
    const replayed = await startServer({ env: env('replayed'), dataFolder });
    try {
      await untilSettled(replayed, workload.accepted.size);
      expect(await exportAndVerify(replayed, join(folder, 'replayed'))).toEqual(heads);
    } finally {
      await replayed.end();
    }
  });
});
