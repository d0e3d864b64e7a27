import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import fastify from 'fastify';
import type { BenchDatabase } from './cluster.js';
import type { CommitWatch } from './commit-watch.js';

/** How long one leaver took, in milliseconds since the request was sent. */
export interface Sample {
  readonly answered: number;
  /** Undefined where there is no such thing: of the baseline. */
  readonly causeCommitted?: number;
  readonly orderCommitted?: number;
}

export interface Target {
  readonly url: string;
  readonly token: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** A leaver as HR says it. */
function makeLeaver(): { id: string; body: Buffer } {
  const id = randomUUID();
  const event = {
    id,
    type: 'principal.offboarded',
    timestamp: new Date().toISOString(),
    principal: { issuer: 'https://idp.example', id: `leaver-${id}` },
    reason_code: 'termination',
    reference: `HR-${id.slice(0, 8)}`,
  };
  return { id, body: Buffer.from(JSON.stringify(event)) };
}

/** The milliseconds until the answer is there. */
function post({ url, token }: Target, body: Buffer): Promise<number> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/v1/events`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume().on('end', () => {
        if (answer.statusCode === 200) resolve(performance.now() - startMs);
        else reject(new Error(`answered ${answer.statusCode}`));
      });
    });
    outgoing.on('error', reject).end(body);
  });
}

/** One leaver after another; `goOn` is asked before each. */
export async function runLeavers(
  target: Target,
  watch: CommitWatch,
  database: BenchDatabase,
  goOn: (count: number) => boolean | Promise<boolean>,
): Promise<Sample[]> {
  const sent: { id: string; startMs: number; answered: number }[] = [];
  while (await goOn(sent.length)) {
    const { id, body } = makeLeaver();
    const before = watch.size;
    const startMs = performance.now();
    sent.push({ id, startMs, answered: await post(target, body) });
    await watch.until(before + 2);
  }
  const { rows } = await untilFolded(database, sent.at(-1)?.id);
  const known = new Map(rows.map((row) => [row.id as string, row]));
  return sent.map(({ id, startMs, answered }) => {
    const row = known.get(id)!;
    return {
      answered,
      causeCommitted: watch.committedMs(Number(row.cause)) - startMs,
      orderCommitted: watch.committedMs(Number(row.ordered)) - startMs,
    };
  });
}

async function untilFolded(database: BenchDatabase, last: string | undefined): ReturnType<BenchDatabase['query']> {
  for (;;) {
    const found = await database.query(
      `select doc->>'id' as id, index as cause, doc->>'orderedIndex' as ordered from keelson.revocation_cause`,
    );
    if (last === undefined || found.rows.some((row) => row.id === last && row.ordered !== null)) return found;
  }
}

/** What leavers are measured against: a route that inserts the body into a table of its own, and answers. */
export async function startBareInsert(bench: BenchDatabase): Promise<Target & { stop(): Promise<void> }> {
  const { database } = bench;
  await bench.query(`create table if not exists public.bench_bare (id bigint generated always as identity, body bytea not null);
    grant insert on public.bench_bare to keelson_writer`);
  const app = fastify();
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post('/v1/events', async ({ body }) => {
    JSON.parse((body as Buffer).toString());
    await database.query('insert into public.bench_bare (body) values ($1)', [body]);
    return {};
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, token: 'none', stop: () => app.close() };
}

/** As many bare inserts. */
export async function runInserts(target: Target, count: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (samples.length < count) samples.push({ answered: await post(target, makeLeaver().body) });
  return samples;
}
