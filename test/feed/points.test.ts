/** Points from the command line, and what lets their processes in, on a real server. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.js';
import { formatBase64, formatHex } from '../../src/core/bytes.js';
import { join } from '../../src/guard/join.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { signFailOpen } from '../../src/protocol/fail-open.js';
import { signJoin } from '../../src/protocol/join.js';
import { signRequest } from '../../src/protocol/request.js';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { seed } from '../guard/support.js';
import { accountClaims, Issuer, makeKey, sign, soon, type SigningKey } from './platform.js';

let server: ServerProcess;
let admin: Api;

let issuer: Issuer;
let clusterKey: SigningKey;
let svidKey: SigningKey;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'keelson-points-'));
  [issuer, clusterKey, svidKey] = await Promise.all([Issuer.start(), makeKey('cluster'), makeKey('svid')]);
  issuer.keys = [clusterKey];
  const write = async (name: string, content: object): Promise<string> => {
    await writeFile(joinPath(folder, name), JSON.stringify(content));
    return joinPath(folder, name);
  };
  await write('bundle.json', { keys: [{ ...svidKey.jwk, use: 'jwt-svid' }] });
  server = await startServer({
    env: {
      KEELSON_REGISTRATION_FILE: await write('registration.json', {
        trust_domains: { 'example.org': { bundle: 'bundle.json' } },
      }),
      KEELSON_FEED_JOIN_FILE: await write('join.json', {
        audiences: ['keelson'],
        clusters: { prod: { issuer: issuer.url } },
        points: { mesh: { service_accounts: ['prod/edge/gateway'], spiffe_ids: ['spiffe://example.org/gateway'] } },
      }),
    },
  });
  admin = await Api.admin(server);
});
afterAll(async () => {
  await server?.stop();
  issuer?.close();
  await rm(folder, { recursive: true, force: true });
});

async function keelson(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: admin.token };
  const code = await runCli(args, { stdin: new PassThrough(), stdout, stderr, env });
  const text = (stream: PassThrough): string => ((stream.read() as Buffer | null) ?? '').toString();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const json = async (...args: string[]): Promise<Json> => {
  const { code, stdout, stderr } = await keelson(...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Json;
};
const tokenFor = async (point: string, uses = 1): Promise<{ id: string; token: string }> =>
  (await json('point', 'token', point, '--uses', String(uses))) as { id: string; token: string };
const joinAs = (name: string, token: string): Promise<{ instance: string; point: string; ledger: string }> =>
  join(server.url, token, nodeSigner(seed(name)));

/** Entries of lifecycle of Keelson's own about an instance, oldest first. */
async function entriesOf(instance: string): Promise<Json[]> {
  const found: Json[] = [];
  for (let index = 0; ; index++) {
    const { status, body } = await admin.get<{ event: Json }>(`/v1/logs/lifecycle/0/g1/entries/${index}`);
    if (status !== 200) return found;
    if (body.event?.instance === instance) found.push(body.event);
  }
}

describe('keelson point', () => {
  it('enrols, makes tokens, shows who has come, and what is left; readable at 100 columns', async () => {
    expect(await keelson('point', 'enrol', 'edge/gateway')).toMatchObject({ code: 0, stderr: /edge\/gateway/ });
    const out = joinPath(server.dataFolder, 'edge.enrolment');
    expect(await keelson('point', 'token', 'edge/gateway', '--uses', '3', '--out', out)).toMatchObject({ code: 0 });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    const token = (await readFile(out, 'utf8')).trim();
    expect(token).toMatch(/^kle_[0-9A-Za-z]{49}$/);
    const { instance } = await joinAs('edge 1', token);
    const { stdout } = await keelson('point', 'show', 'edge/gateway');
    expect(stdout).toContain('2 of 3');
    expect(stdout).toMatch(new RegExp(`${instance} +\\S+ +joined +enrolment/[0-9a-f]{16}\n`));
    expect(stdout).not.toContain(token);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    const { stdout: list } = await keelson('point', 'list');
    expect(list).toMatch(/\nedge\/gateway +\S+ +1 +0 +enrolled\n/);
    expect(await json('point', 'show', 'edge/gateway')).toMatchObject({
      point: 'edge/gateway',
      instances: [{ instance, failOpen: [] }],
      enrolments: [{ uses: 3, usesLeft: 2 }],
    });
    const [entry] = await entriesOf(instance);
    expect(entry!.type).toBe('point.enrolled');
    expect(entry!.joined_by).toMatch(/^enrolment\/[0-9a-f]{16}$/);
  });

  it('is of one kind, as its entry says, also where two ask at once for either', async () => {
    for (let i = 0; i < 5; i++) {
      const point = `either/${i}`;
      const kinds = i % 2 === 0 ? [true, false] : [false, true];
      const answers = await Promise.all(kinds.map((signalled) => admin.post('/v1/points', { point, signalled })));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
      const isSignalled = kinds[answers.findIndex(({ status }) => status === 201)];
      const { body } = await admin.get<Json>(`/v1/points/${encodeURIComponent(point)}`);
      expect(body.signalled ?? false).toBe(isSignalled);
    }
  });

  it('a token that is revoked lets nobody else in, and who has come stays', async () => {
    await keelson('point', 'enrol', 'revoked');
    const { id, token } = await tokenFor('revoked', 10);
    await joinAs('before', token);
    expect((await keelson('point', 'revoke-token', id)).code).toBe(0);
    await expect(joinAs('after', token)).rejects.toMatchObject({ code: 'forbidden' });
    expect((await keelson('point', 'show', 'revoked')).stdout).toMatch(new RegExp(`${id} +9 of 10 +revoked `));
    expect((await json('point', 'show', 'revoked')).instances).toHaveLength(1);
    expect((await keelson('point', 'revoke-token', '0123456789abcdef')).code).toBe(5);
    expect((await keelson('point', 'show', 'nowhere')).code).toBe(5);
    expect((await keelson('point', 'token', 'nowhere')).code).toBe(5);
  });

  it('lists page by page', async () => {
    const points = Array.from({ length: 5 }, (_, i) => `paged-${i}`);
    for (const point of points) await keelson('point', 'enrol', point);
    const listed: unknown[] = [];
    for (let path: string | undefined = '/v1/points?limit=2'; path !== undefined;) {
      const page: { points: { point: string }[]; next?: string } = (await admin.get<never>(path)).body;
      listed.push(...page.points.map(({ point }) => point));
      path = page.next && `/v1/points?limit=2&cursor=${page.next}`;
    }
    expect(listed.filter((one) => points.includes(one as string))).toEqual(points);
    const { token } = await tokenFor('paged-0', 3);
    for (const name of ['p1', 'p2', 'p3']) await joinAs(name, token);
    const { body } = await admin.get<{ instances: Json[]; next: string }>('/v1/points/paged-0/instances?limit=2');
    const { body: rest } = await admin.get<{ instances: Json[]; next?: string }>(
      `/v1/points/paged-0/instances?limit=2&cursor=${body.next}`,
    );
    expect(body.instances).toHaveLength(2);
    expect(rest).toMatchObject({ instances: [{}] });
    expect(rest.next).toBeUndefined();
  });
});

describe('joining', () => {
  it('a token for 5 lets in 5 of 20 that come at once, and each of them again', async () => {
    await keelson('point', 'enrol', 'crowded');
    const { token } = await tokenFor('crowded', 5);
    const names = Array.from({ length: 20 }, (_, i) => `crowd ${i}`);
    const came = await Promise.allSettled(names.map((name) => joinAs(name, token)));
    const inside = names.filter((_, i) => came[i]!.status === 'fulfilled');
    expect(inside).toHaveLength(5);
    for (const one of came) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'forbidden' });
    }
    const again = await Promise.all(inside.map((name) => joinAs(name, token)));
    expect(new Set(again.map(({ instance }) => instance)).size).toBe(5);
    expect(await json('point', 'show', 'crowded')).toMatchObject({ enrolments: [{ usesLeft: 0 }] });
  });

  it('what was signed for one key, token or point is of no use with another', async () => {
    await keelson('point', 'enrol', 'ours');
    await keelson('point', 'enrol', 'theirs');
    const [ours, theirs] = [await tokenFor('ours', 5), await tokenFor('theirs', 5)];
    const [mine, thief] = [nodeSigner(seed('mine')), nodeSigner(seed('a thief'))];
    const send = async (token: string, key: typeof mine, signature: Uint8Array, more = {}): Promise<unknown> => {
      const keys = { publicKey: formatBase64(key.publicKey), signature: formatBase64(signature) };
      const { status, body } = await admin.post<Json>('/v1/feed/join', { token, ...keys, ...more });
      return status === 200 ? 'in' : body.code;
    };
    const signature = signJoin(mine, ours.token);
    expect(await send(ours.token, thief, signature)).toBe('bad_signature');
    expect(await send(theirs.token, mine, signature)).toBe('bad_signature');
    expect(await send(ours.token, mine, signature, { failOpen: ['deploy'] })).toBe('bad_signature');
    expect(await send(ours.token, mine, signature)).toBe('in');
    // A key is of one point.
    expect(await send(theirs.token, mine, signJoin(mine, theirs.token))).toBe('forbidden');
    for (const token of ['kle_wrong', `${ours.token.slice(0, -1)}_`, `kls_${ours.token.slice(4)}`, '']) {
      expect(await send(token, mine, signJoin(mine, token)), token).toBe('forbidden');
    }
  });
});

describe('a workload', () => {
  it('joins by what its platform gives it, with a key of its own; the entry says who it is', async () => {
    const account = await sign(clusterKey, accountClaims(issuer.url, 'edge', 'gateway', 'keelson'));
    await expect(joinAs('pod 1', account)).rejects.toMatchObject({ code: 'forbidden' });
    await keelson('point', 'enrol', 'mesh');
    const pod = await joinAs('pod 1', account);
    expect(pod.point).toBe('mesh');
    const id = 'spiffe://example.org/gateway';
    const workload = await joinAs('workload 1', await sign(svidKey, { sub: id, aud: ['keelson'], exp: soon() }));
    expect((await entriesOf(pod.instance))[0]).toMatchObject({ point: 'mesh', joined_by: 'prod/edge/gateway' });
    expect((await entriesOf(workload.instance))[0]).toMatchObject({ point: 'mesh', joined_by: id });

    // Another token of the same workload, the same key: the same instance.
    const next = await sign(clusterKey, { ...accountClaims(issuer.url, 'edge', 'gateway', 'keelson'), jti: '2' });
    expect((await joinAs('pod 1', next)).instance).toBe(pod.instance);
    // Who has seen somebody join has no key to join with, and can't put theirs in its place.
    const [pods, thief] = [nodeSigner(seed('pod 1')), nodeSigner(seed('thief of pods'))];
    const body = {
      token: next,
      publicKey: formatBase64(thief.publicKey),
      signature: formatBase64(signJoin(pods, next)),
    };
    expect((await admin.post<Json>('/v1/feed/join', body)).body.code).toBe('bad_signature');
    const late = await sign(clusterKey, { ...accountClaims(issuer.url, 'edge', 'gateway', 'keelson'), exp: soon(-60) });
    await expect(joinAs('pod 2', late)).rejects.toThrow(/expired/);
  });
});

describe('a tool that fails open', () => {
  it('is an entry when an instance joins with it, and when that changes', async () => {
    await keelson('point', 'enrol', 'open');
    const { token } = await tokenFor('open');
    const key = nodeSigner(seed('opens'));
    const failOpen = ['deploy', 'read'];
    const joinWith = async (tools: string[]): Promise<Json> => {
      const signature = formatBase64(signJoin(key, token, tools));
      const body = { token, publicKey: formatBase64(key.publicKey), signature, failOpen: tools };
      const answer = await admin.post<Json>('/v1/feed/join', body);
      expect(answer.status).toBe(200);
      return answer.body;
    };
    const { instance: name, ledger } = (await joinWith(failOpen)) as { instance: string; ledger: string };
    const instance = Buffer.from(name, 'hex');
    const state = async (): Promise<unknown> => (await json('point', 'show', 'open')).instances;
    expect(await state()).toMatchObject([{ instance: name, failOpen }]);
    expect((await keelson('point', 'list')).stdout).toMatch(/\nopen +\S+ +1 +1 +enrolled\n/);

    const path = '/v1/feed/fail-open';
    const say = async (tools: string[], atUs: number, id = instance): Promise<unknown> => {
      const authorization = signRequest(key, ledger, { method: 'POST', path }, { instance, atUs: Date.now() * 1000 });
      const answer = await fetch(server.url + path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/vnd.keelson.feed' },
        body: Buffer.from(signFailOpen(key, ledger, { instance: id, atUs, tools })),
      });
      return answer.status === 204 ? 'said' : ((await answer.json()) as Json).code;
    };
    const atUs = Date.now() * 1000;
    expect(await say(['*'], atUs)).toBe('said');
    expect(await say(['*'], atUs)).toBe('said');
    // A request to join says no time: it may be one of before.
    await joinWith([]);
    expect(await state()).toMatchObject([{ failOpen: ['*'] }]);
    expect(await say([], atUs - 1)).toBe('replayed');
    expect(await say([], atUs - 400_000_000)).toBe('out_of_range');
    expect(await say([], atUs, Buffer.from(seed('another').subarray(0, 16)))).toBe('forbidden');
    // What is taken back may wait, what is added may not.
    expect(await say([], atUs + 1)).toBe('overloaded');
    expect(await say(['*'], atUs + 2)).toBe('overloaded');
    expect(await state()).toMatchObject([{ failOpen: ['*'] }]);
    expect(await say(['deploy'], atUs + 10_000_000)).toBe('said');
    expect(await say([], atUs + 10_000_001)).toBe('overloaded');
    expect(await say(['read'], atUs + 10_000_002)).toBe('overloaded');
    expect(await state()).toMatchObject([{ failOpen: ['deploy', 'read'] }]);
    expect(await say(['a', 'deploy', 'read'], atUs + 10_000_003)).toBe('said');
    expect(await say(['a', 'deploy', 'read'], atUs + 10_000_002)).toBe('replayed');
    const many = Array.from({ length: 100 }, (_, i) => `tool ${i}`);
    expect(await say(many, atUs + 10_000_004)).toBe('overloaded');
    expect(await state()).toMatchObject([{ failOpen: ['*'] }]);
    expect(await say([], atUs + 20_000_002)).toBe('overloaded');
    expect(await say([], atUs + 20_000_003)).toBe('said');
    expect(await state()).toMatchObject([{ failOpen: [] }]);
    expect(await say(['read'], atUs + 20_000_004)).toBe('said');
    expect(await say([], atUs + 30_000_004)).toBe('said');
    await joinWith([]);
    const said = (await entriesOf(formatHex(instance))).map(({ type, fail_open: tools }) => [type, tools]);
    expect(said).toEqual([
      ['point.enrolled', undefined],
      ['point.unfenced', failOpen],
      ['point.unfenced', ['*']],
      ['point.unfenced', ['deploy']],
      ['point.unfenced', ['deploy', 'read']],
      ['point.unfenced', ['a', 'deploy', 'read']],
      ['point.unfenced', ['*']],
      ['point.fenced', undefined],
      ['point.unfenced', ['read']],
      ['point.fenced', undefined],
    ]);
  });
});
