/** What a case is closed by: tables that are behind, or folded anew, don't know everybody yet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, it, vi } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import type { OwnEvent } from '../../src/intake/encoder.js';
import { systemClock } from '../../src/platform/clock.js';
import { CaseFollower } from '../../src/revocation/cases/case-follower.js';
import type { CaseRow } from '../../src/revocation/cases/cases.js';
import type { CaseInstance } from '../../src/revocation/cases/standing.js';

const ORDER: CaseRow = {
  order: 'a'.repeat(32),
  seq: 7,
  index: 100n,
  orderedUs: 0,
  firstPartUs: 0,
  parts: 1,
  complete: true,
  incomplete: [],
  keyTypes: [],
  subjects: [],
  target: undefined,
  signalled: [],
  late: undefined,
  contradictions: [],
  closed: undefined,
};
const ACK = { seq: 7, log: 'activity/0/g1', index: 1n, appendedUs: 0, isTrue: true, keyTypes: [], mappingHash: '' };

const instance = (name: string, joinedIndex: bigint, ack: CaseInstance['ack']): CaseInstance => ({
  instance: name.repeat(32),
  point: 'gateway',
  joinedIndex,
  retired: undefined,
  quarantined: false,
  failOpen: [],
  leasesEndUs: Infinity,
  ack,
});

it('is closed by all that was committed when it was looked at, not by what is folded of it', async () => {
  let progress = { committed: 102n, folded: 60n };
  let asked = 0;
  const [first, second] = [instance('1', 50n, ACK), instance('2', 80n, undefined)];
  const closed: OwnEvent[] = [];
  const follower = new CaseFollower({
    cases: {
      isAnyOpen: async () => true,
      progress: async () => (asked++, progress),
      open: async () => [ORDER],
      instances: async () => [first, second].filter(({ joinedIndex }) => joinedIndex < progress.folded),
    },
    points: {
      silentUs: async () => new Map(),
      leasesEndUs: async () => new Map(),
      retireSilent: async () => undefined,
      quarantine: async () => undefined,
      reconnect: () => undefined,
    },
    intake: { publishOwn: async (events) => (closed.push(...events), []) },
    webhooks: { publish: async () => undefined },
    news: { tell: async () => undefined },
    timers: { warnUs: 0, retryUs: 0, callUs: 0, quarantineUs: 0 },
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  });
  const until = async (enough: () => boolean): Promise<void> => {
    for (const end = Date.now() + 10_000; !enough();) {
      if (Date.now() > end) throw new Error('not in time');
      await sleep(10);
    }
  };
  follower.start();
  await until(() => asked > 8);
  expect(closed).toEqual([]);
  progress = { committed: 103n, folded: 103n };
  await until(() => asked > 16);
  // The second one is known by now, and waited for.
  expect(closed).toEqual([]);
  Object.assign(second, { ack: ACK });
  await until(() => closed.length > 0);
  expect(closed[0]).toMatchObject({ event: { result: 'enforced', points: [{ point: 'gateway', acked: 2 }] } });
  await follower.close();
});

it('takes out who has asked for no lease for 24 hours, by the clock of leases, and nobody earlier', async () => {
  const HOUR_MS = 3_600_000;
  let nowMs = 0;
  const all = [instance('1', 50n, ACK), { ...instance('2', 51n, ACK), retired: 'silent' as const }];
  const asked: string[][] = [];
  const retired: [string, number][] = [];
  const follower = new CaseFollower({
    cases: {
      isAnyOpen: async () => false,
      progress: async () => ({ committed: 0n, folded: 0n }),
      open: async () => [],
      instances: async () => all,
    },
    points: {
      silentUs: async (names) => (asked.push([...names]), new Map(names.map((name) => [name, nowMs * 1000]))),
      leasesEndUs: async () => new Map(),
      retireSilent: async (name, silentUs) => void retired.push([name, silentUs]),
      quarantine: async () => undefined,
      reconnect: () => undefined,
    },
    intake: { publishOwn: async () => [] },
    webhooks: { publish: async () => undefined },
    news: { tell: async () => undefined },
    timers: { warnUs: 0, retryUs: 0, callUs: 0, quarantineUs: 0 },
    clock: { ...systemClock, monotonicMs: () => nowMs },
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  });
  follower.start();
  const lookAgain = async (atMs: number): Promise<void> => {
    const before = asked.length;
    nowMs = atMs;
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(before), { timeout: 10_000, interval: 10 });
  };
  await lookAgain(24 * HOUR_MS - 1);
  await lookAgain(25 * HOUR_MS);
  await vi.waitFor(() => expect(retired).toEqual([['1'.repeat(32), 24 * HOUR_MS * 1000]]));
  // Who is out already is not asked for.
  expect(asked.every((names) => names.join() === '1'.repeat(32))).toBe(true);
  await follower.close();
});

it('does later what could not be done at once, of every case that is late', async () => {
  let nowMs = 0;
  let isDown = true;
  let failed = 0;
  const done: string[] = [];
  const late = (order: string): CaseRow => ({ ...ORDER, order: order.repeat(32) });
  const follower = new CaseFollower({
    cases: {
      isAnyOpen: async () => true,
      progress: async () => ({ committed: 102n, folded: 102n }),
      open: async () => [late('a'), late('b')],
      instances: async () => [instance('1', 50n, undefined)],
    },
    points: {
      silentUs: async () => new Map(),
      leasesEndUs: async () => new Map(),
      retireSilent: async () => undefined,
      quarantine: async (_point, order) => {
        done.push(`quarantine ${order[0]}`);
        throw new KeelsonError('not_found', 'there is no such point');
      },
      reconnect: () => done.push('reconnect'),
    },
    intake: {
      publishOwn: async (events) => {
        if (isDown) failed++;
        if (isDown) throw new KeelsonError('event_log_unavailable', 'down');
        done.push(...events.map(({ type, event }) => `${type} ${(event.order as string)[0]}`));
        return [];
      },
    },
    webhooks: { publish: async ({ data }) => void done.push(`call ${(data.order as string)[0]}`) },
    news: { tell: async () => undefined },
    timers: { warnUs: 1, retryUs: 1, callUs: 1, quarantineUs: 1 },
    clock: { ...systemClock, monotonicMs: () => nowMs++ },
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  });
  follower.start();
  await vi.waitFor(() => expect(failed).toBeGreaterThan(1), { timeout: 10_000, interval: 10 });
  expect(done).toEqual([]);
  isDown = false;
  const all = ['a', 'b'].flatMap((order) => [
    `case.late ${order}`,
    'reconnect',
    `call ${order}`,
    `quarantine ${order}`,
  ]);
  await vi.waitFor(() => expect(done).toEqual(all), { timeout: 10_000, interval: 10 });
  await follower.close();
});
