import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWorkloads } from '../../src/feed/workload/configuration.js';
import { Workloads } from '../../src/feed/workload/workloads.js';
import { parseBundle } from '../../src/identity/registration/bundle.js';
import { accountClaims, Issuer, makeKey, sign, soon, type SigningKey } from './platform.js';

const AUDIENCE = 'keelson.example';
let folder: string;
let issuer: Issuer;
let clusterKey: SigningKey;
let svidKey: SigningKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-workloads-'));
  [issuer, clusterKey, svidKey] = await Promise.all([Issuer.start(), makeKey('cluster-1'), makeKey('svid-1')]);
  issuer.keys = [clusterKey];
});
afterAll(async () => {
  issuer.close();
  await rm(folder, { recursive: true });
});

let files = 0;
async function write(content: unknown): Promise<string> {
  const path = join(folder, `${files++}.json`);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

async function make(cluster: object = {}, points?: object): Promise<Workloads> {
  const path = await write({
    audiences: [AUDIENCE],
    clusters: { prod: { issuer: issuer.url, ...cluster } },
    points: points ?? {
      gateway: { spiffe_ids: ['spiffe://example.org/gateway/*'], service_accounts: ['prod/edge/gateway'] },
      any: { service_accounts: ['prod/tools/*'], spiffe_ids: ['spiffe://example.org/tool'] },
    },
  });
  const bundle = parseBundle(Buffer.from(JSON.stringify({ keys: [{ ...svidKey.jwk, use: 'jwt-svid' }] })));
  return new Workloads({
    configuration: { current: readWorkloads(path) },
    bundles: () => new Map([['example.org', bundle]]),
    ledgerName: 'a ledger',
    clock: { nowUs: () => BigInt(Date.now()) * 1000n },
  });
}

const account = (namespace: string, name: string, more: object = {}, key = clusterKey): Promise<string> =>
  sign(key, { ...accountClaims(issuer.url, namespace, name, AUDIENCE), ...more });
const svid = (sub: string, more: object = {}, key = svidKey): Promise<string> =>
  sign(key, { sub, aud: [AUDIENCE], exp: soon(), ...more });
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (found) => (found === undefined ? 'nobody' : 'in'),
    (error: Error) => error.message.split(': ')[1] ?? error.message,
  );

describe('a service account', () => {
  it('joins the point that its cluster, namespace and name are let into', async () => {
    const workloads = await make();
    expect(await workloads.find(await account('edge', 'gateway'))).toEqual({
      point: 'gateway',
      by: 'prod/edge/gateway',
    });
    expect(await workloads.find(await account('tools', 'anything'))).toEqual({
      point: 'any',
      by: 'prod/tools/anything',
    });
    expect(await workloads.find(await account('edge', 'gateway2'))).toBeUndefined();
    expect(await workloads.find(await account('edge2', 'gateway'))).toBeUndefined();
  });

  it('shows a token for this ledger, of its own, signed by its cluster, in its time', async () => {
    const workloads = await make();
    const stranger = await makeKey('cluster-1');
    const refused = async (more: object, key?: SigningKey): Promise<string> =>
      codeOf(workloads.find(await account('edge', 'gateway', more, key)));
    expect(await refused({ aud: ['https://kubernetes.default.svc'] })).toBe('wrong_audience');
    expect(await refused({ aud: undefined })).toBe('wrong_audience');
    expect(await refused({ exp: soon(-60) })).toBe('expired');
    expect(await refused({ exp: undefined })).toBe('malformed');
    expect(await refused({ nbf: soon(60) })).toBe('not_yet_valid');
    expect(await refused({ sub: 'system:serviceaccount:edge:admin' })).toBe('wrong_subject');
    expect(await refused({ sub: 'system:serviceaccount:edge:gateway', 'kubernetes.io': undefined })).toBe('malformed');
    expect(await refused({}, stranger)).toBe('bad_signature');
    expect(await refused({ iss: 'https://other.example' })).toBe('nobody');
    const secret = await sign({ ...clusterKey, privateKey: Buffer.from('x'.repeat(32)) as never }, {}, 'HS256');
    expect(await codeOf(workloads.find(secret))).toBe('nobody');
  });

  it('is believed by keys of a file, of an address, or as the issuer tells', async () => {
    const token = await account('edge', 'gateway');
    const jwks = await write({ keys: [clusterKey.jwk] });
    issuer.bearer = 'asks';
    const bearer = await write('asks\n');
    for (const cluster of [
      { jwks_file: jwks },
      { jwks_uri: `${issuer.url}/openid/v1/jwks`, token_file: bearer },
      { token_file: bearer },
    ]) {
      expect(await codeOf((await make(cluster)).find(token)), JSON.stringify(cluster)).toBe('in');
    }
    await expect((await make()).find(token)).rejects.toMatchObject({ code: 'not_ready' });
    issuer.bearer = undefined;
    issuer.lies = 'https://other.example';
    await expect((await make()).find(token)).rejects.toMatchObject({ code: 'not_ready' });
    issuer.lies = undefined;
  });

  it('by keys that are not known costs its issuer a request now and then, not each time', async () => {
    const workloads = await make();
    await workloads.find(await account('edge', 'gateway'));
    const before = issuer.asked.length;
    const made = await makeKey('made-up');
    for (let i = 0; i < 20; i++) {
      const found = workloads.find(await account('edge', 'gateway', { jti: `${i}` }, { ...made, kid: `made-up ${i}` }));
      await expect(found).rejects.toMatchObject({ code: 'not_ready' });
    }
    expect(issuer.asked.length - before).toBeLessThanOrEqual(2);
    // Who is known goes on.
    expect(await codeOf(workloads.find(await account('edge', 'gateway')))).toBe('in');
  });
});

describe('a JWT-SVID', () => {
  it('joins the point that its SPIFFE ID is let into', async () => {
    const workloads = await make();
    const id = 'spiffe://example.org/gateway/eu';
    expect(await workloads.find(await svid(id))).toEqual({ point: 'gateway', by: id });
    expect(await workloads.find(await svid('spiffe://example.org/tool'))).toMatchObject({ point: 'any' });
    expect(await workloads.find(await svid('spiffe://example.org/tools'))).toBeUndefined();
    expect(await codeOf(workloads.find(await svid(id, { aud: ['others'] })))).toBe('wrong_audience');
    expect(await codeOf(workloads.find(await svid(id, { exp: soon(-60) })))).toBe('expired');
    expect(await codeOf(workloads.find(await svid('spiffe://other.org/gateway/eu')))).toBe('unknown_trust_domain');
    expect(await codeOf(workloads.find(await svid(id, {}, await makeKey('svid-1'))))).toBe('bad_signature');
    expect(await codeOf(workloads.find(await svid(id, {}, clusterKey)))).toBe('unknown_key');
  });

  it('that two points let in joins neither', async () => {
    const rule = { spiffe_ids: ['spiffe://example.org/*'] };
    const workloads = await make({}, { one: rule, two: rule });
    expect(await codeOf(workloads.find(await svid('spiffe://example.org/x')))).toBe('wrong_subject');
  });
});

describe('the configuration', () => {
  const points = { gateway: { service_accounts: ['prod/edge/gateway'] } };
  it.each([
    ['/points/gateway/service_accounts/0: no such cluster', { points }],
    ['no https address', { points, clusters: { prod: { issuer: 'http://example.org' } } }],
    [
      '`jwks_file` stands alone',
      { points, clusters: { prod: { issuer: 'https://x', jwks_file: 'x', jwks_uri: 'https://x' } } },
    ],
    ['ENOENT', { points, clusters: { prod: { issuer: 'https://x', jwks_file: 'nowhere' } } }],
    ['two of one issuer', { points, clusters: { prod: { issuer: 'https://x' }, more: { issuer: 'https://x' } } }],
    ['expected <cluster>/', { points: { gateway: { service_accounts: ['edge/gateway'] } } }],
    ['no SPIFFE ID', { points: { gateway: { spiffe_ids: ['spiffe://*'] } } }],
    ['properties points', {}],
  ])('that can’t be meant is refused: %s', async (message, content) => {
    const path = await write(content);
    expect(() => readWorkloads(path)).toThrow(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining(message) as string }),
    );
  });
});
