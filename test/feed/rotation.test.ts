/** Feed keys are replaced under guards that are connected: none of them refuses anything for it. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.js';
import { parseBase64 } from '../../src/core/bytes.js';
import { Guard } from '../../src/guard/guard.js';
import { join, readMembership } from '../../src/guard/join.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { seed } from '../guard/support.js';

let server: ServerProcess;
let admin: Api;
const guards: Guard[] = [];

beforeAll(async () => {
  server = await startServer();
  admin = await Api.admin(server);
  await admin.post('/v1/points', { point: 'gateway' });
});
afterAll(async () => {
  for (const guard of guards) void guard.close();
  await server?.stop();
});

async function keelson(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const env = { KEELSON_DATA: server.dataFolder };
  const code = await runCli(args, { stdin: new PassThrough(), stdout, stderr, env });
  const text = (stream: PassThrough): string => ((stream.read() as Buffer | null) ?? '').toString();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function until(enough: () => boolean): Promise<void> {
  for (const end = Date.now() + 30_000; !enough();) {
    if (Date.now() > end) throw new Error(`not in time\n${server.log}`);
    await sleep(5);
  }
}

it('a new key, the old one left out, an offline root: no guard refuses, and none goes back', async () => {
  const enrolment = { point: 'gateway', uses: 10, expiresInS: 3600 };
  const { body } = await admin.post<Json>('/v1/enrolments', enrolment);
  const token = body.token as string;
  const signer = nodeSigner(seed('rotated'));
  const membership = await join(server.url, token, signer);
  const problems: string[] = [];
  const guard = new Guard({
    url: server.url,
    membership: readMembership(membership, signer),
    // Renewed every second.
    maxStalenessMs: 3_000,
    onProblem: (problem) => problems.push(typeof problem === 'string' ? problem : problem.message),
  });
  guards.push(guard);
  guard.start();
  const ana = guard.tokenOf({ issuer: 'https://idp', subject: 'ana', jti: 't1', issuedAtUs: Date.now() * 1000 });
  await until(() => guard.check(ana).allowed);
  const refusals: unknown[] = [];
  const watch = setInterval(() => {
    const decision = guard.check(ana);
    if (!decision.allowed) refusals.push(decision);
  }, 5);
  const renewed = async (): Promise<void> => {
    for (let i = 0; i < 2; i++) {
      const { lease } = guard.core;
      await until(() => guard.core.lease !== lease);
    }
  };
  try {
    expect(await keelson('feed-key', 'rotate')).toMatchObject({ code: 0, stdout: '' });
    await until(() => guard.core.keySetVersion === 2);
    await renewed();
    expect(guard.core.keySet!.publicKeys).toHaveLength(2);
    expect((await keelson('feed-key', 'rotate')).code).toBe(2);
    expect((await keelson('feed-key', 'show')).stdout).toMatch(/ signs\n.* its file is here\n/s);

    expect((await keelson('feed-key', 'finish')).code).toBe(0);
    await until(() => guard.core.keySetVersion === 3);
    // By the new key alone.
    await renewed();
    expect(guard.core.keySet!.publicKeys).toHaveLength(1);

    // The root is taken elsewhere, and signs there.
    const keys = joinPath(server.dataFolder, 'keys');
    const elsewhere = joinPath(server.dataFolder, 'elsewhere');
    await mkdir(elsewhere);
    await rename(joinPath(keys, 'feed-root.key'), joinPath(elsewhere, 'root.key'));
    const [request, signed] = [joinPath(elsewhere, 'set.json'), joinPath(elsewhere, 'set.signed')];
    expect((await keelson('feed-key', 'renew')).code).toBe(2);
    expect((await keelson('feed-key', 'renew', '--expires-in', '30', '--request', request)).code).toBe(0);
    const sign = ['feed-key', 'sign', request, '--root', joinPath(elsewhere, 'root.key'), '--out', signed];
    expect(await keelson(...sign)).toMatchObject({ code: 0, stderr: expect.stringContaining('set 4') as string });
    expect((await keelson('feed-key', 'install', signed)).code).toBe(0);
    await until(() => guard.core.keySetVersion === 4);
    await renewed();
    expect((await keelson('feed-key', 'install', signed)).code).not.toBe(0);
    await writeFile(request, (await readFile(request, 'utf8')).replace('"version": 4', '"version": 5'));
    const forged = ['feed-key', 'sign', request, '--root', joinPath(keys, 'feed.key'), '--out', `${signed}.forged`];
    expect((await keelson(...forged)).code).not.toBe(0);

    expect(refusals).toEqual([]);
    expect(problems).toEqual([]);
    // What it heard when it joined is the past.
    guard.hear(parseBase64(membership.keySet)!);
    expect(problems).toEqual(['out_of_range']);
    expect(guard.core.keySetVersion).toBe(4);
  } finally {
    clearInterval(watch);
  }

  // It expires in 30 days, which is told.
  const { body: ready } = await admin.get<{ checks: Json[] }>('/readyz');
  const check = ready.checks.find(({ name }) => name === 'feed-keys');
  expect(check).toMatchObject({ ready: true, warning: expect.stringContaining('expires in 29 days') as string });

  const revoked = { principal: { issuer: 'https://idp', id: 'ana' }, reason: 'left' };
  expect((await admin.post('/v1/revocations', revoked)).status).toBe(200);
  await until(() => !guard.check(ana).allowed);
  expect(guard.check(ana)).toMatchObject({ reason: 'blocked' });
  // Who comes now gets the set in force.
  const late = await join(server.url, token, nodeSigner(seed('late to the rotation')));
  expect(parseBase64(late.keySet)).not.toEqual(parseBase64(membership.keySet));
});
