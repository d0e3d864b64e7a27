/**
 * Intake under faults: each of its awaited writes is lost, or done but reported lost, before and after every other. Whatever
 * happens, what was acknowledged is there, what is not acknowledged is said so (503), and a sender that sends again until it is
 * acknowledged has every event exactly once: one duplicate key, one content, one quarantined original.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import type { Partition } from '../../src/eventlog/port.js';
import type { Database } from '../../src/platform/database.js';
import { EXAMPLE, openIntake, PARTITIONS, readEvents, readRecords, type TestIntake } from '../intake/support.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';

type Fault = 'lost' | 'done but reported lost';
const FAULTS: readonly Fault[] = ['lost', 'done but reported lost'];

/** Counts writes, and lets the one with the chosen number fail. */
class Faults {
  writes = 0;
  readonly kinds: string[] = [];

  constructor(
    private readonly target: number | undefined = undefined,
    private readonly fault: Fault = 'lost',
  ) {}

  async pass<T>(
    kind: string,
    code: 'event_log_unavailable' | 'database_unavailable',
    write: () => Promise<T>,
  ): Promise<T> {
    this.kinds.push(kind);
    if (++this.writes !== this.target) return write();
    if (this.fault === 'done but reported lost') await write();
    throw new KeelsonError(code, `${this.fault}: ${kind}`);
  }
}

class FaultyEventLog extends MemoryEventLog {
  faults = new Faults();

  override append(at: Partition, pack: Uint8Array): Promise<bigint> {
    return this.faults.pass(`append ${at.topic}`, 'event_log_unavailable', () => super.append(at, pack));
  }
}

/** Statements that write, or may: the vault's. Access reads through the plain database. */
function faultyDatabase(database: Database, faults: () => Faults): Database {
  return {
    ...database,
    query: (text, values) => {
      const table = /insert into keelson\.(\w+)/.exec(text)?.[1];
      if (table === undefined || table === 'producer' || table === 'api_token') return database.query(text, values);
      return faults().pass(`insert ${table}`, 'database_unavailable', () => database.query(text, values));
    },
  };
}

const NOBODY = Object.fromEntries(Object.entries(EXAMPLE).filter(([name]) => name !== 'user'));
let run = 0;

/** A batch that needs every kind of write: persons, a record's own subject, a blob, two topics, quarantine. */
function makeBatch(): string {
  run++;
  const person = `p${run}@x`;
  return `[${[
    { ...EXAMPLE, type: 'decision.made', id: `a-${run}`, user: person },
    { ...NOBODY, type: 'decision.made', id: `b-${run}` },
    { ...EXAMPLE, type: 'decision.made', id: `c-${run}`, user: person, parameters: { text: 'x'.repeat(50_000) } },
    { timestamp: EXAMPLE.timestamp, type: 'principal.offboarded', id: `d-${run}`, principal: person },
    { ...EXAMPLE, type: 'decision.made', id: `e-${run}`, decision: 'perhaps' },
  ]
    .map((event) => JSON.stringify(event))
    .join(',')}]`;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

interface Rig {
  readonly eventLog: FaultyEventLog;
  readonly opened: TestIntake;
  setFaults(faults: Faults): void;
  send(body: string): Promise<{ status: number; code?: string; retryAfter?: unknown; accepted?: number }>;
}

/** @param appendTimeoutMs short: the first ambiguous append is told to the sender; long: intake makes it again itself */
async function openRig(appendTimeoutMs: number): Promise<Rig> {
  const eventLog = new FaultyEventLog(PARTITIONS);
  let faults = new Faults();
  const opened = await openIntake({
    database: faultyDatabase(database.database, () => faults),
    eventLog,
    settings: { KEELSON_INTAKE_APPEND_TIMEOUT_MS: appendTimeoutMs },
  });
  const token = await opened.token(['publish:decisions', 'publish:lifecycle']);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return {
    eventLog,
    opened,
    setFaults(next) {
      faults = next;
      eventLog.faults = next;
    },
    async send(body) {
      const answer = await opened.http.inject({ method: 'POST', url: '/v1/events', headers, payload: body });
      return {
        status: answer.statusCode,
        retryAfter: answer.headers['retry-after'],
        ...answer.json<{ code?: string; accepted?: number }>(),
      };
    },
  };
}

/** Everything sent in this run is there, once by its duplicate key, and in the right place. */
async function expectOnce({ eventLog, opened }: Rig): Promise<void> {
  for (const [topic, ids] of [
    ['decisions', ['a', 'b', 'c']],
    ['lifecycle', ['d']],
  ] as const) {
    const found = await readEvents(eventLog, topic, opened.vault);
    const mine = found.filter(({ record }) => record.id.endsWith(`-${run}`));
    const entries = new Map(mine.map(({ record, digest }) => [record.dedupe.toString('hex'), digest.toString('hex')]));
    expect(new Set(mine.map(({ record }) => record.id))).toEqual(new Set(ids.map((id) => `${id}-${run}`)));
    expect(entries.size).toBe(ids.length);
    for (const { record, digest } of mine)
      expect(entries.get(record.dedupe.toString('hex'))).toBe(digest.toString('hex'));
    // Every block opens: its subject and blob were durable before the record was.
    for (const { event } of mine) expect(event.timestamp).toBe(EXAMPLE.timestamp);
    for (const { record, event } of mine) {
      if (record.type === 'decision.made') expect(event.parameters).toBeDefined();
    }
    await expectDescribed(eventLog, topic, opened);
  }
  const notices = await readEvents(eventLog, 'activity', opened.vault);
  const mine = notices.filter(({ event }) => event.event_id === `e-${run}`);
  expect(new Set(mine.map(({ record }) => record.id)).size).toBe(1);
  const { rows } = await database.tamper('select id::text from keelson.quarantine where event_id = $1', [`e-${run}`]);
  expect(rows).toEqual([{ id: mine[0]!.record.id }]);
}

/** `log.opened` is first; no record stands before its schema. */
async function expectDescribed(eventLog: MemoryEventLog, topic: string, opened: TestIntake): Promise<void> {
  const described = new Set<string>();
  for (const [i, { record, event }] of (await readRecords(eventLog, topic, opened.vault)).entries()) {
    if (i === 0) expect(record.type).toBe('log.opened');
    if (record.type === 'log.schema') described.add(event.fingerprint as string);
    if (!record.type.startsWith('log.')) expect(described).toContain(record.schema.fingerprint.toString('hex'));
  }
}

/** The writes of a first batch on fresh logs, in order: found by a run without faults. */
async function countWrites(): Promise<readonly string[]> {
  const rig = await openRig(50);
  const counting = new Faults();
  rig.setFaults(counting);
  expect(await rig.send(makeBatch())).toMatchObject({ status: 200, accepted: 4, quarantined: 1 });
  await expectOnce(rig);
  await rig.opened.http.close();
  return counting.kinds;
}

describe('each awaited write of intake', () => {
  test.each(FAULTS)('%s: the sender is told, sends again, and has everything once', async (fault) => {
    const kinds = await countWrites();
    expect(new Set(kinds)).toEqual(
      new Set([
        'insert subject_lookup',
        'insert subject',
        'insert blob',
        'insert quarantine',
        'append decisions',
        'append lifecycle',
        'append activity',
      ]),
    );
    for (let target = 1; target <= kinds.length; target++) {
      // No time for a second attempt: the fault comes through to the sender.
      const rig = await openRig(1);
      rig.setFaults(new Faults(target, fault));
      const body = makeBatch();
      const first = await rig.send(body);
      expect(first, `write ${target}`).toMatchObject({
        status: 503,
        code: kinds[target - 1]!.startsWith('append') ? 'event_log_unavailable' : 'database_unavailable',
      });
      expect(first.retryAfter).toBeDefined();
      expect(first.accepted).toBeUndefined();
      expect(rig.opened.http.memory.heldBytes).toBe(0);
      expect(await rig.send(body), `after write ${target}`).toMatchObject({ status: 200, accepted: 4, quarantined: 1 });
      await expectOnce(rig);
      await rig.opened.http.close();
    }
  });

  test.each(FAULTS)('an append %s is made again within the request', async (fault) => {
    const kinds = await countWrites();
    for (const [i, kind] of kinds.entries()) {
      if (!kind.startsWith('append')) continue;
      const rig = await openRig(5_000);
      rig.setFaults(new Faults(i + 1, fault));
      expect(await rig.send(makeBatch()), `write ${i + 1}`).toMatchObject({ status: 200, accepted: 4, quarantined: 1 });
      await expectOnce(rig);
      await rig.opened.http.close();
    }
  });
});

describe('when a part is down', () => {
  test('database: what is known goes on; what needs a new row is refused before anything is produced', async () => {
    const rig = await openRig(50);
    const event = (id: string, user: string): string => JSON.stringify({ ...EXAMPLE, type: 'decision.made', id, user });
    expect((await rig.send(event('known-1', 'known@x'))).status).toBe(200);
    const down = new Faults();
    down.pass = async () => {
      throw new KeelsonError('database_unavailable', 'down');
    };
    const appending = new Faults();
    rig.setFaults(down);
    rig.eventLog.faults = appending;
    expect((await rig.send(event('known-2', 'known@x'))).status).toBe(200);
    const before = appending.writes;
    const bad = event('bad', 'known@x').replace('allow', 'perhaps');
    for (const body of [event('new', 'stranger@x'), bad, `[${event('good', 'known@x')},${bad}]`]) {
      expect(await rig.send(body)).toMatchObject({ status: 503, code: 'database_unavailable' });
    }
    expect(appending.writes).toBe(before);
    await rig.opened.http.close();
  });

  test('event log: refused, nothing acknowledged, memory given back; recovers by itself', async () => {
    const rig = await openRig(30);
    const down = new Faults();
    down.pass = async (_kind, code, write) => {
      if (code === 'event_log_unavailable') throw new KeelsonError(code, 'down');
      return write();
    };
    rig.setFaults(down);
    const bodies = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({ ...EXAMPLE, type: 'decision.made', id: `down-${i}` }),
    );
    for (const answer of await Promise.all(bodies.map((body) => rig.send(body)))) {
      expect(answer).toMatchObject({ status: 503, code: 'event_log_unavailable' });
    }
    expect(rig.opened.http.memory.heldBytes).toBe(0);
    expect(rig.opened.intake.isOpen).toBe(false);
    rig.setFaults(new Faults());
    for (const answer of await Promise.all(bodies.map((body) => rig.send(body)))) expect(answer.status).toBe(200);
    await rig.opened.http.close();
  });

  test.each([
    ['large events', JSON.stringify({ ...EXAMPLE, parameters: { text: 'x'.repeat(9_000) } })],
    // What they take in memory is more than their bytes: all of them fit, if nothing but those counted.
    ['many small ones', JSON.stringify(Array(16).fill({ timestamp: EXAMPLE.timestamp, decision: 'deny' }))],
  ])(
    'event log that hangs: what is in flight is bounded, the rest is told to come back: %s',
    async (_name, payload) => {
      const eventLog = new FaultyEventLog(PARTITIONS);
      const opened = await openIntake({
        database: database.database,
        eventLog,
        httpSettings: { KEELSON_HTTP_MEMORY_BYTES: 50_000 },
      });
      const token = await opened.token(['publish:decisions']);
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      const hanging = new Faults();
      hanging.pass = async (_kind, _code, write) => released.then(write);
      eventLog.faults = hanging;
      let refused = 0;
      const answers = Array.from({ length: 20 }, async () => {
        const { statusCode } = await opened.http.inject({ method: 'POST', url: '/v1/decisions', headers, payload });
        if (statusCode === 503) refused++;
        return statusCode;
      });
      // There is room for five at most.
      await expect.poll(() => refused).toBeGreaterThanOrEqual(15);
      expect(opened.http.memory.heldBytes).toBeLessThanOrEqual(50_000);
      release();
      const taken = (await Promise.all(answers)).filter((status) => status === 200).length;
      expect(taken).toBeGreaterThan(0);
      expect(taken + refused).toBe(20);
      expect(opened.http.memory.heldBytes).toBe(0);
      await opened.http.close();
    },
  );
});
