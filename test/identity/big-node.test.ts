/** A node with a great many edges is answered by the page, each read where the index has it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IdentityReader, keyOf } from '../../src/identity/reader.js';
import { createTables } from '../../src/identity/tables.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

const TOKENS = Number(process.env['KEELSON_BIG_NODE'] ?? 50_000);
const NOW_US = 1_800_000_000_000_000n;
const GATEWAY = keyOf('point', '', 'gateway');
let test: TestDatabase;
let reader: IdentityReader;

beforeAll(async () => {
  test = await createDatabase();
  const { database } = test;
  await database.transaction(async (tx) => {
    await createTables(tx, 'keelson_identity');
    await tx.query(
      `insert into keelson_identity.node values ($1, 'point', '', 'gateway', 1, -1, 0, 0, 0, null, null, null, null, 0)`,
      [GATEWAY],
    );
    await tx.query(
      `insert into keelson_identity.token
       select md5(i::text)::uuid, 'https://as.example', i::text, '{}', 1, 0, 0, 1, 0, 0 from generate_series(1, ${TOKENS}) i`,
    );
    await tx.query(
      `insert into keelson_identity.edge (parent, child, caches_us) select $1, key, 1 from keelson_identity.token`,
      [GATEWAY],
    );
  });
  await database.query('analyze keelson_identity.edge, keelson_identity.token');
  reader = new IdentityReader({ database, schema: 'keelson_identity', timeoutMs: 10_000 });
}, 300_000);
afterAll(() => test.drop());

it('comes with a few of them, and page by page with all, each once', async () => {
  const { found } = await reader.node('point', '', 'gateway', NOW_US, undefined, 50);
  expect(found!.below.edges).toHaveLength(50);
  const seen = new Set<string>();
  for (let begin = found!.below.next; begin !== undefined;) {
    const { page } = await reader.edges('point', '', 'gateway', 'below', NOW_US, undefined, 1000, begin);
    expect(page!.edges.length).toBeLessThanOrEqual(1000);
    for (const { node } of page!.edges) seen.add(node.id);
    begin = page!.next;
  }
  for (const { node } of found!.below.edges) seen.add(node.id);
  expect(seen.size).toBe(TOKENS);
}, 300_000);

it('is no list that reads it all: a filter that nothing passes goes on page by page, too', async () => {
  const { found, next } = await reader.tokens({ state: 'ended', above: [[GATEWAY]] }, NOW_US, 100);
  expect(found).toEqual([]);
  expect(next).toMatch(/^[0-9a-f]{32}$/);
});
