import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtInSchemas, decodeRecord } from '../../src/events/index.js';
import { readPack } from '../../src/eventlog/pack.js';
import { openPostgresEventLog } from '../../src/eventlog/postgres/event-log.js';
import type { EventLog } from '../../src/eventlog/port.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { EXAMPLE, openIntake, type TestIntake } from './support.js';

let database: TestDatabase;
let eventLog: EventLog;
let opened: TestIntake;

beforeAll(async () => {
  database = await createDatabase();
  eventLog = await openPostgresEventLog({
    pool: database.open().pool,
    checkpoints: { remember: async () => undefined, recall: async () => undefined },
    logger: pino({ level: 'silent' }),
    decisionsPartitions: 3,
  });
  opened = await openIntake({ database: database.database, eventLog });
});
afterAll(async () => {
  await opened.http.close();
  await eventLog.close();
  await database.drop();
});

/** Every record of every partition, by reading the event log as the ledger would. */
async function readAll(): Promise<Map<string, string[]>> {
  const schemas = builtInSchemas();
  const ids = new Map<string, string[]>();
  for (const at of eventLog.partitions) {
    const { start, end } = await eventLog.bounds(at);
    const found: string[] = [];
    for (let offset = start; offset < end; offset++) {
      const message = await eventLog.read(at, offset);
      for (const { record } of readPack(message!.pack)) {
        const { type, id } = decodeRecord(record, schemas);
        found.push(type.startsWith('log.') ? type : id);
      }
    }
    ids.set(`${at.topic}/${at.partition}`, found);
  }
  return ids;
}

test('50 senders at once on the event log in Postgres: what was acknowledged stands there, an agent in one partition', async () => {
  const token = await opened.token(['publish:decisions']);
  const send = async (sender: number): Promise<string[]> => {
    const batch = Array.from({ length: 8 }, (_, i) => ({
      ...EXAMPLE,
      id: `s${sender}-${i}`,
      agent: `agent-${sender % 10}`,
    }));
    const answer = await opened.http.inject({
      method: 'POST',
      url: '/v1/decisions',
      headers: { authorization: `Bearer ${token}` },
      payload: batch,
    });
    expect(answer.statusCode).toBe(200);
    return answer.json<{ items: { id: string }[] }>().items.map(({ id }) => id);
  };
  const acknowledged = (await Promise.all(Array.from({ length: 50 }, (_, sender) => send(sender)))).flat();
  const partitions = await readAll();
  const decisions = [...partitions].filter(([name]) => name.startsWith('decisions/'));
  const stored = decisions.flatMap(([, ids]) => ids.filter((id) => !id.startsWith('log.')));
  expect([...stored].sort()).toEqual([...acknowledged].sort());
  for (const [, ids] of decisions.filter(([, found]) => found.length > 0)) {
    expect(ids.slice(0, 4)).toEqual(['log.opened', 'log.schema', 'log.schema', 'log.schema']);
  }
  const partitionsOf = new Map<number, Set<string>>();
  for (const [name, ids] of decisions) {
    for (const id of ids) {
      const agent = Number(/^s(\d+)-/.exec(id)?.[1] ?? Number.NaN) % 10;
      if (!Number.isNaN(agent)) partitionsOf.set(agent, (partitionsOf.get(agent) ?? new Set()).add(name));
    }
  }
  expect([...partitionsOf.values()].every((names) => names.size === 1)).toBe(true);
});

test('events of Keelson’s own: in order, in the partition their schema names; the same id twice is a repeat', async () => {
  const part = {
    type: 'revocation.ordered',
    id: 'part-1',
    event: {
      term: 1,
      order: 'o-1',
      changes: [{ change: 'block', order: 'o-1', keys: Buffer.alloc(48_000, 7).toString('base64') }],
    },
  };
  const term = { type: 'revocation.term', id: 'term-1', event: { term: 1, holder: 'a' } };
  expect(await opened.intake.publishOwn([term, part, part])).toEqual([undefined, undefined, undefined]);
  const ids = (await readAll()).get('lifecycle/0')!.filter((id) => !id.startsWith('log.'));
  expect(ids).toEqual(['term-1', 'part-1', 'part-1']);
});
