import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit.js';
import { formatError, runCli } from '../../src/cli/index.js';

interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}
type Request = { method: string; path: string; token: string | undefined; body: string };

let folder: string;
let server: Server;
let url: string;
let requests: Request[];
let answer: (request: Request) => Reply;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-cli-'));
  requests = [];
  answer = () => ({ body: {} });
  server = createServer((request, response) => {
    void read(request).then((body) => {
      const { method = '', url: path = '', headers } = request;
      const told = { method, path, token: headers.authorization?.replace('Bearer ', ''), body };
      requests.push(told);
      const { status = 200, body: json, headers: more = {} } = answer(told);
      response.writeHead(status, { 'content-type': 'application/json', ...more });
      response.end(json === undefined ? '' : JSON.stringify(json));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function run(args: string[], { stdin = '', env = {} }: { stdin?: string; env?: NodeJS.ProcessEnv } = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io = {
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout,
    stderr,
    env: { KEELSON_DATA: folder, KEELSON_URL: url, ...env },
  };
  const code = await runCli(args, io);
  const text = (stream: PassThrough): string => ((stream.read() as Buffer | null) ?? '').toString();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const problem = (status: number, code: string, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: { code, detail: `because \u001b[31m${code}`, status },
});

describe('exit codes', () => {
  it.each([
    [0, ['--help']],
    [0, ['search', '--help']],
    [2, []],
    [2, ['nonsense']],
    [2, ['search', '--nonsense']],
    [2, ['verify', './tiles']],
    [2, ['get', 'nonsense', '7']],
    [2, ['tokens', 'list', '--token-file', '/nowhere/at/all']],
    [2, ['keys', '--url', 'nonsense']],
    [2, ['keys', '--url', '']],
    [2, ['keys', '--url', 'ftp://keelson.company.com']],
    [2, ['tokens', 'list', '--token', 'two\nlines']],
    [2, ['tokens', 'list', '--token', '']],
    [2, ['fsck']],
    [2, ['rebuild', 'search']],
    [3, ['tokens', 'list', '--url', 'http://127.0.0.1:1']],
  ])('%i for %j', async (code, args) => {
    expect((await run(args)).code).toBe(code);
  });

  it.each([
    [4, 401, 'unauthenticated'],
    [4, 403, 'forbidden'],
    [5, 404, 'not_found'],
    [3, 503, 'overloaded'],
    [2, 400, 'invalid_query'],
    [1, 500, 'tampered'],
  ])('%i for an answer of %i %s, told without effect on the terminal', async (code, status, name) => {
    answer = () => problem(status, name);
    const ran = await run(['search']);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toContain(`[${name}]`);
    expect(ran.stderr).not.toContain('\u001b');
    const { error } = JSON.parse((await run(['search', '--json'])).stderr) as { error: { code: string } };
    expect(error.code).toBe(name);
  });
});

describe('what is wrong with a command line', () => {
  it('is told as JSON, too, where that was asked for', async () => {
    for (const args of [['nonsense'], ['search', '--nonsense'], ['verify'], ['publish', '--batch', '0']]) {
      const { code, stdout, stderr } = await run([...args, '--json']);
      expect([code, stdout]).toEqual([2, '']);
      const { error } = JSON.parse(stderr) as { error: { code: string; detail: string } };
      expect(error.code).toBe('usage');
      expect(error.detail).toMatch(/^[a-z][^\n]*$/);
    }
  });

  it('a file that can’t be used is for the user to mend, not a bug', async () => {
    const error: unknown = await readFile(join(folder, 'nowhere')).catch((thrown: unknown) => thrown);
    expect(exitCodeOf(error)).toBe(2);
    expect(exitCodeOf(new Error('whatever'))).toBe(70);
    expect(formatError(error)).toMatch(/^keelson: ENOENT: [^\n]*$/);
  });

  it('nothing is made where a command beside the service looks for it', async () => {
    const nowhere = join(folder, 'nowhere');
    for (const command of [['fsck'], ['rebuild', 'search']]) {
      expect((await run(command, { env: { KEELSON_DATA: nowhere, KEELSON_URL: '' } })).code).toBe(2);
    }
    await expect(stat(nowhere)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the token', () => {
  it('comes from option, environment, or the local server’s file, in this order', async () => {
    answer = () => ({ body: { tokens: [] } });
    await writeFile(join(folder, 'admin.token'), 'of-the-server\n');
    await writeFile(join(folder, 'mine'), 'of-a-file\n');
    await run(['tokens', 'list']);
    await run(['tokens', 'list'], { env: { KEELSON_TOKEN_FILE: join(folder, 'mine') } });
    await run(['tokens', 'list'], { env: { KEELSON_TOKEN: 'of-the-environment' } });
    await run(['tokens', 'list', '--token-file', join(folder, 'mine')], {
      env: { KEELSON_TOKEN: 'of-the-environment' },
    });
    expect(requests.map(({ token }) => token)).toEqual([
      'of-the-server',
      'of-a-file',
      'of-the-environment',
      'of-a-file',
    ]);
  });

  it('that is made goes into a new file of its owner’s, never over another', async () => {
    answer = () => ({ status: 201, body: { id: 't1', token: 'kls_secret' } });
    const out = join(folder, 'new.token');
    const ran = await run(['tokens', 'create', 'gateway', '--scope', 'read', 'read:personal', '--out', out]);
    expect(ran).toMatchObject({ code: 0, stdout: '' });
    expect(ran.stderr).not.toContain('kls_secret');
    expect(await readFile(out, 'utf8')).toBe('kls_secret\n');
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(requests[0]!.body)).toEqual({
      name: 'gateway',
      producer: 'gateway',
      scopes: ['read', 'read:personal'],
    });
    expect((await run(['tokens', 'create', 'gateway', '--scope', 'read', '--out', out])).code).toBe(2);
    expect(requests.length).toBe(1);
  });
});

describe('publish', () => {
  const accept = ({ body }: Request): Reply => ({
    body: { items: (JSON.parse(body) as { id: string }[]).map(({ id }) => ({ status: 'accepted', id })) },
  });

  it('goes on where it was cut off, and sends again what was not acknowledged', async () => {
    const file = join(folder, 'events.ndjson');
    await writeFile(
      file,
      Array.from({ length: 5 }, (_, n) => `{"timestamp":"2026-11-23T10:00:00Z","n":${n}}\n`).join(''),
    );
    answer = (request) => (requests.length <= 2 ? accept(request) : problem(403, 'forbidden'));
    expect((await run(['publish', file, '--batch', '1'])).code).toBe(4);
    const first = requests.length;
    answer = (request) =>
      requests.length === first + 1 ? problem(503, 'overloaded', { 'retry-after': '0' }) : accept(request);
    const ran = await run(['publish', file, '--batch', '1', '--json']);
    expect(ran.code, ran.stderr).toBe(0);
    expect(
      ran.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { event: number }).event),
    ).toEqual([2, 3, 4]);
    const sent = requests.map(({ body }) => (JSON.parse(body) as { id: string; n: number }[])[0]!);
    expect(sent.map(({ n }) => n)).toEqual([0, 1, 2, 2, 2, 3, 4]);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(5);
    await expect(stat(`${file}.published`)).rejects.toThrow('ENOENT');
  });

  it('says which events were not accepted', async () => {
    answer = () => ({
      body: {
        items: [{ status: 'accepted' }, { status: 'quarantined', code: 'invalid_timestamp', pointer: '/timestamp' }],
      },
    });
    const ran = await run(['publish'], { stdin: '[{"type":"decision.made"},{"type":"decision.made"}]' });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('invalid_timestamp  /timestamp');
  });

  it.each(['not json', '{"a":1', '[{"a":1},]x', '{"a":}'])('refuses %j as input', async (stdin) => {
    answer = accept;
    expect((await run(['publish'], { stdin })).code).toBe(2);
  });
});

describe('search and tail', () => {
  const hit = (index: number): object => ({
    log: 'decisions/0/g1',
    index,
    appendedAt: '2026-11-23T10:00:00Z',
    id: `e${index}`,
    type: 'decision.made',
    event: { decision: 'deny', agent: 'evil\u001b]0;owned\u0007', tool: 't' },
  });

  it('walks every page and shows nothing that could act on the terminal', async () => {
    answer = ({ path }) => {
      const cursor = new URL(path, url).searchParams.get('cursor');
      return { body: cursor === null ? { hits: [hit(1)], end: false, next: 'two' } : { hits: [hit(2)], end: true } };
    };
    const ran = await run(['search', '--jti', 'x y', '--occurred-from', '2026-11-01T00:00:00Z', '--all']);
    expect(ran.code).toBe(0);
    expect(ran.stdout.trim().split('\n').length).toBe(2);
    expect(ran.stdout).toContain('evil\\u{1b}]0;owned\\u{7}');
    const asked = new URL(requests[0]!.path, url).searchParams;
    expect([asked.get('token'), asked.get('occurredFrom')]).toEqual(['x y', '2026-11-01T00:00:00Z']);
  });

  it('keeps numbers exact in JSON', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response) => response.end('{"hits":[{"n":12345678901234567890.10}],"end":true}'));
    expect((await run(['search', '--json'])).stdout).toBe('{"n":12345678901234567890.10}\n');
  });

  it('shows each entry once, as it comes', async () => {
    let page = 0;
    answer = () => ({ body: { hits: page % 2 === 0 ? [] : [hit(page)], next: `c${++page}` } });
    const ran = await run(['tail', '--count', '2', '--json']);
    expect(
      ran.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { index: number }).index),
    ).toEqual([1, 3]);
    expect(requests.map(({ path }) => new URL(path, url).searchParams.get('cursor'))).toEqual([null, 'c1', 'c2', 'c3']);
  });

  it('ends when nobody reads any more', async () => {
    answer = () => ({ body: { hits: [hit(1), hit(2)], next: 'more' } });
    const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(gone) });
    const io = {
      stdin: Readable.from([]),
      stdout,
      stderr: new PassThrough(),
      env: { KEELSON_URL: url, KEELSON_DATA: folder },
    };
    expect(await runCli(['tail', '--json'], io)).toBe(0);
  });
});

describe('quarantine', () => {
  it('is listed, and an original comes back byte for byte', async () => {
    const original = Buffer.from([0x7b, 0xff, 0x00]);
    const kept = { id: 'q1', at: '2026-11-23T10:00:00Z', producer: 'opa', code: 'unmappable' };
    answer = ({ path }) =>
      path.startsWith('/v1/quarantine/')
        ? { body: { ...kept, original: original.toString('base64') } }
        : { body: { items: [kept] } };
    expect((await run(['quarantine', 'list'])).stdout).toMatch(/q1 +2026-11-23T10:00:00Z +opa +unmappable +-/);
    expect((await run(['quarantine', 'show', 'q1', '--out', join(folder, 'original')])).code).toBe(0);
    expect(await readFile(join(folder, 'original'))).toEqual(original);
  });
});
