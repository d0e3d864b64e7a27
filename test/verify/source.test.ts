import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeVerifier as verifier } from '../../src/platform/signer.js';
import { openFolderSource } from '../../src/verify/folder-source.js';
import { openHttpSource } from '../../src/verify/http-source.js';
import { verifyLedger } from '../../src/verify/verify-ledger.js';
import { LEDGER, makeLedger, signer } from '../support/ledger-files.js';

const key = { ledger: LEDGER, publicKey: signer.publicKey };
const { files } = makeLedger(600);
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
});

async function serve(
  answer: (path: string, request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request, response) => answer(request.url!.replace('/ledger/', ''), request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger/`;
}

function serveFile(path: string, response: ServerResponse): void {
  const bytes = files.get(path);
  response.writeHead(bytes ? 200 : 404).end(bytes ?? 'nothing');
}

describe('a folder', () => {
  async function exportFiles(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-verify-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    for (const [path, bytes] of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), bytes);
    }
    return folder;
  }

  it('of exported tiles verifies', async () => {
    const source = openFolderSource(await exportFiles());
    expect((await verifyLedger({ hasher, verifier, source, key })).findings).toEqual([]);
  });

  it("has what is there, and undefined for what isn't", async () => {
    const source = openFolderSource(await exportFiles());
    expect(Buffer.from((await source.read('decisions/0/g1/tile/0/000', 8192))!)).toEqual(
      Buffer.from(files.get('decisions/0/g1/tile/0/000')!),
    );
    expect(await source.read('decisions/0/g1/tile/0/009', 8192)).toBeUndefined();
    expect(await source.read('decisions/0/g1/tile/0', 1 << 20)).toBeUndefined();
    expect(await source.read('decisions/0/g1/checkpoint/x', 8192)).toBeUndefined();
    await expect(source.read('decisions/0/g1/tile/0/000', 8191)).rejects.toMatchObject({ code: 'too_large' });
  });
});

describe('a folder that somebody prepared', () => {
  it('can hold nothing that never ends, or never begins', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-verify-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    await symlink('/dev/zero', join(folder, 'endless'));
    await symlink('loop', join(folder, 'loop'));
    await promisify(execFile)('mkfifo', [join(folder, 'silent')]);
    const socket = createServer().listen(join(folder, 'socket'));
    await once(socket, 'listening');
    cleanups.push(() => new Promise((resolve) => socket.close(resolve)));
    const source = openFolderSource(folder);
    for (const name of ['endless', 'loop', 'silent', 'socket']) expect(await source.read(name, 8192)).toBeUndefined();
  });
});

describe('a server', () => {
  it('verifies, with its token and compressed', async () => {
    const tokens = new Set<string | undefined>();
    const url = await serve((path, request, response) => {
      tokens.add(request.headers.authorization);
      const bytes = files.get(path);
      if (!bytes) response.writeHead(404).end();
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes));
    });
    const source = openHttpSource(url, { token: 'secret' });
    expect((await verifyLedger({ hasher, verifier, source, key })).findings).toEqual([]);
    expect([...tokens]).toEqual(['Bearer secret']);
  });

  it('that is busy or breaks off is asked again', async () => {
    const asked = new Map<string, number>();
    const url = await serve((path, _, response) => {
      const times = (asked.get(path) ?? 0) + 1;
      asked.set(path, times);
      if (path.endsWith('checkpoint') && times === 1) response.writeHead(503).end();
      else if (path.endsWith('tile/0/001') && times === 1) response.destroy();
      else serveFile(path, response);
    });
    const { findings } = await verifyLedger({ hasher, verifier, source: openHttpSource(url), key });
    expect(findings).toEqual([]);
    expect(asked.get('decisions/0/g1/tile/0/001')).toBe(2);
  });

  it.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ])('that answers %i is not asked again', async (status, code) => {
    let asked = 0;
    const url = await serve((_, __, response) => (asked++, response.writeHead(status).end()));
    await expect(openHttpSource(url).read('decisions/0/g1/checkpoint', 99)).rejects.toMatchObject({ code });
    expect(asked).toBe(1);
  });

  it('that never answers rightly is given up', async () => {
    let asked = 0;
    const url = await serve((_, __, response) => (asked++, response.writeHead(500).end()));
    await expect(openHttpSource(url).read('x', 99)).rejects.toMatchObject({ code: 'not_ready' });
    expect(asked).toBe(4);
    cleanups.splice(0).map((clean) => void clean());
    await expect(openHttpSource(url).read('x', 99)).rejects.toMatchObject({ code: 'not_ready' });
  });

  it("can't send more than asked for, nor what unpacks to more", async () => {
    const url = await serve((_, __, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(new Uint8Array(1 << 20)));
    });
    await expect(openHttpSource(url).read('x', 8192)).rejects.toMatchObject({ code: 'too_large' });
    expect(await openHttpSource(url).read('x', 1 << 20)).toHaveLength(1 << 20);
  });
});
