import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { createServer as listen, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.js';
import { createServer, type Server } from '../../src/server.js';
import { startProcess } from '../support/process.js';

let dataFolder: string;
let servers: Server[];
beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keelson-server-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(dataFolder, { recursive: true });
});

function create(environment: Record<string, string> = {}): Server {
  const config = readConfig({ KEELSON_DATA: dataFolder, KEELSON_PORT: '0', ...environment });
  const server = createServer(config, { logger: pino({ level: 'silent' }) });
  servers.push(server);
  return server;
}

/** What says that something still runs on the data folder. */
const leftovers = async (): Promise<string[]> => {
  const names = [...(await readdir(dataFolder)), ...(await readdir(join(dataFolder, 'postgres')).catch(() => []))];
  return names.filter((name) => name.startsWith('lock') || name === 'postmaster.pid');
};

async function publish(server: Server, id: string): Promise<unknown> {
  const { url, adminTokenFile } = server.running;
  const response = await fetch(`${url}/v1/decisions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${(await readFile(adminTokenFile, 'utf8')).trim()}`,
      'content-type': 'application/json',
      prefer: 'wait=30',
    },
    body: JSON.stringify({ id, timestamp: '2024-01-20T10:30:00Z', agent: 'a', tool: 't', decision: 'allow' }),
  });
  return response.json();
}

describe('the server', () => {
  test('takes a decision to the ledger, and goes on with it after a stop', async () => {
    const first = create();
    await first.start();
    expect(await publish(first, 'one')).toMatchObject({
      accepted: 1,
      items: [{ status: 'accepted', log: 'decisions/0/g1' }],
    });
    expect((await stat(first.running.adminTokenFile)).mode & 0o777).toBe(0o600);
    const { verifierKey } = first.running;
    await first.stop();
    await first.stop();
    expect(await leftovers()).toEqual([]);

    const second = create();
    await second.start();
    expect(second.running.verifierKey).toBe(verifierKey);
    const answer = (await publish(second, 'one')) as { items: { repeat?: boolean; index: string }[] };
    const again = (await publish(second, 'two')) as { items: { index: string }[] };
    expect(BigInt(again.items[0]!.index)).toBeGreaterThan(BigInt(answer.items[0]!.index));
  });

  test('is the only one on its data', async () => {
    const one = create();
    await one.start();
    await expect(create().start()).rejects.toMatchObject({ code: 'already_running' });
    expect(await publish(one, 'still here')).toMatchObject({ accepted: 1 });
  });

  test('that can not listen leaves nothing running', async () => {
    const blocker = listen();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const port = String((blocker.address() as AddressInfo).port);
    await expect(create({ KEELSON_PORT: port }).start()).rejects.toMatchObject({ code: 'address_in_use' });
    blocker.close();
    expect(await leftovers()).toEqual([]);
    await expect(create({ KEELSON_HOST: '203.0.113.1' }).start()).rejects.toMatchObject({ code: 'invalid_config' });
    expect(await leftovers()).toEqual([]);
    const server = create({ KEELSON_PORT: port });
    await server.start();
    expect(server.running.url).toBe(`http://127.0.0.1:${port}`);
  });

  test('without the keys of its ledger refuses, and makes no new ones', async () => {
    const server = create();
    await server.start();
    await publish(server, 'one');
    await server.stop();
    await rename(join(dataFolder, 'keys'), join(dataFolder, 'elsewhere'));
    await expect(create().start()).rejects.toMatchObject({ code: 'missing_key' });
    expect(await readdir(dataFolder)).not.toContain('keys');
    await rename(join(dataFolder, 'elsewhere'), join(dataFolder, 'keys'));
    const back = create();
    await back.start();
    expect(await publish(back, 'two')).toMatchObject({ accepted: 1 });
  });

  test('stopped while it starts, stops', async () => {
    const server = create();
    const starting = server.start();
    await server.stop();
    await starting.catch(() => undefined);
    expect(await leftovers()).toEqual([]);
  });
});

describe('keelson serve', () => {
  /** The program as a process, its output collected. */
  function serve(environment: Record<string, string> = {}) {
    const env = { PATH: process.env['PATH'], KEELSON_DATA: dataFolder, KEELSON_PORT: '0', ...environment };
    const child = startProcess(new URL('../../src/main.ts', import.meta.url), ['serve'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const welcomed = new Promise<void>((resolve) => {
      child.stdout!.on('data', () => text.includes('Stop with Ctrl-C') && resolve());
      child.once('exit', () => resolve());
    });
    return { child, welcomed, text: () => text };
  }

  test.each(['SIGINT', 'SIGTERM'] as const)('says where it is, and ends with 0 on %s', async (signal) => {
    const { child, welcomed, text } = serve();
    await welcomed;
    const url = /Keelson listens on (http:\S+)/.exec(text())?.[1];
    expect(url, text()).toBeDefined();
    expect(text()).toContain(join(dataFolder, 'admin.token'));
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await leftovers()).toEqual([]);
  });

  test('takes two signals in a row, as npm hands on what the terminal sent already, for one', async () => {
    const { child, welcomed, text } = serve();
    await welcomed;
    child.kill('SIGINT');
    await sleep(50);
    child.kill('SIGINT');
    expect(await once(child, 'exit'), text()).toEqual([0, null]);
    expect(await leftovers()).toEqual([]);
  });

  test('ends with an error when its database dies', async () => {
    const { child, welcomed, text } = serve();
    await welcomed;
    const pid = Number((await readFile(join(dataFolder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGKILL');
    expect(await once(child, 'exit'), text()).toEqual([1, null]);
  });

  test('tells every problem of its settings, and does nothing', async () => {
    const { child, text } = serve({ KEELSON_PORT: 'x', KEELSON_PROT: '1' });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).not.toBe(0);
    expect(text()).toMatch(/KEELSON_PORT is "x"[^]*KEELSON_PROT/);
    expect(await readdir(dataFolder)).toEqual([]);
  });
});
