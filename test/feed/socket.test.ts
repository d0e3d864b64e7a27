/** The feed's socket under attack, by real connections to a server without a database behind it. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { KeelsonError } from '../../src/core/error.js';
import { Acks } from '../../src/feed/acks.js';
import { FeedCore } from '../../src/feed/core.js';
import type { FrameListener } from '../../src/feed/feed.js';
import type { Instance } from '../../src/feed/instances.js';
import { Limits } from '../../src/feed/limits.js';
import { FeedMetrics } from '../../src/feed/metrics.js';
import type { OutListener } from '../../src/feed/points.js';
import { registerFeed } from '../../src/feed/routes.js';
import { registerSocket } from '../../src/feed/socket.js';
import { createHttp } from '../../src/http/create-http.js';
import type { Http } from '../../src/http/http.js';
import { Readiness } from '../../src/http/readiness.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { signAck } from '../../src/protocol/ack.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { signLeaseRequest } from '../../src/protocol/grant.js';
import { signRequest } from '../../src/protocol/request.js';
import { readConfig } from '../../src/config.js';
import { seed } from '../guard/support.js';

const realm = { ledger: 'ledger.example', verifier };
const signer = nodeSigner(seed('feed'));
const table = new FactTable(hasher);
const core = new FeedCore({ signer, ledger: realm.ledger, generation: 1, table, keptFacts: 100 });
const metrics = new Registry();
const frames = new Set<FrameListener>();
const outs = new Set<OutListener>();
/** Of polls that wait. */
const polling = new Set<AbortSignal>();
const lookups: string[] = [];
const opened: WebSocket[] = [];
/** Runs while somebody waits for a lease. */
let meanwhile = async (): Promise<void> => undefined;
let http: Http;
let url: string;

interface Peer {
  readonly id: Buffer;
  readonly key: ReturnType<typeof nodeSigner>;
}

const peer = (name: string): Peer => ({
  id: Buffer.from(seed(`id ${name}`).subarray(0, 16)),
  key: nodeSigner(seed(name)),
});
const known = new Map<string, Instance>();
function admit(name: string): Peer {
  const { id, key } = peer(name);
  const publicKey = Buffer.from(key.publicKey);
  known.set(id.toString('hex'), { id, point: 'gateway', publicKey, retired: false, quarantined: false });
  return { id, key };
}

beforeAll(async () => {
  const feedMetrics = new FeedMetrics(metrics);
  http = await createHttp({
    settings: readConfig({}),
    authenticate: () => {
      throw new KeelsonError('unauthenticated', 'nobody');
    },
    readiness: new Readiness(),
    metrics,
    version: '0',
  });
  const publishOwn = async (): Promise<[]> => [];
  const logger = pino({ level: 'silent' });
  feedMetrics.watch(http);
  const clock = { nowUs: () => BigInt(Date.now()) * 1000n, monotonicMs: () => performance.now() };
  const options = {
    realm,
    clock,
    limits: new Limits(clock),
    instances: {
      get: async (id: Uint8Array) => known.get(Buffer.from(id).toString('hex')),
      find: async (id: Uint8Array) => {
        const name = Buffer.from(id).toString('hex');
        lookups.push(name);
        const instance = known.get(name);
        if (instance?.retired !== false) throw new KeelsonError('unauthenticated', 'not known');
        return instance;
      },
    } as never,
    points: { onOut: (listener: OutListener) => (outs.add(listener), () => void outs.delete(listener)) },
    feed: {
      core,
      changed: async (_from: number, _timeoutMs: number, signal: AbortSignal) => {
        polling.add(signal);
        await once(signal, 'abort');
      },
      onFrame: (listener: FrameListener) => (frames.add(listener), () => frames.delete(listener)),
      lease: async () => (await meanwhile(), Buffer.from('a grant')),
    } as never,
    acks: new Acks({ intake: { publishOwn }, logger, realm, generation: 1, metrics: feedMetrics }),
    keys: { keySet: Buffer.from('the set'), requireInForce: () => undefined, onSet: () => () => undefined } as never,
    settings: { KEELSON_FEED_CONNECTIONS: 20, KEELSON_FEED_BUFFER_BYTES: 65_536 },
    metrics: feedMetrics,
    logger,
    silentMs: 3_000,
  };
  registerFeed(http, options);
  await registerSocket(http, options);
  await http.listen({ host: '127.0.0.1', port: 0 });
  url = `ws://127.0.0.1:${(http.server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  for (const socket of opened) socket.terminate();
  await http?.close();
});

function connect({ id, key }: Peer, by = key, ledger = realm.ledger): WebSocket {
  const path = '/v1/feed?from=0';
  const asked = { instance: id, atUs: Date.now() * 1000 };
  const authorization = signRequest(by, ledger, { method: 'GET', path }, asked);
  const socket = new WebSocket(url + path, { headers: { authorization } });
  socket.on('error', () => undefined);
  opened.push(socket);
  return socket;
}

async function join(name: string): Promise<{ socket: WebSocket; me: Peer; closed: Promise<number> }> {
  const me = admit(name);
  const socket = connect(me);
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'message');
  return { socket, me, closed };
}

const counted = async (name: string, labels: Record<string, string>): Promise<number> => {
  const { values } = await metrics.getSingleMetric(name)!.get();
  const found = values.find((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value));
  return found?.value ?? 0;
};

/** A frame of so many bytes for everybody who is at seq 0, who are there again. */
const tell = (bytes: number): void => {
  for (const listener of frames) listener(0, Buffer.alloc(bytes, 1));
};

describe('who sends what is not theirs is cut off, and nobody else', () => {
  const lease = (by: Peer, as = by): Uint8Array =>
    signLeaseRequest(by.key, realm.ledger, { instance: as.id, nonce: seed('nonce').subarray(0, 16) });
  const ack = (by: Peer, as = by, seq = 0, generation = 1): Uint8Array =>
    signAck(by.key, realm.ledger, {
      instance: as.id,
      generation,
      seq,
      stateHash: seed('state'),
      mappingHash: seed('mapping'),
      keyTypes: ['token'],
      aborted: 0,
      atUs: 1,
    });
  const other = peer('the other');

  it.each([
    ['a nonce of another instance', 4400, 'forbidden', (me: Peer) => lease(me, other)],
    ['a request that another signed', 4400, 'bad_signature', (me: Peer) => lease(other, me)],
    ['an ack of another instance', 4400, 'forbidden', (me: Peer) => ack(me, other)],
    ['an ack that another signed', 4400, 'bad_signature', (me: Peer) => ack(other, me)],
    ['an ack of what was not told', 4400, 'out_of_range', (me: Peer) => ack(me, me, 1)],
    ['an ack of another generation', 4400, 'out_of_range', (me: Peer) => ack(me, me, 0, 2)],
    ['a byte too much', 4400, 'malformed_message', (me: Peer) => Buffer.concat([lease(me), Buffer.of(0)])],
    ['something else', 4400, 'malformed_message', () => Buffer.from('KXX1')],
    ['a text', 4400, 'malformed_message', () => 'KLR1'],
  ])('%s', async (what, code, refusal, made) => {
    const [bystander, attacker] = [await join(`bystander of ${what}`), await join(`attacker with ${what}`)];
    const before = await counted('keelson_feed_refusals_total', { code: refusal });
    attacker.socket.send(made(attacker.me));
    expect(await attacker.closed).toBe(code);
    expect(await counted('keelson_feed_refusals_total', { code: refusal })).toBe(before + 1);
    bystander.socket.send(lease(bystander.me));
    const [grant] = (await once(bystander.socket, 'message')) as [Buffer];
    expect(grant.toString().startsWith('a grant') || grant.subarray(0, 4).toString() === 'KRF1').toBe(true);
    bystander.socket.close();
  });

  it('a message that is too large, and more of them than a guard has to say', async () => {
    const [large, flood] = [await join('large'), await join('flood')];
    large.socket.send(Buffer.alloc(1025));
    expect([4400, 1009]).toContain(await large.closed);
    for (let i = 0; i < 200; i++) flood.socket.send(lease(flood.me));
    expect(await flood.closed).toBe(4429);
    expect(await counted('keelson_feed_cut_off_total', { why: 'flood' })).toBe(1);
  });

  it('more pings than a guard has use for', async () => {
    const [bystander, flood] = [await join('beside pings'), await join('flood of pings')];
    const before = await counted('keelson_feed_cut_off_total', { why: 'flood' });
    const pings = setInterval(() => {
      for (let i = 0; i < 30; i++) if (flood.socket.readyState === WebSocket.OPEN) flood.socket.ping(Buffer.alloc(120));
    }, 1);
    expect(await flood.closed).toBe(4429);
    clearInterval(pings);
    expect(await counted('keelson_feed_cut_off_total', { why: 'flood' })).toBe(before + 1);
    bystander.socket.send(lease(bystander.me));
    await once(bystander.socket, 'message');
    bystander.socket.close();
  });
});

it('the unenrolled get nothing, and a header that can’t be one costs no look-up', async () => {
  const status = async (socket: WebSocket): Promise<number> => {
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    return response.statusCode;
  };
  expect(await status(connect(peer('nobody')))).toBe(401);
  const somebody = admit('somebody');
  expect(await status(connect(somebody, nodeSigner(seed('thief'))))).toBe(401);
  expect(await status(connect(somebody, somebody.key, 'another ledger'))).toBe(401);
  const before = lookups.length;
  for (const authorization of ['', 'Keelson', 'Keelson AAAA', `Keelson ${'A'.repeat(120)}`, 'Bearer kls_x']) {
    const socket = new WebSocket(`${url}/v1/feed?from=0`, { headers: { authorization } });
    socket.on('error', () => undefined);
    expect(await status(socket)).toBe(401);
  }
  expect(lookups.length).toBe(before);
});

it('who does not read is cut off at a bound, and others hear every frame', async () => {
  const [reader, slow] = [await join('reader'), await join('slow')];
  let heard = 0;
  reader.socket.on('message', (data: Buffer) => (heard += data.length > 1_000 ? 1 : 0));
  slow.socket.pause();
  const before = await counted('keelson_feed_cut_off_total', { why: 'slow' });
  let told = 0;
  for (const end = Date.now() + 20_000; (await counted('keelson_feed_cut_off_total', { why: 'slow' })) === before;) {
    expect(Date.now()).toBeLessThan(end);
    tell(400_000);
    told++;
    // The one who reads has read it before the next.
    while (heard < told && Date.now() < end) await sleep(1);
  }
  expect(heard).toBe(told);
  // No more was kept than the bound, and what the kernel holds.
  expect(told).toBeLessThan(200);
  expect(reader.socket.readyState).toBe(WebSocket.OPEN);
  slow.socket.resume();
  expect(await slow.closed).toBe(1006);
  reader.socket.close();
});

it('who was retired is not kept, also where nobody heard of it', async () => {
  const [retired, other] = [await join('retired unheard'), await join('not retired')];
  const pings = setInterval(() => [retired, other].map(({ socket }) => socket.ping()), 200);
  const name = retired.me.id.toString('hex');
  known.set(name, { ...known.get(name)!, retired: true });
  expect(await retired.closed).toBe(4401);
  expect(other.socket.readyState).toBe(WebSocket.OPEN);
  clearInterval(pings);
  other.socket.close();
});

describe('who is taken out while they wait for a lease', () => {
  const out = { retired: { retired: true }, 'in quarantine': { quarantined: true } };
  const takeOut = (me: Peer, how: keyof typeof out): void => {
    const name = me.id.toString('hex');
    meanwhile = async () => void known.set(name, { ...known.get(name)!, ...out[how] });
  };
  const ask = (me: Peer): Uint8Array =>
    signLeaseRequest(me.key, realm.ledger, { instance: me.id, nonce: seed('nonce').subarray(0, 16) });
  afterEach(() => (meanwhile = async () => undefined));

  it.each([
    ['retired', 401],
    ['in quarantine', 403],
  ] as const)('gets none by HTTP: %s', async (how, status) => {
    const me = admit(`waits by HTTP, ${how}`);
    takeOut(me, how);
    const path = '/v1/feed/lease';
    const asked = { instance: me.id, atUs: Date.now() * 1000 };
    const answer = await fetch(url.replace('ws:', 'http:') + path, {
      method: 'POST',
      headers: {
        authorization: signRequest(me.key, realm.ledger, { method: 'POST', path }, asked),
        'content-type': 'application/vnd.keelson.feed',
      },
      body: Buffer.from(ask(me)),
    });
    expect(answer.status).toBe(status);
  });

  it('gets none by its socket', async () => {
    const retired = await join('waits, retired');
    takeOut(retired.me, 'retired');
    retired.socket.send(ask(retired.me));
    expect(await retired.closed).toBe(4401);
    const quarantined = await join('waits, in quarantine');
    const heard: string[] = [];
    quarantined.socket.on('message', (data: Buffer) => heard.push(data.toString()));
    takeOut(quarantined.me, 'in quarantine');
    const before = lookups.length;
    quarantined.socket.send(ask(quarantined.me));
    // It was looked for again, behind the wait; then a pong comes behind whatever was sent.
    while (lookups.length < before + 2) await sleep(1);
    quarantined.socket.ping();
    await once(quarantined.socket, 'pong');
    expect(heard).not.toContain('a grant');
    quarantined.socket.close();
  });
});

it('who says nothing is not kept; a ping is enough', async () => {
  const [silent, pinging] = [await join('silent'), await join('pinging')];
  const pings = setInterval(() => pinging.socket.ping(), 200);
  expect(await silent.closed).toBe(4408);
  expect(pinging.socket.readyState).toBe(WebSocket.OPEN);
  clearInterval(pings);
  pinging.socket.close();
});

it('no more connect than may', async () => {
  const joined = [];
  for (let i = 0; i < 20; i++) joined.push(await join(`one of many ${i}`));
  const socket = connect(admit('one too many'));
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(503);
  for (const one of joined) one.socket.terminate();
});

it.each([
  ['retired', 4401, 401, 'unauthenticated'],
  ['again', 4412, 409, 'conflict'],
] as const)(
  'who is to have no connection any more (%s) is told so over a socket, and in a long poll',
  async (...row) => {
    const [why, close, status, code] = row;
    const [mine, other] = [await join(`out ${why}`), await join(`in ${why}`)];
    const path = '/v1/feed/changes?from=0&waitS=50';
    const [answer] = [mine, other].map(({ me: { id, key } }) => {
      const asked = { instance: id, atUs: Date.now() * 1000 };
      const authorization = signRequest(key, realm.ledger, { method: 'GET', path }, asked);
      return fetch(url.replace('ws', 'http') + path, { headers: { authorization } });
    });
    polling.clear();
    while (polling.size < 2) await sleep(5);
    const [first, second] = [...polling];
    for (const listener of outs) listener(({ id }) => id.equals(mine.me.id), why);
    expect(await mine.closed).toBe(close);
    const answered = await answer!;
    expect([answered.status, ((await answered.json()) as { code: string }).code]).toEqual([status, code]);
    expect([first!.aborted, second!.aborted].sort()).toEqual([false, true]);
    expect(other.socket.readyState).toBe(WebSocket.OPEN);
  },
);

it('one instance reads no more snapshots at once than leave room for others', async () => {
  const me = admit('reads many');
  const path = '/v1/feed/snapshot';
  const fetchOne = async (): Promise<number> => {
    const asked = { instance: me.id, atUs: Date.now() * 1000 };
    const authorization = signRequest(me.key, realm.ledger, { method: 'GET', path }, asked);
    const answer = await fetch(url.replace('ws:', 'http:') + path, { headers: { authorization } });
    await answer.arrayBuffer();
    return answer.status;
  };
  let statuses = [await fetchOne()];
  expect(statuses).toEqual([200]);
  // The next is begun a second after the one before, and who asks meanwhile waits.
  for (let tries = 0; tries < 10 && !statuses.includes(503); tries++) {
    table.put(seed(`changed ${tries}`).subarray(0, 16), 0, true, undefined);
    statuses = await Promise.all([fetchOne(), fetchOne(), fetchOne()]);
  }
  expect(statuses.sort()).toEqual([200, 200, 503]);
});
