import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Publisher } from '../../src/guard/publisher.js';
import { makeGuard } from './support.js';

interface Event {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
}

let folder: string;
let server: Server;
let url: string;
/** By id, as an intake that takes each once. */
const got = new Map<string, Event>();
/** How many requests are answered 503, and whether after taking them. */
let failing = 0;
let takesThem = false;

beforeEach(async () => {
  got.clear();
  folder = await mkdtemp(join(tmpdir(), 'keelson-spool-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const events = JSON.parse(Buffer.concat(chunks).toString()) as Event[];
      const fails = failing-- > 0;
      if (!fails || takesThem) for (const event of events) got.set(event.id, event);
      response.statusCode = fails ? 503 : 200;
      response.end(JSON.stringify({ accepted: events.length, quarantined: 0 }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const open = (more: { maxSpoolBytes?: number } = {}): Publisher =>
  new Publisher(makeGuard().core, { url, token: 'kls_x', point: 'gateway', spoolFolder: folder, ...more });

const until = async (enough: () => boolean): Promise<void> => {
  while (!enough()) await turn();
};

it.each([false, true])('what it took arrives once, though the server fails (having taken it: %s)', async (takes) => {
  [failing, takesThem] = [3, takes];
  const publisher = open();
  for (let i = 0; i < 1_200; i++) expect(publisher.publish({ decision: 'deny', tool: `t${i}` })).toBe(true);
  await until(() => got.size === 1_200 && publisher.counts.waitingBytes === 0);
  await publisher.close();
  const sequences = [...got.values()].map(({ sequence }) => sequence).sort((a, b) => a - b);
  expect(sequences).toEqual(Array.from({ length: 1_200 }, (_, i) => i));
  expect([...got.values()][0]).toMatchObject({ point: 'gateway', decision: 'deny', enforcement: { generation: 1 } });
  expect(await readdir(folder)).toEqual([]);
});

it('what does not fit leaves a gap, and is counted', async () => {
  failing = 1_000_000;
  const publisher = open({ maxSpoolBytes: 3_000 });
  const taken = Array.from({ length: 20 }, () => publisher.publish({ decision: 'allow' }));
  const lost = taken.filter((kept) => !kept).length;
  expect(lost).toBeGreaterThan(0);
  expect(publisher.counts).toMatchObject({ taken: 20, lost });
  failing = 0;
  await until(() => got.size === 20 - lost && publisher.counts.waitingBytes === 0);
  expect(publisher.publish({ decision: 'allow' })).toBe(true);
  await until(() => got.size === 21 - lost);
  expect(Math.max(...[...got.values()].map(({ sequence }) => sequence))).toBe(20);
  await publisher.close();
});

it('a process that is killed loses none of what it took; a line that was cut off is no line', async () => {
  failing = 1_000_000;
  const script = fileURLToPath(new URL('publish-child.ts', import.meta.url));
  const hooks = fileURLToPath(new URL('../support/typescript.mjs', import.meta.url));
  const tally = join(folder, 'tally');
  const child = spawn(process.execPath, ['--import', hooks, script, url, folder, tally], { stdio: 'inherit' });
  const over = once(child, 'close');
  const taken = async (): Promise<number> => (await stat(tally).catch(() => ({ size: 0 }))).size;
  while ((await taken()) < 5_000) await turn();
  child.kill('SIGKILL');
  expect(await over).toEqual([null, 'SIGKILL']);
  await writeFile(join(folder, '9999999999999999.spool'), '{"id":"half a li');
  failing = 0;
  const publisher = open();
  await until(() => publisher.counts.waitingBytes === 0);
  await publisher.close();
  // It may have taken some more, and not come to say so.
  expect(got.size).toBeGreaterThanOrEqual(await taken());
  expect(new Set([...got.values()].map(({ sequence }) => sequence)).size).toBe(got.size);
  expect(got.size).toBe(Math.max(...[...got.values()].map(({ sequence }) => sequence)) + 1);
});
