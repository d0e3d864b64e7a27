/** Orders to revoke while everything between a cause and its guards fails: never a wrong allow, always back in sync. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { hasOwnKafka, startKafka } from '../support/kafka.js';
import { startProcess } from '../support/process.js';
import { KillableDatabase } from './database.js';
import { Dice } from './dice.js';
import { Fleet } from './fleet.js';
import { LIES, Liar } from './liar.js';
import type { Seen, Watch } from './watchman.js';

const ISSUER = 'https://idp.example';
const PROCESSES = 3;
const GUARDS = 3;
/** Short, so that a lease runs out in nearly every round. */
const STALENESS_MS = 3_000;
const DRIFT = 0.01;
/** A connection whose bytes were held back, or of which some are missing, is noticed within the lease; the server may be just starting. */
const IN_SYNC_MS = 60_000;
/** Rounds, each with one leaver: all that can happen once, then by lot. */
const ROUNDS = Number(process.env.CHAOS_GUARD_ROUNDS ?? 0);

interface Stage {
  readonly fleet: Fleet;
  readonly database: KillableDatabase;
  readonly killKafka?: () => Promise<void>;
  readonly liars: readonly Liar[];
  readonly watchmen: readonly ChildProcess[];
  readonly dice: Dice;
}

/** Begins; what it resolves with ends it, after the order is known to be in force. */
type Misfortune = readonly [name: string, begin: (stage: Stage) => Promise<() => Promise<void>>];

const lying = (lies: typeof LIES | readonly (typeof LIES)[number][]): Misfortune => [
  `a proxy that lies: ${lies.join(', ')}`,
  async ({ liars }) => {
    for (const liar of liars) liar.lies = lies;
    return async () => {
      for (const liar of liars) liar.lies = [];
    };
  },
];
/** Somewhere between the cause and the last guard. */
const soon = ({ dice }: Stage): Promise<void> => sleep(dice.between(0, 60));
const during =
  (strike: (stage: Stage) => Promise<void>) =>
  async (stage: Stage): Promise<() => Promise<void>> => {
    const struck = soon(stage).then(() => strike(stage));
    return () => struck;
  };

const FROZEN: Misfortune = [
  'SIGSTOP of guards, longer than their lease',
  async (stage) => {
    const frozen = stage.watchmen.slice(0, 2);
    const thawed = soon(stage)
      .then(() => frozen.forEach((one) => one.kill('SIGSTOP')))
      .then(() => sleep(STALENESS_MS + 1_500))
      .then(() => frozen.forEach((one) => one.kill('SIGCONT')));
    return () => thawed;
  },
];
const KILL_SERVER: Misfortune = ['SIGKILL server', during(({ fleet }) => fleet.killServer())];
const KILL_POSTGRES: Misfortune = ['SIGKILL Postgres', during(({ database }) => database.killAndRestart())];
const KILL_KAFKA: Misfortune = ['SIGKILL Kafka', during(({ killKafka }) => killKafka!())];

const COMMON = [KILL_SERVER, KILL_POSTGRES, FROZEN, lying(LIES), ...LIES.map((lie) => lying([lie]))];

async function play(
  env: Record<string, string>,
  more: Partial<Stage>,
  misfortunes: readonly Misfortune[],
): Promise<void> {
  const dice = Dice.fromEnvironment('the guards');
  const rounds = Math.max(ROUNDS, misfortunes.length);
  const database = await KillableDatabase.start();
  const fleet = await Fleet.start({ ...database.env(), ...env, KEELSON_LEDGER_NAME: 'chaos.example' });
  const port = Number(new URL(fleet.serving.url).port);
  const liars = await Promise.all(Array.from({ length: PROCESSES }, () => Liar.listen(port, dice)));
  const admin = await Api.admin(fleet.serving);
  await admin.post('/v1/points', { point: 'gateway' });
  const enrolment = await admin.post<Json>('/v1/enrolments', {
    point: 'gateway',
    uses: PROCESSES * GUARDS,
    expiresInS: 3600,
  });
  // One leaver a round, and two who stay.
  const people = Array.from({ length: rounds + 2 }, (_, n) => ({ issuer: ISSUER, subject: `user-${n}` }));
  const watchmen = liars.map((liar) => {
    const watch: Watch = {
      serverUrl: fleet.serving.url,
      feedUrl: liar.url,
      token: enrolment.body.token as string,
      guards: GUARDS,
      people,
      maxStalenessMs: STALENESS_MS,
    };
    return startProcess(new URL('./watchman.ts', import.meta.url), [JSON.stringify(watch)]);
  });
  const stage: Stage = { fleet, database, liars, watchmen, dice, ...more };
  try {
    await Promise.all(watchmen.map((one) => once(one, 'message')));
    await inSync(stage, rounds, -1);
    const inForceMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const [name, begin] = misfortunes[round] ?? dice.pick(misfortunes);
      const startedMs = Date.now();
      const end = await begin(stage);
      inForceMs.push(await offboard(stage, round));
      await sleep(dice.between(STALENESS_MS, 2 * STALENESS_MS));
      await end();
      const seen = await inSync(stage, rounds, round);
      for (const { lastAllowedMs } of seen) {
        for (const [leaver, forceMs] of inForceMs.entries()) {
          expect(lastAllowedMs[leaver], `${name}: user-${leaver} was allowed after the lease`).toBeLessThanOrEqual(
            forceMs + STALENESS_MS * (1 + DRIFT),
          );
        }
      }
      console.log(`round ${round + 1}/${rounds}: ${name}: ${Date.now() - startedMs} ms until all were in sync`);
    }
    for (const lie of LIES) {
      const told = liars.reduce((sum, liar) => sum + liar.told[lie], 0);
      expect(told, `told by the proxies: ${lie}`).toBeGreaterThan(0);
    }
  } finally {
    for (const one of watchmen) {
      one.kill('SIGCONT');
      one.kill('SIGKILL');
    }
    await Promise.all(liars.map((liar) => liar.close()));
    await fleet.stop();
    await database.stop();
  }
}

/** Says that somebody left until it is taken, and waits for the order; when it was seen in force, no earlier than its commit. */
async function offboard({ fleet }: Stage, leaver: number): Promise<number> {
  const event = {
    type: 'principal.offboarded',
    id: `leaver-${leaver}`,
    timestamp: new Date().toISOString(),
    principal: { issuer: ISSUER, id: `user-${leaver}` },
  };
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(20)) {
    const admin = await Api.admin(fleet.serving);
    const sent = await admin.post<{ items: Json[] }>('/v1/events', [event]).catch(() => undefined);
    if (sent?.body.items?.[0]?.status !== 'accepted' && sent?.body.items?.[0]?.status !== 'duplicate') continue;
    const { status, body } = (await admin.get<Json>(`/v1/revocations/leaver-${leaver}`).catch(() => undefined)) ?? {};
    if (status === 200 && body?.state === 'ordered') return Date.now();
  }
  throw new Error(`no order for user-${leaver}\n${fleet.serving.log}`);
}

/** Waits until every guard refuses whoever left, by the table, and allows everybody else. */
async function inSync({ watchmen }: Stage, rounds: number, lastLeaver: number): Promise<Seen[]> {
  const wanted = Array.from({ length: rounds + 2 }, (_, n) => (n <= lastLeaver ? 'blocked' : 'allowed')).join();
  let seen: Seen[] = [];
  for (const end = Date.now() + IN_SYNC_MS; Date.now() < end; await sleep(20)) {
    seen = (
      await Promise.all(
        watchmen.map(async (one) => {
          const answer = once(one, 'message');
          one.send('what did you see?');
          return (await answer)[0] as Seen[];
        }),
      )
    ).flat();
    if (seen.every(({ verdicts }) => verdicts.join() === wanted)) return seen;
  }
  throw new Error(`not in sync: ${JSON.stringify(seen, null, 1)}`);
}

// Each mostly waits: side by side they take as long as one.
describe.concurrent('guards, whatever happens between a cause and them', () => {
  it('with the event log in Postgres', () => play({}, {}, COMMON));

  it.skipIf(!hasOwnKafka())('with the event log in Kafka', async () => {
    const broker = await startKafka();
    const env = {
      KEELSON_KAFKA_BROKERS: broker.brokers,
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
    };
    const killKafka = async (): Promise<void> => {
      await broker.kill();
      await broker.restart();
    };
    try {
      await play(env, { killKafka }, [KILL_KAFKA, KILL_SERVER, lying(LIES)]);
    } finally {
      await broker.remove();
    }
  });
});
