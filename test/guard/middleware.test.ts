import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import Fastify, { type FastifyInstance } from 'fastify';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CANARY_PATH, guardRoutes } from '../../src/guard/fastify.js';
import { Guard } from '../../src/guard/guard.js';
import { guardTool, type CallExtra, type CallResult } from '../../src/guard/mcp.js';
import type { Publisher } from '../../src/guard/publisher.js';
import { step } from '../../src/guard/step.js';
import { guardKey, instanceSigner, keyOf, LEDGER, ModelFeed, rootSigner, seed } from './support.js';

let feed: ModelFeed;
let guard: Guard;
let problems: string[];

/** A guard that is in step, by messages that are handed to it. */
beforeEach(() => {
  feed = new ModelFeed();
  problems = [];
  guard = new Guard({
    url: 'http://127.0.0.1:1',
    membership: {
      instance: seed('an instance').subarray(0, 16),
      ledger: LEDGER,
      generation: 1,
      guardKey,
      rootKey: rootSigner.publicKey,
      signer: instanceSigner,
    },
    onProblem: (problem) => problems.push(String(problem)),
  });
  guard.hear(feed.keySet());
  guard.hear(feed.frame(0));
  renew();
});
afterEach(() => guard.close());

function renew(): void {
  guard.core.asked = undefined;
  const [sent] = step(guard.core, { kind: 'tick', random: seed(`${Math.random()}`).subarray(0, 16) });
  if (sent?.kind === 'send') guard.hear(feed.grant(sent.bytes));
}

function revoke(subject: string): void {
  const from = feed.table.seq;
  feed.block(keyOf('principal', subject));
  guard.hear(feed.frame(from));
}

const claims = (sub: string): Record<string, unknown> => ({ iss: 'https://idp', sub, iat: 1_700_000_000 });

describe('in fastify', () => {
  let app: FastifyInstance;
  let url: string;
  let release: () => void;
  let aborted = false;
  let begin: () => void;
  let begun: Promise<void>;

  beforeEach(async () => {
    app = Fastify();
    begun = new Promise((resolve) => (begin = resolve));
    // The host's own authentication, before the guard.
    app.addHook('onRequest', async (request, reply) => {
      if (request.url !== CANARY_PATH && request.headers['x-user'] === undefined) {
        return reply.code(401).send('who are you');
      }
      return undefined;
    });
    await app.register(guardRoutes, {
      guard,
      claimsOf: (request) => claims(String(request.headers['x-user'])),
      toolOf: (request) => request.routeOptions.url,
    });
    app.get('/fast', async () => 'done');
    const held = new Promise<void>((resolve) => (release = resolve));
    app.get('/slow', async (request) => {
      request.revoked!.addEventListener('abort', () => (aborted = true));
      begin();
      await held;
      return 'done';
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    release();
    await app.close();
  });

  it('refuses whoever is revoked, and only them', async () => {
    const as = (user: string): Promise<Response> => fetch(`${url}/fast`, { headers: { 'x-user': user } });
    expect((await as('ana')).status).toBe(200);
    revoke('ana');
    const refused = await as('ana');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(await refused.json()).toMatchObject({ type: 'urn:keelson:problem:blocked', seq: 1 });
    expect((await as('bob')).status).toBe(200);
    guard.core.lease = undefined;
    const unsure = await as('bob');
    expect([unsure.status, unsure.headers.get('retry-after')]).toEqual([503, '1']);
  });

  it('breaks off what is under way', async () => {
    const request = httpRequest(`${url}/slow`, { headers: { 'x-user': 'ana' } }).end();
    const over = once(request, 'error').catch((error: unknown) => [error]);
    await begun;
    revoke('ana');
    expect(aborted).toBe(true);
    expect(await over).toMatchObject([{ code: 'ECONNRESET' }]);
  });

  it('attests what went through the host’s own hooks', async () => {
    revoke('bob');
    while (guard.core.proven === undefined) await new Promise((resolve) => setImmediate(resolve));
    expect(guard.core.proven).toMatchObject({ seq: 2 });
  });
});

it('in fastify behind an authentication that lets no canary through, nothing is attested, and the host is told', async () => {
  const app = Fastify();
  app.addHook('onRequest', async (_, reply) => reply.code(401).send());
  await app.register(guardRoutes, { guard, claimsOf: () => undefined });
  await app.ready();
  revoke('ana');
  while (problems.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(problems[0]).toContain(`${CANARY_PATH} was answered with 401`);
  expect(guard.core.proven).toBeUndefined();
  await app.close();
});

it('in a scope of fastify with a prefix the canary goes there', async () => {
  const app = Fastify();
  const within = async (scope: FastifyInstance): Promise<void> => {
    await scope.register(guardRoutes, { guard, claimsOf: () => undefined });
  };
  await app.register(within, { prefix: '/api' });
  revoke('ana');
  await new Promise((resolve) => setImmediate(resolve));
  // The canary waits for the app: routes may still be added.
  app.get('/later', async () => 'there');
  await app.ready();
  while (guard.core.proven === undefined) await new Promise((resolve) => setImmediate(resolve));
  await app.close();
});

it('in fastify the path of the canary lets nobody in, and what comes to it is no decision', async () => {
  const published: unknown[] = [];
  const publisher = { publish: (decision: unknown) => published.push(decision) > 0 } as unknown as Publisher;
  const app = Fastify();
  app.decorateRequest('user', null);
  await app.register(guardRoutes, { guard, publisher, claimsOf: (request) => (request as { user?: null }).user });
  app.get('/deploy', async () => 'done');
  for (const path of [CANARY_PATH, `${CANARY_PATH}?a`, '/deploy']) {
    const { statusCode } = await app.inject({ url: path, headers: { 'keelson-canary': 'mine' } });
    expect(statusCode).toBe(401);
  }
  expect(published).toEqual([{ decision: 'deny' }]);
  await app.close();
});

describe('in an MCP server', () => {
  let client: Client;
  let started: () => void;
  let begun: Promise<void>;
  let sawAbort = false;

  beforeEach(async () => {
    begun = new Promise((resolve) => (started = resolve));
    const server = new McpServer({ name: 'tools', version: '1' });
    const options = { claimsOf: () => claims('ana') };
    server.registerTool(
      'deploy',
      { inputSchema: { version: z.string() } },
      guardTool(guard, 'deploy', options, ({ version }: { version: string }, _extra: CallExtra) => ({
        content: [{ type: 'text' as const, text: version }],
      })),
    );
    server.registerTool(
      'watch',
      {},
      guardTool(guard, 'watch', options, ({ signal }: CallExtra): Promise<CallResult> => {
        started();
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            sawAbort = true;
            reject(new Error('ended'));
          }),
        );
      }),
    );
    client = new Client({ name: 'agent', version: '1' });
    const [a, b] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(a), client.connect(b)]);
  });
  afterEach(() => client.close());

  it('lets a call through, refuses it once it is revoked, and ends one that runs', async () => {
    expect(await client.callTool({ name: 'deploy', arguments: { version: '7' } })).toMatchObject({
      content: [{ text: '7' }],
    });
    const running = client.callTool({ name: 'watch' });
    await begun;
    revoke('ana');
    expect(await running).toMatchObject({ isError: true, _meta: { 'keelson/refusal': { reason: 'blocked', seq: 1 } } });
    expect(sawAbort).toBe(true);
    expect(await client.callTool({ name: 'deploy', arguments: { version: '8' } })).toMatchObject({ isError: true });
  });
});

it('an ack is made only of what every middleware refused', async () => {
  let refuses = false;
  guard.addProbe(() => refuses);
  revoke('ana');
  await new Promise((resolve) => setImmediate(resolve));
  expect(guard.core.proven).toBeUndefined();
  refuses = true;
  revoke('bob');
  await new Promise((resolve) => setImmediate(resolve));
  expect(guard.core.proven).toMatchObject({ seq: 4, stateHash: feed.table.head().stateHash });
});
