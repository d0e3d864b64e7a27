/** From a leaver to a file that shows who enforced it, checked by another process that knows nothing but the ledger's key. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Guard } from '../../src/guard/guard.js';
import { join, readMembership } from '../../src/guard/join.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { parseLedgerKey } from '../../src/verify/ledger-key.js';
import { verifyCertificate, type CertificateReport } from '../../src/verify/verify-certificate.js';
import { seed } from '../guard/support.js';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ISSUER = 'https://idp.example';
let server: ServerProcess;
let admin: Api;
let key: string;
let folder: string;
const guards: Guard[] = [];

beforeAll(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'keelson-certificate-'));
  server = await startServer();
  admin = await Api.admin(server);
  key = (await admin.get<{ ledger: string }>('/v1/keys')).body.ledger;
  expect((await admin.post('/v1/points', { point: 'gateway' })).status).toBe(201);
});
afterAll(async () => {
  await Promise.all(guards.map((guard) => guard.close()));
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (const end = Date.now() + 20_000; ;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`not in time\n${server.log}`);
    await sleep(20);
  }
}

async function startGuard(name: string): Promise<void> {
  const { body } = await admin.post<Json>('/v1/enrolments', { point: 'gateway', uses: 1, expiresInS: 3600 });
  const signer = nodeSigner(seed(name));
  const membership = readMembership(await join(server.url, body.token as string, signer), signer);
  const guard = new Guard({ url: server.url, membership });
  guards.push(guard);
  guard.start();
  await until(() => (guard.core.lease === undefined ? undefined : true));
}

/** Token `jti` of a person is used, or refused. */
async function decide(jti: string, id: string, decision: 'allow' | 'deny'): Promise<void> {
  const event = {
    type: 'decision.made',
    timestamp: new Date().toISOString(),
    agent: 'build-agent',
    tool: 'deploy',
    decision,
    user: { issuer: ISSUER, id },
    token: {
      jti,
      issuer: ISSUER,
      subject: { issuer: ISSUER, id },
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    },
  };
  expect((await admin.post('/v1/decisions', event, { prefer: 'wait=10' })).status).toBe(200);
}

async function revoke(id: string): Promise<string> {
  await admin.post('/v1/revocations', { principal: { issuer: ISSUER, id }, reason: 'left' });
  return until(async () => {
    const { body } = await admin.get<{ items: Json[] }>('/v1/cases');
    return body.items[0]?.order as string | undefined;
  });
}

const certificateOf = (order: string): Promise<{ status: number; body: Json }> =>
  admin.get<Json>(`/v1/cases/${order}/certificate`);

const check = (bytes: Uint8Array): CertificateReport =>
  verifyCertificate({ hasher, verifier, key: parseLedgerKey(hasher, key) }, bytes);

/** What another process says, and its exit code; with no server that it could ask. */
const keelson = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [PROGRAM, ...args],
      { cwd: folder, env: { KEELSON_URL: server.url, KEELSON_TOKEN: admin.token } },
      (error, out, err) => resolve({ code: (error?.code as number | undefined) ?? 0, out, err }),
    );
  });

it('there is none while the case is open, and none of an order that is not', async () => {
  const order = await revoke('nobody');
  await vi.waitFor(async () => {
    const { status, body } = await certificateOf(order);
    expect([status, body.code, body.detail]).toEqual([409, 'case_open', expect.stringContaining('no instance')]);
  }, 20_000);
  expect((await certificateOf('0'.repeat(32))).status).toBe(404);
  expect((await certificateOf('nonsense')).status).toBe(400);
});

it('shows order, acks and last use of a leaver, offline', async () => {
  await startGuard('one');
  await startGuard('two');
  await decide('t-1', 'ana', 'allow');
  await decide('t-1', 'ana', 'allow');
  await decide('t-1', 'ana', 'deny');
  await decide('t-2', 'ana', 'deny');
  await decide('t-9', 'bob', 'allow');
  const order = await revoke('ana');
  await until(async () => ((await certificateOf(order)).status === 200 ? true : undefined));
  const page = await readFile(new URL('../../docs/certificate.md', import.meta.url), 'utf8');
  const [, snippet] = /```shell\n(.*?)\n```/s.exec(page)!;
  const commands = snippet!.split('\n').map((line) => line.replace(/ *#.*/, '').replace('5f0c…', order));
  const [keys, certify, verify] = commands.map((line) => line.replace(/ > .*/, '').split(' ').slice(1));
  expect(commands[0]).toMatch(/ > ledger\.key$/);
  await writeFile(joinPath(folder, 'ledger.key'), (await keelson(...keys!)).out);
  const [got, again] = [await keelson(...certify!), await keelson(...verify!)];
  expect([got.code, again]).toEqual([0, { code: 0, out: got.out, err: '' }]);
  const path = joinPath(folder, 'certificate.json');
  const file = await readFile(path);
  const { certificate, findings } = check(file);
  expect(findings).toEqual([]);
  expect(certificate).toMatchObject({ order, result: 'enforced', reopened: [] });
  expect(certificate.instances.map(({ status }) => status)).toEqual(['acked', 'acked']);
  const { body } = await admin.get<{ hits: Json[] }>('/v1/search?token=t-1&decision=allow');
  const [{ log, index }, ...before] = body.hits as [Json, ...Json[]];
  expect(before).toHaveLength(1);
  expect(certificate.tokens!.shown).toEqual([
    { issuer: ISSUER, token: 't-1', use: { log, index } },
    { issuer: ISSUER, token: 't-2' },
  ]);
  expect(file.includes('ana')).toBe(false);

  await server.stop();
  const verified = await keelson('verify', 'certificate.json', '--key', 'ledger.key');
  expect(verified).toEqual({ code: 0, out: got.out, err: '' });
  expect(verified.out.split('\n').filter((line) => line.length > 100)).toEqual([]);
  const json = await keelson('verify', 'certificate.json', '--key', 'ledger.key', '--json');
  expect(JSON.parse(json.out)).toMatchObject({
    ok: true,
    order,
    result: 'enforced',
    says: certificate.says,
    findings: [],
  });

  file[file.indexOf('enforced')]! ^= 1;
  await writeFile(path, file);
  expect(await keelson('verify', 'certificate.json', '--key', 'ledger.key')).toMatchObject({ code: 1, out: '' });
});
