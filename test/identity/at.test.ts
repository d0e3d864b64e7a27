/** A past time is what would be known, had only the entries up to it been folded: held against just that. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IdentityReader, type NodeAnswer } from '../../src/identity/reader.js';
import type { Standing } from '../../src/identity/standing.js';
import { createTables, TABLES } from '../../src/identity/tables.js';
import type { Log } from '../../src/ledger/log.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { logsArbitrary } from './random-events.js';
import { foldLogs, makeLog, makeLogs } from './support.js';

const BEFORE = 'identity_before';
const FIRST_US = 1_700_000_000_000_000;
let test: TestDatabase;
let logs: Log[];

beforeAll(async () => {
  test = await createDatabase();
  logs = await makeLogs(test.database, [
    ['lifecycle', 0],
    ['activity', 0],
    ['activity', 1],
    ['decisions', 0],
    ['decisions', 1],
  ]);
  await test.tamper(`create schema ${BEFORE} authorization keelson_writer`);
  for (const schema of ['keelson_identity', BEFORE]) {
    await test.database.transaction((tx) => createTables(tx, schema));
  }
});
afterAll(() => test.drop());

const readerOf = (schema: string): IdentityReader =>
  new IdentityReader({ database: test.database, schema, timeoutMs: 10_000 });

/** Of a token's own claims the latest word counts, also for what was then: they are left out. */
const withoutClaims = (node: Standing): unknown =>
  node.kind === 'token'
    ? { ...node, state: '', expiresUs: 0, usedDay: null, token: { ...node.token!, digests: [], issuedUs: 0 } }
    : { ...node, usedDay: null };

const describeAnswer = (found: NodeAnswer | undefined): unknown =>
  found && {
    ...found,
    node: withoutClaims(found.node),
    owner: found.owner && withoutClaims(found.owner),
    successor: found.successor && withoutClaims(found.successor),
    names: found.names.map(({ key }) => key),
    ...Object.fromEntries(
      (['above', 'below'] as const).map((direction) => [
        direction,
        found[direction].edges.map(({ node, relations }) => ({ node: withoutClaims(node), relations })),
      ]),
    ),
  };

interface Name {
  kind: Standing['kind'];
  issuer: string;
  id: string;
}

describe('what was known and in force at a time', () => {
  it('is what the entries up to then say', async () => {
    await fc.assert(
      fc.asyncProperty(logsArbitrary, fc.integer({ min: -1, max: 26_000 }), async (events, offset) => {
        for (const schema of ['keelson_identity', BEFORE]) {
          for (const table of TABLES) await test.database.query(`delete from ${schema}.${table}`);
        }
        const atUs = FIRST_US + offset;
        const entries = events.map((log, i) => makeLog(log, FIRST_US + i * 7, 1000 + i));
        const until = entries.map((log, i) => log.filter((_, k) => FIRST_US + i * 7 + k * (1000 + i) <= atUs));
        const whole = [3, 1, 0, 4, 2].map((log) => ({ log, count: 100 }));
        await foldLogs(test.database, 'keelson', logs, entries, whole);
        await foldLogs(test.database, BEFORE, logs, until, whole);
        const { rows } = await test.database.query<Name>(
          `select kind, issuer, id from keelson_identity.node where kind <> 'parent'
           union all select 'token', issuer, id from keelson_identity.token`,
        );
        const at = BigInt(atUs);
        for (const { kind, issuer, id } of rows) {
          // Which token has a digest is one of its claims, too, and here several have the same.
          if (kind === 'token' && /^[0-9a-f]{64}$/.test(id)) continue;
          const past = await readerOf('keelson_identity').node(kind, issuer, id, at, at, 1000);
          const then = await readerOf(BEFORE).node(kind, issuer, id, at, undefined, 1000);
          expect(describeAnswer(past.found), `${kind} ${issuer} ${id}`).toEqual(describeAnswer(then.found));
        }
      }),
      { numRuns: 8, endOnFailure: true, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false },
    );
  }, 120_000);
});
