/**
 * How long an identity provider waits when it deactivates users one by one: PATCH after PATCH of `active`, as Entra sends them, over so
 * many connections to the real server, each answered when the ledger has the leaver and SCIM shows it. Beside it, in the same run, the
 * same requests to a bare route that inserts a row into a table of the same Postgres.
 *
 *     npm run bench:scim -- [--users 2000] [--connections 4] [--rounds 3] [--logs postgres,kafka]
 */
import { parseArgs } from 'node:util';
import { startCluster, type BenchCluster } from './support/cluster.js';
import { openServerLog } from './support/event-log-of-server.js';
import { median } from './support/measure.js';
import {
  createUsers,
  makeDeactivation,
  sendAll,
  startBareScim,
  type Run,
  type ScimRequest,
} from './support/scim-load.js';
import { Api } from '../test/support/api.js';
import { startServer } from '../test/support/server.js';

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '2000' },
    connections: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    logs: { type: 'string', default: 'postgres,kafka' },
  },
});
const users = Number(values.users);
const connections = Number(values.connections);
/** The first ones pay for what is done once. */
const WARM_UP = 50;

const cluster = await startCluster();
try {
  for (const kind of values.logs.split(',')) await runOn(cluster, kind);
} finally {
  await cluster.stop();
}

async function runOn(on: BenchCluster, kind: string): Promise<void> {
  const database = await on.createDatabase(`bench_scim_${kind}`);
  const log = await openServerLog(kind);
  const bare = await startBareScim(database);
  const server = await startServer({
    env: {
      ...log.env,
      KEELSON_DATABASE_URL: database.url,
      KEELSON_MIGRATION_URL: database.adminUrl,
      // Nobody is held back: what is measured is the way of each of them.
      KEELSON_REVOCATION_HOLD_COUNT: '1000000',
    },
  });
  try {
    const token = await openSource(await Api.admin(server));
    const rounds = Number(values.rounds);
    const ids = await createUsers({ url: server.url, token }, WARM_UP + rounds * users, connections);
    const requests = (url: string, from: number, count: number): ScimRequest[] =>
      ids.slice(from, from + count).map((id) => ({ url, token, ...makeDeactivation(id) }));
    for (const url of [bare.url, server.url]) await sendAll(requests(url, 0, WARM_UP), connections);
    const runs: { bare: Run; keelson: Run }[] = [];
    for (let round = 0; round < rounds; round++) {
      const from = WARM_UP + round * users;
      runs.push({
        bare: await sendAll(requests(bare.url, from, users), connections),
        keelson: await sendAll(requests(server.url, from, users), connections),
      });
    }
    print(kind, runs);
  } finally {
    await server.stop();
    await bare.stop();
    await database.drop();
    await log.close();
  }
}

/** A source as docs/connect-entra.md has it; the token that provisions for it. */
async function openSource(admin: Api): Promise<string> {
  const issuer = 'https://login.microsoftonline.com/tenant/v2.0';
  const scim = {
    vendor: 'entra',
    activeFalse: 'leaver',
    aliases: [{ attribute: 'externalId' }],
    groupClaim: 'externalId',
  };
  const { status, body } = await admin.send('PUT', '/v1/producers/entra', { issuer, scim });
  if (status !== 200) throw new Error(`no source: ${JSON.stringify(body)}`);
  return (await admin.as('entra', ['provision'])).token;
}

function print(kind: string, runs: readonly { bare: Run; keelson: Run }[]): void {
  console.log(`\nevent log: ${kind}; ${users} users, ${connections} connections, medians of ${runs.length} rounds`);
  console.log('| what | requests/s | p50 ms | p99 ms | most ms |');
  console.log('|---|---|---|---|---|');
  for (const [name, pick] of [
    ['bare insert', ({ bare }) => bare],
    ['PATCH active', ({ keelson }) => keelson],
  ] satisfies [string, (run: (typeof runs)[number]) => Run][]) {
    const of = (figure: (run: Run) => number): number => median(runs.map((run) => figure(pick(run))));
    const at = (q: number): string =>
      of(({ millis }) => millis[Math.min(millis.length - 1, Math.floor(q * millis.length))]!).toFixed(1);
    console.log(
      `| ${name} | ${Math.round(of(({ seconds, millis }) => millis.length / seconds)).toLocaleString('en')} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`,
    );
  }
}
