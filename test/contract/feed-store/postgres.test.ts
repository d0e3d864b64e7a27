import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { FeedStore } from '../../../src/feed/store.js';
import { nodeHasher } from '../../../src/platform/hasher.js';
import { Api } from '../../support/api.js';
import { createDatabase, type TestDatabase } from '../../support/postgres.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { describeFeedStore } from './contract.js';

/** A part changes its key and the canary. */
const CHANGES = 2;
const WITHIN_MS = 30_000;

let database: TestDatabase;
let server: ServerProcess;
let admin: Api;
let committed = 0;

beforeAll(async () => {
  database = await createDatabase();
  server = await startServer({ env: { KEELSON_DATABASE_URL: database.url } });
  admin = await Api.admin(server);
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describeFeedStore('Postgres, under a server that commits and folds', async () => {
  let store = new FeedStore(database.database, nodeHasher);
  return {
    store: {
      readSize: (process) => store.readSize(process),
      changesSince: (seq, limit) => store.changesSince(seq, limit),
      folded: () => store.folded(),
    },
    async commit() {
      const target = { type: 'agent', value: `agent ${committed++}` };
      const { status } = await admin.post('/v1/revocations', { target, reason: 'a test' });
      if (status !== 200) throw new Error(`not committed: ${status}`);
    },
    async fold() {
      for (const endMs = Date.now() + WITHIN_MS; ; await sleep(20)) {
        const committedSize = await store.readSize(randomUUID());
        const { size, seq } = await store.folded();
        if (size >= committedSize && seq >= CHANGES * committed) return;
        if (Date.now() > endMs) throw new Error(`not folded in time\n${server.log}`);
      }
    },
    async refuseWrites() {
      const readOnly = new URL(database.url);
      readOnly.searchParams.set('options', '-c default_transaction_read_only=on');
      store = new FeedStore(database.open({ url: readOnly.href }), nodeHasher);
    },
    close: async () => undefined,
  };
});
