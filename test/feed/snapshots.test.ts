import { randomBytes } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Hasher } from '../../src/core/hasher.js';
import { FeedCore, step } from '../../src/feed/core.js';
import { Snapshots, type SnapshotsOptions } from '../../src/feed/snapshots.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { encodeSnapshot, encodeSnapshotHead } from '../../src/protocol/snapshot.js';
import { seed } from '../guard/support.js';

const signer = nodeSigner(seed('feed'));
const never = new AbortController().signal;
setMaxListeners(0, never);
/** Tables of these tests are large, and what they hash to is of no account. */
const quick: Hasher = { ...nodeHasher, sha256: () => undefined };

/** Counts how often a snapshot is made of it. */
class CountingCore extends FeedCore {
  made = 0;
  /** Instead of its own. */
  pieces: Iterable<Uint8Array> | undefined;

  override snapshot(): Iterable<Uint8Array> {
    this.made++;
    return this.pieces ?? super.snapshot();
  }
}

let drawn = 0;
/** A key as a MAC gives it: any bits. */
function nextKey(): Uint8Array {
  const key = new Uint8Array(16);
  const view = new DataView(key.buffer);
  drawn++;
  for (let i = 0; i < 4; i++) view.setUint32(4 * i, Math.imul(drawn + i * 0x1000193, 0x9e3779b1) ^ (drawn << i));
  return key;
}

function change(table: FactTable, count: number): void {
  for (let i = 0; i < count; i++) table.put(nextKey(), 0, i % 3 !== 0, i % 3 === 0 ? i * 1e9 : undefined);
}

function makeFeed(facts: number, options: Partial<SnapshotsOptions> = {}) {
  const table = new FactTable(quick, facts);
  change(table, facts);
  const core = new CountingCore({ signer, ledger: 'ledger.example', generation: 1, table, keptFacts: 100 });
  const cut: string[] = [];
  const metrics = { cutOff: (why: string) => void cut.push(why) };
  const snapshots = new Snapshots({ core: () => core, metrics, everyMs: 0, ...options });
  const bytes = (): Buffer => Buffer.concat([encodeSnapshotHead(core.signedHead()), encodeSnapshot(table)]);
  return { table, core, snapshots, cut, bytes };
}

/** What one reader gets. */
async function read(snapshots: Snapshots, { from, isPlain = false }: { from?: number; isPlain?: boolean } = {}) {
  const to = new PassThrough();
  const body = buffer(to);
  await pipeline((await snapshots.take(from, never)).read(to, isPlain), to);
  return isPlain ? body : gunzipSync(await body);
}

describe('a snapshot on its way', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  it('is of one moment, and lets others work while it is made, whatever becomes of the table', async () => {
    const { table, snapshots, bytes } = makeFeed(150_000);
    const before = bytes();
    let isDone = false;
    const reading = read(snapshots).finally(() => (isDone = true));
    let turns = 0;
    for (; !isDone; turns++) {
      change(table, 1);
      await turn();
    }
    // 74 pieces.
    expect(turns).toBeGreaterThan(70);
    expect((await reading).equals(before)).toBe(true);
    expect((await read(snapshots)).equals(bytes())).toBe(true);
  });

  it('is made once for all who ask while it will do', async () => {
    const { table, core, snapshots, bytes } = makeFeed(5_000);
    const first = bytes();
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, i) => read(snapshots, { from: i, isPlain: i % 10 === 0 })),
    );
    expect(all.every((one) => one.equals(first))).toBe(true);
    expect(core.made).toBe(1);
    change(table, 512);
    expect((await read(snapshots, { from: 5_000 })).equals(first)).toBe(true);
    // Later than there is: as late as there is.
    expect((await read(snapshots, { from: 99_999 })).equals(bytes())).toBe(true);
    change(table, 513);
    expect((await read(snapshots, { from: 5_512 })).equals(bytes())).toBe(true);
    expect(core.made).toBe(3);
    step(core, { kind: 'signed_by', signer: nodeSigner(seed('the next')) }, 0);
    expect((await read(snapshots, { from: 0 })).equals(bytes())).toBe(true);
    expect(core.made).toBe(4);
  });

  it('is begun no sooner than a while after the one before', async () => {
    const { table, core, snapshots, bytes } = makeFeed(10, { everyMs: 300 });
    await read(snapshots);
    const waiting = Array.from({ length: 20 }, () => {
      change(table, 1);
      return read(snapshots);
    });
    expect((await Promise.all(waiting)).every((one) => one.equals(bytes()))).toBe(true);
    expect(core.made).toBe(2);
    change(table, 1);
    const gone = new AbortController();
    const refused = expect(snapshots.take(undefined, gone.signal)).rejects.toMatchObject({ code: 'not_ready' });
    gone.abort();
    await refused;
    // Nor is one that would do handed to who is not there.
    await expect(snapshots.take(0, gone.signal)).rejects.toMatchObject({ code: 'not_ready' });
    expect(core.made).toBe(2);
  });

  it('cuts off a reader who takes nothing, and nobody else', async () => {
    const { core, snapshots, cut } = makeFeed(0, { stallMs: 300 });
    const bytes = randomBytes(12 << 20);
    core.pieces = Array.from({ length: 192 }, (_, i) => bytes.subarray(i << 16, (i + 1) << 16));
    const server = createServer((request, response) => {
      void snapshots
        .take(0, never)
        .then((snapshot) => snapshot.read(response, request.url === '/plain').pipe(response));
    });
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    // It reads nothing: more waits for it than the kernel takes.
    const slow = ['/', '/plain'].map((path) => {
      const socket = connect({ port, host: '127.0.0.1' }).pause();
      socket.write(`GET ${path} HTTP/1.1\r\nhost: feed\r\n\r\n`);
      return new Promise<number>((resolve) => {
        const timer = setInterval(() => {
          if (cut.length < 2) return;
          clearInterval(timer);
          socket.on('error', () => undefined).once('close', () => resolve(socket.bytesRead));
          socket.resume();
        }, 10);
      });
    });
    const body = await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer();
    expect(gunzipSync(body).equals(bytes)).toBe(true);
    const [read, readPlain] = await Promise.all(slow);
    expect(read).toBeLessThan(body.byteLength);
    expect(readPlain).toBeLessThan(bytes.length);
    expect(cut).toEqual(['slow', 'slow']);
  });

  it('that nobody reads any more is not made on once there is another', async () => {
    const { core, table, snapshots } = makeFeed(1);
    let taken = 0;
    const piece = randomBytes(1 << 16);
    core.pieces = (function* () {
      for (; ; taken++) yield piece;
    })();
    const gone = new Writable({ write: () => undefined });
    const endless = await snapshots.take(undefined, never);
    endless.read(gone, false);
    gone.destroy();
    change(table, 1);
    core.pieces = undefined;
    await read(snapshots);
    let [before, still] = [-1, 0];
    for (const end = Date.now() + 20_000; still < 20; still = taken === before ? still + 1 : 0, before = taken) {
      expect(Date.now()).toBeLessThan(end);
      await sleep(5);
    }
    // Who reads on gets to the end, whatever others do.
    const [reader, other] = [new PassThrough(), new Writable({ write: () => undefined })];
    const shared = await snapshots.take(undefined, never);
    const body = buffer(reader);
    shared.read(other, false);
    const done = pipeline(shared.read(reader, false), reader);
    change(table, 1);
    await snapshots.take(undefined, never);
    other.destroy();
    await done;
    expect(gunzipSync(await body).length).toBeGreaterThan(0);
  });

  it('is not made where many are being read already', async () => {
    const { table, core, snapshots } = makeFeed(10);
    for (let i = 0; i < 4; i++) {
      const reader = new Writable({ write: () => undefined });
      (await snapshots.take(undefined, never)).read(reader, false);
      change(table, 1);
    }
    await expect(snapshots.take(undefined, never)).rejects.toMatchObject({ code: 'overloaded' });
    // Those that are there are read all the same.
    await read(snapshots, { from: core.seq - 1 });
    expect(core.made).toBe(4);
  });
});
