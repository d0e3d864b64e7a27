import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Scope } from '../../src/http/caller.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { openIntake, PARTITIONS, readEvents, type TestIntake } from './support.js';

const eventLog = new MemoryEventLog(PARTITIONS);
let database: TestDatabase;
let opened: TestIntake;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openIntake({ database: database.database, eventLog });
  const store = opened.access.store;
  await store.putProducer('plain', { issuer: 'https://hr.example' }, 1n);
  await store.putProducer('owner', { issuer: 'https://hr.example', owns: ['https://idp.example'] }, 1n);
});
afterAll(async () => {
  await opened.http.close();
  await database.drop();
});

const AT = '2026-11-25T07:00:00Z';
const HR = { issuer: 'https://hr.example', id: 'mia' };
const IDP = { issuer: 'https://idp.example', id: 'mia' };

async function say(producer: string, scopes: readonly Scope[], event: object): Promise<string> {
  const answer = await opened.http.inject({
    method: 'POST',
    url: '/v1/events',
    headers: { authorization: `Bearer ${await opened.token(scopes, producer)}`, 'content-type': 'application/json' },
    payload: JSON.stringify({ timestamp: AT, ...event }),
  });
  const { code, pointer } = answer.json<{ code?: string; pointer?: string }>();
  return code === undefined ? 'taken' : `${code} ${pointer ?? ''}`;
}

test.each([
  ['its issuer, where it owns no other', 'plain', { type: 'principal.offboarded', principal: HR }, 'taken'],
  ['a person named without an issuer', 'plain', { type: 'principal.offboarded', principal: 'mia' }, 'taken'],
  ['another issuer', 'plain', { type: 'principal.offboarded', principal: IDP }, 'forbidden /principal'],
  ['what `owns` says', 'owner', { type: 'principal.offboarded', principal: IDP }, 'taken'],
  ['its issuer beside them', 'owner', { type: 'principal.offboarded', principal: HR }, 'taken'],
  ['a foreign alias', 'plain', { type: 'principal.linked', principal: HR, aliases: [HR, IDP] }, 'forbidden /aliases/1'],
  ['a foreign owner', 'plain', { type: 'agent.registered', agent: 'a', owner: IDP }, 'forbidden /owner'],
  ['a foreign actor', 'plain', { type: 'agent.registered', agent: 'a', owner: HR, actor: IDP }, 'taken'],
  ['a foreign person to revoke', 'plain', { type: 'revocation.requested', principal: IDP }, 'forbidden /principal'],
  [
    'a token of its issuer',
    'plain',
    { type: 'revocation.requested', target: { type: 'token', issuer: HR.issuer, value: 'jti' } },
    'taken',
  ],
  [
    'a token of another issuer',
    'plain',
    { type: 'revocation.requested', target: { type: 'token', issuer: IDP.issuer, value: 'jti' } },
    'forbidden /target',
  ],
  [
    'a token by its digest, which everybody knows',
    'plain',
    { type: 'revocation.requested', target: { type: 'token', issuer: HR.issuer, digest: 'ab'.repeat(32) } },
    'forbidden /target',
  ],
  [
    'an agent, which no issuer names',
    'plain',
    { type: 'revocation.requested', target: { type: 'agent', value: 'a' } },
    'forbidden /target',
  ],
])('a producer speaks for persons of issuers it owns: %s', async (_what, producer, event, expected) => {
  expect(await say(producer, ['publish:lifecycle'], event)).toBe(expected);
  expect(await say(producer, ['publish:lifecycle', 'admin'], event)).toBe('taken');
});

test.each([
  { type: 'revocation.approved', cause: 'c' },
  { type: 'revocation.denied', cause: 'c' },
  { type: 'revocation.cancelled', cause: 'c', by_source: false },
  { type: 'revocation.rescheduled', cause: 'c', effective_at: AT, by_source: 'no' },
  { type: 'revocation.lift_requested', orders: ['0'.repeat(32)] },
])('only who is admin decides over causes and orders: $type', async (event) => {
  const pointer = 'by_source' in event ? '/by_source' : '/type';
  expect(await say('plain', ['publish:lifecycle'], event)).toBe(`forbidden ${pointer}`);
  const admin = { ...event, ...('by_source' in event ? { by_source: undefined } : {}) };
  // Who answers as a second person is written down by Keelson itself: never in a producer's own words.
  const isAnswer = event.type === 'revocation.approved' || event.type === 'revocation.denied';
  expect(await say('plain', ['publish:lifecycle', 'admin'], admin)).toBe(isAnswer ? 'forbidden /type' : 'taken');
});

test('a source speaks for itself where it takes back what it scheduled, and intake says so', async () => {
  const cancel = { type: 'revocation.cancelled', cause: 'c' };
  expect(await say('plain', ['publish:decisions'], cancel)).toBe('forbidden /type');
  const before = (await readEvents(eventLog, 'lifecycle', opened.vault)).length;
  expect(await say('plain', ['publish:lifecycle'], cancel)).toBe('taken');
  expect(await say('plain', ['publish:lifecycle'], { ...cancel, by_source: true })).toBe('taken');
  expect(await say('plain', ['publish:lifecycle', 'admin'], cancel)).toBe('taken');
  const found = (await readEvents(eventLog, 'lifecycle', opened.vault)).slice(before);
  expect(found.map(({ record: { body, assigned } }) => [body.by_source, assigned])).toEqual([
    [true, ['id', 'by_source']],
    [true, ['id']],
    [null, ['id']],
  ]);
});
