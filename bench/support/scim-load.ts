import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import fastify from 'fastify';
import type { BenchDatabase } from './cluster.js';

export interface ScimRequest {
  readonly url: string;
  readonly token: string;
  readonly method: string;
  readonly path: string;
  readonly body: Buffer;
}

/** How long each request took, ascending, and all of them together. */
export interface Run {
  readonly millis: readonly number[];
  readonly seconds: number;
}

/** A deactivation as Entra sends it without `aadOptscim062020`. */
export const makeDeactivation = (id: string): Pick<ScimRequest, 'method' | 'path' | 'body'> => ({
  method: 'PATCH',
  path: `/scim/v2/Users/${id}`,
  body: Buffer.from(
    JSON.stringify({
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'Replace', path: 'active', value: 'False' }],
    }),
  ),
});

/** Sends requests in their order, over so many connections at once. */
export async function sendAll(requests: readonly ScimRequest[], connections: number): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const millis: number[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < requests.length) {
      const { ms } = await send(agent, requests[next++]!);
      millis.push(ms);
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: connections }, work));
  const seconds = (performance.now() - startMs) / 1000;
  agent.destroy();
  return { millis: millis.sort((a, b) => a - b), seconds };
}

/** So many users as Entra makes them; their ids. */
export async function createUsers(
  { url, token }: Pick<ScimRequest, 'url' | 'token'>,
  count: number,
  connections: number,
): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const ids = new Array<string>(count);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      const user = {
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
        externalId: randomUUID(),
        userName: `user${i}@acme.example`,
        active: true,
        displayName: `User ${i}`,
        emails: [{ primary: true, type: 'work', value: `user${i}@acme.example` }],
        name: { givenName: 'User', familyName: String(i) },
      };
      const { text } = await send(agent, {
        url,
        token,
        method: 'POST',
        path: '/scim/v2/Users',
        body: Buffer.from(JSON.stringify(user)),
      });
      ids[i] = (JSON.parse(text) as { id: string }).id;
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  agent.destroy();
  return ids;
}

function send(agent: Agent, { url, token, method, path, body }: ScimRequest): Promise<{ ms: number; text: string }> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/scim+json',
    'content-length': body.length,
  };
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, { method, agent, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => {
        if (answer.statusCode === 200 || answer.statusCode === 201) resolve({ ms: performance.now() - startMs, text });
        else reject(new Error(`${method} was answered ${answer.statusCode}: ${text}`));
      });
    });
    outgoing.on('error', reject).end(body);
  });
}

/** What SCIM is measured against: a route that parses the same bodies, inserts them into a table of its own, and answers. */
export async function startBareScim(bench: BenchDatabase): Promise<{ readonly url: string; stop(): Promise<void> }> {
  await bench.query(`create table if not exists public.bench_scim (
      id bigint generated always as identity primary key, resource text not null, body bytea not null);
    grant insert on public.bench_scim to keelson_writer`);
  const app = fastify();
  app.addContentTypeParser('application/scim+json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.patch('/scim/v2/Users/:id', async ({ params, body }) => {
    const parsed = JSON.parse((body as Buffer).toString()) as object;
    const { id } = params as { id: string };
    await bench.database.query('insert into public.bench_scim (resource, body) values ($1, $2)', [id, body]);
    return { id, ...parsed };
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, stop: () => app.close() };
}
