/** docs/guard.md on a real server: its snippets as they stand there; a restart; a network that lets no WebSocket through. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Guard } from '../../src/guard/guard.js';
import { openGuard, type OpenOptions } from '../../src/guard/open.js';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ISSUER = 'https://idp.example';
const document = readFileSync(join(ROOT, 'docs/guard.md'), 'utf8');
const snippets = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\n\`\`\`${language}\n(.*?)\n\`\`\``, 'gs'))].map((match) => match[1]!);

let server: ServerProcess;
let admin: Api;
let folder: string;
let enrolment: string;
let publishToken: string;

beforeAll(async () => {
  server = await startServer();
  admin = await Api.admin(server);
  folder = await mkdtemp(join(tmpdir(), 'keelson-guard-'));
  const script = snippets('sh').join('\n').replaceAll('http://127.0.0.1:8420', server.url);
  const { stdout } = await promisify(execFile)(
    'bash',
    ['-euc', `curl() { command curl -fsS "$@"; echo; }\n${script}`],
    {
      env: { ...process.env, ADMIN: admin.token },
    },
  );
  [, { token: enrolment }, { token: publishToken }] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { token: string }) as [object, { token: string }, { token: string }];
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const open = (more: Partial<OpenOptions> = {}): Promise<Guard> => openGuard({ url: server.url, enrolment, ...more });

const tokenOf = (guard: Guard, subject: string): ReturnType<Guard['token']> =>
  guard.token({ iss: ISSUER, sub: subject, iat: Math.floor(Date.now() / 1000) });

async function revoke(id: string): Promise<void> {
  const { status } = await admin.post('/v1/revocations', { principal: { issuer: ISSUER, id }, reason: 'left' });
  expect(status).toBe(200);
}

async function until(enough: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await enough());) {
    if (Date.now() > end) throw new Error(`not in time\n${server.log}`);
    await sleep(5);
  }
}

describe('docs/guard.md', () => {
  let app: string;
  beforeAll(async () => {
    app = join(folder, 'app');
    const guard = join(app, 'node_modules/@keelson/guard');
    await mkdir(guard, { recursive: true });
    // What `npm run build:guard` packs, from where it was compiled already: test/guard/package.test.ts installs the package itself.
    const { exports } = JSON.parse(await readFile(join(ROOT, 'packages/guard/package.json'), 'utf8')) as Json;
    await writeFile(join(guard, 'package.json'), JSON.stringify({ name: '@keelson/guard', type: 'module', exports }));
    await symlink(join(ROOT, 'dist/guard'), join(guard, 'guard'));
    for (const name of ['fastify', '@modelcontextprotocol']) {
      await symlink(join(ROOT, 'node_modules', name), join(app, 'node_modules', name));
    }
  });

  /** Runs a snippet between what a host has around it; what it prints, JSON. */
  async function play(snippet: string, before: string, after: string): Promise<unknown> {
    const local = snippet
      .replaceAll('https://keelson.company.com', server.url)
      .replaceAll('/var/lib/gateway/keelson', join(app, 'folder'));
    const imports = [...`${before}\n${local}`.matchAll(/^import .*;$/gm)].map(([line]) => line);
    const body = `${before}\n${local}`.replaceAll(/^import .*;$/gm, '');
    const file = join(app, 'snippet.mjs');
    const claims = `const claims = { iss: '${ISSUER}', sub: 'doc', jti: 'token of doc', iat: ${Math.floor(Date.now() / 1000)} };`;
    const ready = body.replace(/(const guard = await openGuard\(\{.*?\}\);)/s, '$1\nawait guard.ready();');
    await writeFile(
      file,
      `${imports.join('\n')}\n${claims}\n${ready}\n${after}\nawait guard.close();\nprocess.exit(0);\n`,
    );
    const env = { PATH: process.env.PATH, KEELSON_ENROLMENT: enrolment, KEELSON_TOKEN: publishToken };
    const { stdout } = await promisify(execFile)(process.execPath, [file], { env });
    return JSON.parse(stdout) as unknown;
  }

  it('a guard by itself: what was decided is in the ledger, with its token and what the guard knew', async () => {
    const after = `
      while (guard.metrics().publisher.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(JSON.stringify({ verdict, published: guard.metrics().publisher }));`;
    expect(await play(snippets('js')[0]!, "const bearer = 'header.payload.signature';", after)).toMatchObject({
      verdict: { allowed: true },
      published: { taken: 1, sent: 1, lost: 0, quarantined: 0 },
    });
    const [hit] = await admin.searchUntil({ tool: 'deploy', type: 'decision.made' }, (hits) => hits.length > 0);
    expect(hit!.event).toMatchObject({
      point: 'gateway',
      decision: 'allow',
      sequence: 0,
      user: { issuer: ISSUER, id: 'doc' },
      token: { jti: 'token of doc', issuer: ISSUER },
      enforcement: { verdict: 'allowed' },
    });
  });

  it('in fastify', async () => {
    const before = `
      import Fastify from 'fastify';
      const app = Fastify();
      app.decorateRequest('user', null);
      app.addHook('onRequest', async (request) => { request.user = claims; });`;
    const after = `
      app.get('/deploy', async () => 'done');
      console.log(JSON.stringify([(await app.inject('/deploy')).body]));`;
    expect(await play(snippets('js')[1]!, before, after)).toEqual(['done']);
  });

  it('in an MCP server', async () => {
    const before = `
      import { Client } from '@modelcontextprotocol/sdk/client/index.js';
      import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
      import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
      const server = new McpServer({ name: 'tools', version: '1' });
      const deploy = async (signal) => ({ content: [{ type: 'text', text: String(signal.aborted) }] });`;
    const after = `
      const client = new Client({ name: 'agent', version: '1' });
      const [a, b] = InMemoryTransport.createLinkedPair();
      const authInfo = { token: 't', clientId: 'c', scopes: [], extra: claims };
      await Promise.all([server.connect(a), client.connect(b)]);
      const refused = await client.callTool({ name: 'deploy' });
      const send = b.send.bind(b);
      b.send = (message, options) => send(message, { ...options, authInfo });
      const allowed = await client.callTool({ name: 'deploy' });
      console.log(JSON.stringify([refused.content[0].text, allowed.content[0].text]));`;
    expect(await play(snippets('js')[2]!, before, after)).toEqual(['refused: no_token (revocation 0)', 'false']);
  });
});

it('one that starts again is who it was, and refuses what it refused; its folder is its own', async () => {
  const at = { folder: join(folder, 'again'), publishToken };
  const first = await open(at);
  await first.ready();
  await revoke('ana');
  await until(() => !first.check(tokenOf(first, 'ana')).allowed);
  await expect(open(at)).rejects.toMatchObject({ code: 'already_running' });
  const { seq } = first.metrics();
  await first.close();
  const heard = (await readFile(join(at.folder, 'feed'))).length;
  expect(heard).toBeGreaterThan(100);

  const again = await open({ ...at, enrolment: undefined });
  expect(again.core.options.membership.instance).toEqual(first.core.options.membership.instance);
  await again.ready();
  expect(again.metrics()).toMatchObject({ seq, connection: 'websocket' });
  expect(again.check(tokenOf(again, 'ana'))).toMatchObject({ reason: 'blocked' });
  await again.close();

  const name = Buffer.from(first.core.options.membership.instance).toString('hex');
  expect((await admin.send('DELETE', `/v1/points/gateway/instances/${name}`)).status).toBeLessThan(300);
  let later = await open(at);
  // Processes that answer for the feed may believe in it for some seconds more.
  while (Buffer.from(later.core.options.membership.instance).toString('hex') === name) {
    await later.close();
    await sleep(200);
    later = await open(at);
  }
  await later.ready();
  expect(later.check(tokenOf(later, 'bob'))).toEqual({ allowed: true });
  await later.close();
});

it('a tool that fails open does so once the ledger was told, over a restart, and never for who is revoked', async () => {
  const at = { folder: join(folder, 'open'), failOpen: ['status'] };
  const first = await open(at);
  const token = tokenOf(first, 'eve');
  await until(() => first.core.failOpen.has('status'));
  await first.ready();
  const [from, to] = [-1, 1].map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString()) as [string, string];
  const [entry] = await admin.searchUntil({ type: 'point.unfenced', from, to }, (hits) => hits.length > 0);
  expect(entry!.event).toMatchObject({ point: 'gateway', fail_open: ['status'] });
  await revoke('mallory');
  await until(() => !first.check(tokenOf(first, 'mallory')).allowed);
  await first.close();
  expect(first.check(token, 'status')).toMatchObject({ allowed: false });

  // Nobody is there.
  const alone = await openGuard({ ...at, url: 'http://127.0.0.1:1' });
  await until(() => alone.core.table!.seq > 0 && alone.core.failOpen.size > 0);
  expect(alone.check(token, 'status')).toEqual({ allowed: true, unfenced: 'starting' });
  expect(alone.check(token, 'deploy')).toMatchObject({ allowed: false, reason: 'starting' });
  expect(alone.check(token)).toMatchObject({ allowed: false, reason: 'starting' });
  expect(alone.check(tokenOf(alone, 'mallory'), 'status')).toMatchObject({ allowed: false, reason: 'blocked' });
  const session = alone.session(token, 'status');
  alone.tick();
  expect(session.signal.aborted).toBe(false);
  await alone.close();

  const again = await open({ ...at, failOpen: [] });
  expect(again.check(token, 'status')).toMatchObject({ allowed: false });
  // What is taken back may wait for 10 s, and is said again a while later.
  await admin.searchUntil({ type: 'point.fenced', from, to }, (hits) => hits.length > 0, 60_000);
  await again.close();
});

describe('where no WebSocket gets through', () => {
  let proxy: Server;
  let url: string;
  let upgrades = 0;
  beforeAll(async () => {
    proxy = createServer((request, response) => {
      const { method, headers } = request;
      const forwarded = httpRequest(`${server.url}${request.url}`, { method: method!, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      forwarded.on('error', () => response.destroy());
      response.on('close', () => forwarded.destroy());
      request.pipe(forwarded);
    });
    proxy.on('upgrade', (_request, socket) => {
      upgrades++;
      socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n');
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  it('it polls: refuses as soon, acks, and goes on for others', async () => {
    const guard = await open({ url });
    await guard.ready();
    expect([guard.metrics().connection, upgrades]).toEqual(['poll', 3]);
    const carl = guard.session(tokenOf(guard, 'carl'));
    expect(guard.check(carl.token)).toEqual({ allowed: true });
    await revoke('carl');
    await until(() => carl.signal.aborted);
    expect(guard.check(carl.token)).toMatchObject({ reason: 'blocked' });
    expect(guard.check(tokenOf(guard, 'dora'))).toEqual({ allowed: true });
    await until(() => guard.core.ackedSeq >= guard.metrics().seq);
    const { body } = await admin.get<{ items: { order: string }[] }>('/v1/cases');
    const { order } = body.items[0]!;
    await until(async () => {
      const { body: one } = await admin.get<{ acked: number }>(`/v1/cases/${order}`);
      return one.acked > 0;
    });
    await guard.close();
  });

  it('it polls at once where it is told to, from the whole table', async () => {
    const guard = await open({ url: server.url, transport: 'poll' });
    await guard.ready();
    expect(guard.metrics().connection).toBe('poll');
    expect(guard.check(tokenOf(guard, 'carl'))).toMatchObject({ reason: 'blocked' });
    await guard.close();
  });
});
