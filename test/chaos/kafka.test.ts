import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasOwnKafka, startKafka, type KafkaBroker } from '../support/kafka.js';
import { runKeelson, startServer } from '../support/server.js';
import { checkExactlyOnce, exportAndVerify, inFolder, untilSettled } from './aftermath.js';
import { KillableDatabase } from './database.js';
import { Dice } from './dice.js';
import { Fleet } from './fleet.js';
import { KILL_SERVER, runChaos, ZOMBIE, type Misfortune } from './run-chaos.js';

describe.skipIf(!hasOwnKafka())('with the event log in Kafka', () => {
  let broker: KafkaBroker;
  let database: KillableDatabase;
  let fleet: Fleet;
  const env = (name?: string): Record<string, string> => ({
    ...database.env(name),
    KEELSON_LEDGER_NAME: 'chaos.example',
    KEELSON_EVENTLOG_DECISIONS_PARTITIONS: '2',
    KEELSON_KAFKA_BROKERS: broker.brokers,
    KEELSON_KAFKA_REPLICATION_FACTOR: '1',
    KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
  });

  beforeAll(async () => {
    // What it acknowledged survives SIGKILL in the page cache; only a power cut would want a flush each.
    [broker, database] = await Promise.all([startKafka(), KillableDatabase.start()]);
    fleet = await Fleet.start(env());
  });
  afterAll(async () => {
    await fleet?.stop();
    await database?.stop();
    await broker?.remove();
  });

  const KILL_POSTGRES: Misfortune = { name: 'SIGKILL Postgres', weight: 2, strike: () => database.killAndRestart() };
  const KILL_KAFKA: Misfortune = {
    name: 'SIGKILL Kafka',
    weight: 2,
    strike: async () => {
      await broker.kill();
      await broker.restart();
    },
  };

  it('loses nothing, doubles nothing, and a replay arrives at the same roots', async () => {
    const dice = Dice.fromEnvironment('the event log in Kafka');
    const workload = await runChaos(fleet, dice, [KILL_SERVER, KILL_POSTGRES, KILL_KAFKA, ZOMBIE]);
    await untilSettled(fleet.serving, workload.accepted.size);
    await inFolder(async (folder) => {
      const heads = await exportAndVerify(fleet.serving, join(folder, 'tiles'));
      await checkExactlyOnce(join(folder, 'tiles'), workload);
      const fsck = await runKeelson(['fsck', '--json'], { env: { ...env(), KEELSON_DATA: fleet.serving.dataFolder } });
      expect(fsck.code, fsck.stdout + fsck.stderr).toBe(0);

      await fleet.serving.end();
      await database.create('replayed');
      const dataFolder = join(folder, 'data');
      await cp(fleet.keysFolder, join(dataFolder, 'keys'), { recursive: true });
      const replayed = await startServer({ env: env('replayed'), dataFolder, readyTimeoutMs: 120_000 });
      try {
        await untilSettled(replayed, workload.accepted.size);
        expect(await exportAndVerify(replayed, join(folder, 'replayed'))).toEqual(heads);
      } finally {
        await replayed.end();
      }
    });
  });
});
