/** Registrations over HTTP to a real server, and the verdicts in its ledger. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompactSign } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, type Json } from '../../support/api.js';
import { runKeelson, startServer, type ServerProcess } from '../../support/server.js';
import { TrustDomain } from './authority.js';

const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let folder: string;
let domain: TrustDomain;
let server: ServerProcess;
let admin: Api;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-registration-'));
  domain = await TrustDomain.make('example.org');
  await writeFile(join(folder, 'bundle.json'), domain.bundle());
  const file = join(folder, 'registration.json');
  await writeFile(
    file,
    JSON.stringify({
      audiences: ['keelson.example'],
      trust_domains: { 'example.org': { bundle: 'bundle.json' } },
      signers: { release: { keys: [{ kid: 'r', jwk: signer.publicKey.export({ format: 'jwk' }) }] } },
      require: ['agent'],
    }),
  );
  server = await startServer({ env: { KEELSON_REGISTRATION_FILE: file } });
  admin = await Api.admin(server);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Registers, and waits for the verdict: it has the place of its registration in its id. */
async function register(event: Json): Promise<{ readonly entry: Json; readonly verdict: Json }> {
  const { status, body } = await admin.post<{ items: { index: number }[] }>(
    '/v1/events',
    { timestamp: new Date().toISOString(), ...event },
    { prefer: 'wait=10' },
  );
  if (status !== 200) throw new Error(JSON.stringify(body));
  const { index } = body.items[0]!;
  const entry = await admin.get<{ event: Json }>(`/v1/logs/lifecycle/0/g1/entries/${index}`);
  return { entry: entry.body.event, verdict: await verdictOn(index) };
}

async function verdictOn(index: number): Promise<Json> {
  for (const end = Date.now() + 20_000; ;) {
    const answer = await admin.get<{ event: Json }>(`/v1/entries?producer=keelson&id=registration/${index}`);
    if (answer.status === 200) return answer.body.event;
    if (Date.now() > end) throw new Error(`no verdict: ${JSON.stringify(answer.body)}\n${server.log}`);
    await sleep(20);
  }
}

it('an agent’s JWT-SVID: what it says is an entry, and it is not kept', async () => {
  const agent = domain.id('agent/deploy-bot');
  const jwt = await domain.jwt('agent/deploy-bot', 'keelson.example');
  const { entry, verdict } = await register({ type: 'agent.registered', agent, agent_identity: { jwt_svid: jwt } });
  expect(JSON.stringify(entry)).not.toContain(jwt.split('.')[2]);
  expect(entry.agent_identity).toEqual({ jwt_svid: expect.stringMatching(/^\[masked:/) as string });
  expect(verdict).toMatchObject({
    type: 'registration.verified',
    agent,
    method: 'jwt_svid',
    trust_domain: 'example.org',
    key_id: 'k1',
  });
});

it('an agent’s X.509-SVID', async () => {
  const agent = domain.id('agent/by-certificate');
  const { x5c } = await domain.leaf('agent/by-certificate');
  const { verdict } = await register({ type: 'agent.registered', agent, agent_identity: { x509_svid: [x5c] } });
  expect(verdict).toMatchObject({
    type: 'registration.verified',
    agent,
    method: 'x509_svid',
    trust_domain: 'example.org',
  });
});

it('an agent without evidence, where it is required', async () => {
  const { verdict } = await register({ type: 'agent.registered', agent: 'nobody' });
  expect(verdict).toMatchObject({ type: 'registration.failed', agent: 'nobody', code: 'no_evidence' });
});

it('an agent in the identity graph: what its newest verdict is, then and now', async () => {
  const agent = domain.id('agent/seen');
  const view = async (at?: string): Promise<Json> => {
    const query = at === undefined ? '' : `?at=${at}`;
    return (await admin.get<Json>(`/v1/identity/agent/${encodeURIComponent(agent)}${query}`)).body;
  };
  const until = async (code: string | undefined): Promise<Json> => {
    for (const end = Date.now() + 20_000; ;) {
      const { verification } = (await view()) as { verification?: Json };
      if (verification !== undefined && verification.code === code) return verification;
      if (Date.now() > end) throw new Error(`never ${code}: ${JSON.stringify(verification)}`);
      await sleep(20);
    }
  };
  await register({ type: 'agent.registered', agent });
  const failed = await until('no_evidence');
  expect(failed).toMatchObject({ type: 'registration.failed', current: true });
  const { x5c } = await domain.leaf('agent/seen');
  const { verdict } = await register({ type: 'agent.attested', agent, agent_identity: { x509_svid: [x5c] } });
  expect(verdict.type).toBe('registration.verified');
  const verified = await until(undefined);
  expect(verified).toMatchObject({ type: 'registration.verified', method: 'x509_svid', current: true });
  expect(verified.registration).toBe(verdict.index);
  expect((await view(failed.appendedAt as string)).verification).toEqual(failed);
});

it('an agent that shows its own SVID for another’s name', async () => {
  const jwt = await domain.jwt('agent/small', 'keelson.example');
  const { x5c } = await domain.leaf('agent/small');
  const spiffe_id = domain.id('agent/small');
  for (const evidence of [{ jwt_svid: jwt }, { x509_svid: [x5c] }]) {
    const agent_identity = { spiffe_id, ...evidence };
    const stolen = await register({ type: 'agent.registered', agent: domain.id('agent/great'), agent_identity });
    expect(stolen.verdict).toMatchObject({ type: 'registration.failed', code: 'wrong_subject' });
    const named = await register({ type: 'agent.registered', agent: 'small', agent_identity });
    expect(named.verdict).toMatchObject({ type: 'registration.verified', agent: 'small', detail: spiffe_id });
  }
});

it('of two kinds of evidence both must hold', async () => {
  const agent = domain.id('agent/both');
  const { x5c } = await domain.leaf('agent/both');
  const jwt_svid = await domain.jwt('agent/both', 'somebody.else');
  const { verdict } = await register({
    type: 'agent.registered',
    agent,
    agent_identity: { jwt_svid, x509_svid: [x5c] },
  });
  expect(verdict).toMatchObject({ type: 'registration.failed', method: 'jwt_svid', code: 'wrong_audience' });
});

it('what stands in the place of a token is masked, whatever it is', async () => {
  const agent = domain.id('agent/odd');
  const { entry, verdict } = await register({
    type: 'agent.registered',
    agent,
    agent_identity: { jwt_svid: 'my password' },
  });
  expect(entry.agent_identity).toEqual({ jwt_svid: expect.stringMatching(/^\[masked:/) as string });
  expect(verdict).toMatchObject({ type: 'registration.failed', code: 'malformed' });
  expect(JSON.stringify(verdict)).not.toContain('password');
});

it('a tool’s JWS: with its manifest it is masked, without it is kept', async () => {
  const manifest = Buffer.from('{"name":"deploy"}');
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  const jws = (payload: Uint8Array): Promise<string> =>
    new CompactSign(payload).setProtectedHeader({ alg: 'ES256', kid: 'r' }).sign(signer.privateKey);
  const whole = await jws(manifest);
  const carried = await register({ type: 'tool.registered', tool: 'deploy', signature: whole });
  expect(carried.entry.signature).toMatch(/^\[masked:jwt:/);
  expect(carried.verdict).toMatchObject({
    type: 'registration.verified',
    method: 'jws',
    key_id: 'r',
    manifest_digest: digest,
  });
  const detached = (await jws(Buffer.from(digest))).replace(/\.[^.]*\./, '..');
  const kept = await register({
    type: 'tool.registered',
    tool: 'deploy',
    manifest_digest: digest,
    signature: detached,
  });
  expect(kept.entry.signature).toBe(detached);
  expect(kept.verdict).toMatchObject({
    type: 'registration.verified',
    method: 'jws',
    key_id: 'r',
    manifest_digest: digest,
  });
});

it('what intake finds, intake alone says; a chain that is no record is quarantined, and hurts no neighbour', async () => {
  const { x5c } = await domain.leaf('agent/wide');
  const agent = domain.id('agent/wide');
  const at = { type: 'agent.registered', timestamp: new Date().toISOString(), agent };
  const many = Array.from({ length: 1_000 }, () => x5c);
  const { status, body } = await admin.post<{ items: Json[] }>(
    '/v1/events',
    [
      { ...at, id: 'said', intake_check: { method: 'jwt_svid' } },
      { ...at, id: 'many', agent_identity: { x509_svid: many } },
      { ...at, id: 'long', agent_identity: { x509_svid: ['A'.repeat(500_000)] } },
      { ...at, id: 'good', agent_identity: { x509_svid: [x5c] } },
    ],
    { prefer: 'wait=10' },
  );
  expect(status).toBe(200);
  expect(body.items.map((item) => item.code ?? item.status)).toEqual([
    'invalid_event',
    'record_too_large',
    'string_too_long',
    'accepted',
  ]);
  const tooLarge = await admin.post('/v1/events', { ...at, agent_identity: { x509_svid: ['A'.repeat(10_000_000)] } });
  expect(tooLarge.status).toBeGreaterThanOrEqual(400);
  const index = body.items[3]!.index as number;
  expect(await verdictOn(index)).toMatchObject({ type: 'registration.verified' });
});

it('what nothing is configured for gets no verdict, and keeps nothing behind it waiting', async () => {
  const timestamp = new Date().toISOString();
  const { body } = await admin.post<{ items: { index: number }[] }>(
    '/v1/events',
    [
      { type: 'client.registered', timestamp, client: 'anybody' },
      { type: 'tool.registered', timestamp, tool: 'unsigned' },
      { type: 'agent.attested', timestamp, agent: 'no-evidence' },
      { type: 'agent.registered', timestamp, agent: 'no-evidence' },
    ],
    { prefer: 'wait=10' },
  );
  const places = body.items.map(({ index }) => index);
  expect(await verdictOn(places[3]!)).toMatchObject({ code: 'no_evidence' });
  for (const index of places.slice(0, 3)) {
    expect((await admin.get(`/v1/entries?producer=keelson&id=registration/${index}`)).status).toBe(404);
  }
});

it('fsck folds the same verdicts out of the ledger', async () => {
  const { code, stdout } = await runKeelson(['fsck'], { env: { KEELSON_DATA: server.dataFolder } });
  expect({ code, stdout }).toMatchObject({ code: 0 });
}, 120_000);
