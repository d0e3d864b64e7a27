/** Registrations over HTTP to a real server, and the verdicts in its ledger. */
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, type Json } from '../../support/api.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { TrustDomain } from './authority.js';

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
  for (const end = Date.now() + 20_000; ;) {
    const answer = await admin.get<{ event: Json }>(`/v1/entries?producer=keelson&id=registration/${index}`);
    if (answer.status === 200) return { entry: entry.body.event, verdict: answer.body.event };
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
