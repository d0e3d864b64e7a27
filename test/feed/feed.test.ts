/** From a request to revoke to an instance that refuses, on a real server with a real guard. */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Guard, type GuardConfig } from '../../src/guard/guard.js';
import { join, readMembership } from '../../src/guard/join.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import { signLeaseRequest } from '../../src/protocol/grant.js';
import { signRequest } from '../../src/protocol/request.js';
import { checkAck, parseAck } from '../../src/protocol/ack.js';
import type { TokenFacts } from '../../src/protocol/token-keys.js';
import { Api, type Json } from '../support/api.js';
import { freePort, makeDataFolder, startServer, type ServerProcess } from '../support/server.js';
import { seed } from '../guard/support.js';

const ISSUER = 'https://idp.example';
let server: ServerProcess;
let admin: Api;
let dataFolder: string;
let port: number;
const guards: Guard[] = [];

beforeAll(async () => {
  [dataFolder, port] = [await makeDataFolder(), await freePort()];
  server = await startServer({ dataFolder, port });
  admin = await Api.admin(server);
  expect((await admin.post('/v1/points', { point: 'gateway' })).status).toBe(201);
});
afterAll(async () => {
  await Promise.all(guards.map((guard) => guard.close()));
  await server?.stop();
  await rm(dataFolder, { recursive: true, force: true });
});

async function enrol(uses = 10): Promise<string> {
  const { status, body } = await admin.post<Json>('/v1/enrolments', { point: 'gateway', uses, expiresInS: 3600 });
  expect(status).toBe(201);
  return body.token as string;
}

async function startGuard(name: string, more: Partial<GuardConfig> = {}): Promise<Guard> {
  const signer = nodeSigner(seed(name));
  const membership = readMembership(await join(server.url, await enrol(), signer), signer);
  const guard = new Guard({ url: server.url, membership, ...more });
  guards.push(guard);
  guard.start();
  await until(() => guard.core.lease !== undefined);
  return guard;
}

async function until(enough: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await enough());) {
    if (Date.now() > end) throw new Error(`not in time\n${server.log}`);
    await sleep(5);
  }
}

const factsOf = (subject: string): TokenFacts => ({
  issuer: ISSUER,
  subject,
  jti: `token of ${subject}`,
  issuedAtUs: Date.now() * 1000,
});

const revoke = async (id: string): Promise<Json> => {
  const { status, body } = await admin.post<Json>('/v1/revocations', {
    principal: { issuer: ISSUER, id },
    reason: 'left',
  });
  expect(status).toBe(200);
  return body;
};

describe('a guard on the feed', () => {
  it('refuses a leaver, ends what they have open, goes on for others, and its ack is an entry', async () => {
    const guard = await startGuard('one');
    const [ana, bob] = ['ana', 'bob'].map((one) => guard.tokenOf(factsOf(one)));
    expect([guard.check(ana!, 'deploy'), guard.check(bob!, 'deploy')]).toEqual([{ allowed: true }, { allowed: true }]);
    const [hers, his] = [guard.session(ana!, 'deploy'), guard.session(bob!, 'deploy')];
    await revoke('ana');
    await until(() => hers.signal.aborted);
    expect(guard.check(ana!, 'deploy')).toMatchObject({ allowed: false, reason: 'blocked' });
    const { body: ordered } = await admin.get<{ items: Json[] }>('/v1/cases');
    await until(() => (guard.check(ana!, 'deploy') as { order?: string }).order === ordered.items[0]!.order);
    expect(guard.check(bob!, 'deploy')).toEqual({ allowed: true });
    expect(his.signal.aborted).toBe(false);

    let acks = Buffer.alloc(0);
    for (let index = 0; acks.length === 0;) {
      const { status, body } = await admin.get<{ event: Json }>(`/v1/logs/activity/0/g1/entries/${index}`);
      if (status !== 200) await sleep(20);
      else index++;
      if (body.event?.type === 'ack.collected') acks = Buffer.from(body.event.acks as string, 'base64');
    }
    const ack = acks.subarray(acks.length - 174);
    const { body: list } = await admin.get<{ items: Json[] }>('/v1/cases');
    const { order } = list.items[0]!;
    await until(async () => (await admin.get<Json>(`/v1/cases/${order as string}`)).body.state !== 'open');
    const { body: closed } = await admin.get<Json>(`/v1/cases/${order as string}`);
    expect(closed).toMatchObject({
      state: 'enforced',
      acked: 1,
      silent: 0,
      instances: [{ point: 'gateway', status: 'acked' }],
    });
    const { log, index } = closed.entry as { log: string; index: number };
    const { body: entry } = await admin.get<{ event: Json }>(`/v1/logs/${log}/entries/${index}`);
    expect(entry.event).toMatchObject({
      type: 'case.closed',
      order,
      result: 'enforced',
      points: [{ acked: 1, fenced: 0 }],
    });
    const { ledger, signer } = guard.core.options.membership;
    checkAck({ ledger, verifier: nodeVerifier }, signer.publicKey, ack);
    const head = guard.core.table!.head();
    expect(parseAck(ack)).toMatchObject({ seq: head.seq, aborted: 1, stateHash: head.stateHash });
  });

  it('that comes late gets the whole table, and one that starts again goes on', async () => {
    await revoke('carl');
    const late = await startGuard('late');
    expect(late.check(late.tokenOf(factsOf('carl')))).toMatchObject({ allowed: false, reason: 'blocked' });
    expect(late.check(late.tokenOf(factsOf('dora')))).toEqual({ allowed: true });
  });

  it('refuses everything once it can hear nobody for as long as it may, and is back when the server is', async () => {
    const guard = await startGuard('cut off', { maxStalenessMs: 6_000 });
    const token = guard.tokenOf(factsOf('eva'));
    expect(guard.check(token)).toEqual({ allowed: true });
    server.signal('SIGSTOP');
    await until(() => !guard.check(token).allowed);
    expect(guard.check(token)).toMatchObject({ reason: 'stale' });
    server.signal('SIGCONT');
    await until(() => guard.check(token).allowed);
  });
});

it('a tool of high risk is refused earlier than others, by what the ledger says of it', async () => {
  const tool = { type: 'tool.registered', timestamp: new Date().toISOString(), tool: 'wipe', max_staleness_ms: 3_000 };
  expect((await admin.post('/v1/events', tool, { prefer: 'wait=10' })).status).toBe(200);
  const guard = await startGuard('careful');
  const token = guard.tokenOf(factsOf('fred'));
  await until(() => guard.check(token, 'wipe').allowed);
  server.signal('SIGSTOP');
  await until(() => !guard.check(token, 'wipe').allowed);
  expect(guard.check(token, 'wipe')).toMatchObject({ reason: 'stale' });
  expect(guard.check(token, 'read')).toEqual({ allowed: true });
  server.signal('SIGCONT');

  // A feed that starts again tells the same table: with what it says of tools.
  await server.end('SIGKILL');
  server = await startServer({ dataFolder, port });
  const before = guard.core.lease;
  await until(() => guard.core.lease !== before && guard.check(token, 'wipe').allowed);
  const fresh = await startGuard('after the restart');
  expect(fresh.core.table!.head()).toEqual(guard.core.table!.head());
});

describe('the feed', () => {
  it('lets nobody in without a token that is good, and no more than it is for', async () => {
    const token = await enrol(1);
    const joinAs = (name: string): Promise<unknown> => join(server.url, token, nodeSigner(seed(name)));
    await joinAs('first');
    await joinAs('first');
    await expect(joinAs('second')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(join(server.url, 'kle_wrong', nodeSigner(seed('third')))).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('sends its keys first, also to who needs a snapshot, and keeps one connection an instance', async () => {
    const signer = nodeSigner(seed('far ahead'));
    const { instance, ledger } = readMembership(await join(server.url, await enrol(), signer), signer);
    const open = (from: number): WebSocket => {
      const path = `/v1/feed?from=${from}`;
      const asked = { method: 'GET', path };
      const authorization = signRequest(signer, ledger, asked, { instance, atUs: Date.now() * 1000 });
      return new WebSocket(server.url.replace('http', 'ws') + path, { headers: { authorization } });
    };
    const ahead = open(999_999);
    const heard: string[] = [];
    ahead.on('message', (data: Buffer) => heard.push(data.toString('latin1', 0, 4)));
    expect((await once(ahead, 'close'))[0]).toBe(4410);
    expect(heard).toEqual(['KKS1']);
    const first = open(0);
    await once(first, 'message');
    const second = open(0);
    expect((await once(first, 'close'))[0]).toBe(4409);
    second.send(Buffer.from('KXX1'));
    expect((await once(second, 'close'))[0]).toBe(4400);
  });

  it('tells nothing to who has not joined, or signs another request', async () => {
    const signer = nodeSigner(seed('signs'));
    const { instance, ledger } = readMembership(await join(server.url, await enrol(), signer), signer);
    const path = '/v1/feed/snapshot';
    const ask = async (authorization: string): Promise<number> =>
      (await fetch(server.url + path, { headers: { authorization } })).status;
    const atUs = Date.now() * 1000;
    const asked = { method: 'GET', path };
    expect(await ask(signRequest(signer, ledger, asked, { instance, atUs }))).toBe(200);
    const bodies = await Promise.all(
      ['gzip', 'identity', 'gzip;q=0, br'].map(async (encoding) => {
        const authorization = signRequest(signer, ledger, asked, { instance, atUs });
        const answer = await fetch(server.url + path, { headers: { authorization, 'accept-encoding': encoding } });
        expect(answer.headers.get('content-encoding')).toBe(encoding === 'gzip' ? 'gzip' : null);
        return Buffer.from(await answer.arrayBuffer());
      }),
    );
    for (const keys of ['', 'ab', 'z'.repeat(32), Array(33).fill('a'.repeat(32)).join()]) {
      const orders = `/v1/feed/orders?keys=${keys}`;
      const authorization = signRequest(signer, ledger, { method: 'GET', path: orders }, { instance, atUs });
      expect((await fetch(server.url + orders, { headers: { authorization } })).status).toBe(400);
    }
    expect((await fetch(`${server.url}/v1/feed/orders?keys=${'a'.repeat(32)}`)).status).toBe(401);
    expect(bodies[0]!.toString('latin1', 0, 4)).toBe('KRS1');
    for (const body of bodies) expect(body).toEqual(bodies[0]);
    for (const header of [
      '',
      'Keelson',
      'Keelson AAAA',
      signRequest(nodeSigner(seed('thief')), ledger, asked, { instance, atUs }),
      signRequest(signer, ledger, asked, { instance: seed('nobody').subarray(0, 16), atUs }),
      signRequest(signer, ledger, { method: 'GET', path: '/v1/feed/keys' }, { instance, atUs }),
      signRequest(signer, 'another ledger', asked, { instance, atUs }),
      signRequest(signer, ledger, asked, { instance, atUs: atUs - 301_000_000 }),
      `Bearer ${admin.token}`,
    ]) {
      expect(await ask(header)).toBe(401);
    }
  });
});

it('a flood with one key gets coded refusals, and others their leases and what is ordered', async () => {
  const guard = await startGuard('beside a flood');
  const victim = guard.tokenOf(factsOf('gina'));
  const signer = nodeSigner(seed('floods'));
  const { instance, ledger } = readMembership(await join(server.url, await enrol(), signer), signer);
  const refused = new Map<string, number>();
  let isOver = false;
  const ask = async (method: 'GET' | 'POST', path: string): Promise<void> => {
    const authorization = signRequest(signer, ledger, { method, path }, { instance, atUs: Date.now() * 1000 });
    const nonce = seed(`nonce ${Math.random()}`).subarray(0, 16);
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization, ...(method === 'POST' ? { 'content-type': 'application/vnd.keelson.feed' } : {}) },
      ...(method === 'POST' ? { body: Buffer.from(signLeaseRequest(signer, ledger, { instance, nonce })) } : {}),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    if (answer.status < 400) return;
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const what = `${answer.status} ${(JSON.parse(text) as Json).code as string}`;
    refused.set(what, (refused.get(what) ?? 0) + 1);
  };
  const kinds = [
    () => ask('GET', '/v1/feed/keys'),
    () => ask('GET', '/v1/feed/snapshot?from=0'),
    () => ask('GET', '/v1/feed/changes?from=0'),
    () => ask('POST', '/v1/feed/lease'),
    () => ask('GET', `/v1/feed/orders?keys=${'a'.repeat(32)}`),
  ];
  const clients = Array.from({ length: 60 }, async (_, i) => {
    for (let round = i; !isOver; round++) await kinds[round % kinds.length]!();
  });
  try {
    await until(() => (refused.get('503 overloaded') ?? 0) > 100);
    const before = guard.core.lease;
    expect(guard.check(victim)).toEqual({ allowed: true });
    await revoke('gina');
    await until(() => !guard.check(victim).allowed);
    expect(guard.check(victim)).toMatchObject({ reason: 'blocked' });
    await until(() => guard.core.lease !== before);
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
  expect([...refused.keys()].filter((what) => what !== '503 overloaded' && what !== '503 not_ready')).toEqual([]);
});
