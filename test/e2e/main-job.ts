/**
 * The main job on real input: OPA decides the tool calls of an MCP client and sends its decision log; an HR system posts its
 * week; a reader finds both; an outsider with nothing but a public key and tiles confirms every entry.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Api, type Hit, type Json } from '../support/api.js';
import { runKeelson, runNode, type ServerProcess } from '../support/server.js';

const DEPLOY_BOT = 'spiffe://company.com/agent/deploy-bot';

interface Call {
  agent: string;
  user: string;
  tool: string;
  parameters: Json;
  allow: boolean;
  reasons: string[];
  decisionId: string;
}

export async function runMainJob(server: ServerProcess, opa: string, folder: string): Promise<void> {
  const admin = await Api.admin(server);
  const calls = await callTools(server, admin, opa, folder);
  await tellTheWeek(server, admin, folder);
  const reader = await admin.as('compliance', ['read', 'read:personal']);
  await findCalls(reader, calls);
  await findWithoutPersons(await admin.as('outsourced', ['read']), calls.length);
  await findHistory(reader);
  await verifyOffline(server, folder);
}

async function callTools(server: ServerProcess, admin: Api, opa: string, folder: string): Promise<Call[]> {
  const env = { ...(await tokenEnv(server, admin, folder, 'opa', 'publish:decisions')), KEELSON_OPA: opa };
  const { code, stdout, stderr } = await runNode(['examples/mcp-opa/run.mjs', '--json'], { env });
  expect(code, stderr).toBe(0);
  const calls = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Call);
  expect(calls.filter(({ allow }) => allow).length).toBeGreaterThanOrEqual(3);
  expect(calls.filter(({ allow }) => !allow).length).toBeGreaterThanOrEqual(5);
  return calls;
}

async function tellTheWeek(server: ServerProcess, admin: Api, folder: string): Promise<void> {
  const owns = ['https://login.company.com/oidc'];
  expect((await admin.send('PUT', '/v1/producers/hr', { owns })).status).toBe(200);
  const env = await tokenEnv(server, admin, folder, 'hr', 'publish:lifecycle');
  for (const repeat of [false, true]) {
    const { code, stdout, stderr } = await runNode(['examples/hr/run.mjs', '--json'], { env });
    expect(code, stderr + stdout).toBe(0);
    const { items } = JSON.parse(stdout) as { items: Json[] };
    expect(items.length).toBe(13);
    for (const item of items)
      expect(item).toMatchObject({ status: 'accepted', log: 'lifecycle/0/g1', ...(repeat && { repeat }) });
  }
}

/** Every decision of OPA is there, as it was made, under the bundle's revision. */
async function findCalls(reader: Api, calls: readonly Call[]): Promise<void> {
  const policy = '2026.11.1';
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const query = { type: 'decision.made', policy, from, limit: '100' };
  const hits = await reader.searchUntil(query, (found) => found.length >= calls.length);
  expect(hits.map(idOf).sort()).toEqual(calls.map(({ decisionId }) => decisionId).sort());
  for (const call of calls) {
    const { event, masked } = hits.find((hit) => idOf(hit) === call.decisionId)! as Hit & { masked: Json[] };
    expect(event).toMatchObject({
      agent: call.agent,
      user: call.user,
      tool: call.tool,
      decision: call.allow ? 'allow' : 'deny',
      ...(call.reasons.length > 0 && { reason_codes: call.reasons }),
      policy: { engine: 'opa', bundles: [{ name: 'tools', revision: policy }] },
    });
    if ('registry_auth' in call.parameters) {
      expect(masked).toMatchObject([{ pointer: '/parameters/registry_auth' }]);
      expect(JSON.stringify(event)).not.toContain(String(call.parameters.registry_auth).slice('Bearer '.length));
    } else {
      expect(event.parameters).toEqual(call.parameters);
      expect(masked).toEqual([]);
    }
  }
  const denied = await reader.searchUntil({ agent: DEPLOY_BOT, decision: 'deny' }, (found) => found.length > 0);
  const expected = calls.filter(({ agent, allow }) => agent === DEPLOY_BOT && !allow);
  expect(denied.map(idOf).sort()).toEqual(expected.map(({ decisionId }) => decisionId).sort());
  const ofTom = await reader.searchUntil({ principal: 'tom@company.com' }, (found) => found.length > 0);
  expect(ofTom.map(idOf)).toEqual(
    calls.filter(({ user }) => user === 'tom@company.com').map(({ decisionId }) => decisionId),
  );
}

/** Whoever may not read persons finds the same decisions, and nobody in them. */
async function findWithoutPersons(reader: Api, count: number): Promise<void> {
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const hits = await reader.searchUntil({ type: 'decision.made', from }, (found) => found.length >= count);
  expect(JSON.stringify(hits)).not.toMatch(/(dana|sam|tom|rita)@company\.com/);
  for (const { event } of hits)
    expect(event.user).toEqual({ subject: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown });
}

async function findHistory(reader: Api): Promise<void> {
  const hits = await reader.listUntil(
    `/v1/agents/${encodeURIComponent(DEPLOY_BOT)}/history`,
    (found) => found.length >= 2,
  );
  expect(hits.map(({ event }) => event.type)).toEqual(['agent.registered', 'agent.approved']);
  expect(hits[0]!.event).toMatchObject({
    timestamp: '2026-11-16T09:00:00Z',
    actor: 'dana@company.com',
    purpose: 'Releases what the release managers approved',
  });
  expect(hits[1]!.event).toMatchObject({
    reason: 'Reviewed with security',
    approved_by: 'rita@company.com',
    approval_chain: [{ approver: 'rita@company.com' }, { approver: 'omar@company.com' }],
  });
}

/** The server is gone when the outsider looks: a key and a folder are all there is. */
async function verifyOffline(server: ServerProcess, folder: string): Promise<void> {
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: await server.adminToken() };
  const tiles = join(folder, 'tiles');
  const key = join(folder, 'ledger.key');
  await writeFile(key, (await runKeelson(['keys', '--ledger'], { env })).stdout);
  const exported = await runKeelson(['export-tiles', tiles], { env });
  expect(exported.code, exported.stderr).toBe(0);
  await server.end();

  const verified = await runKeelson(['verify', tiles, '--key', key, '--json']);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const report = JSON.parse(verified.stdout) as { ok: boolean; logs: { log: string; size: number; checked: number }[] };
  expect(report.ok).toBe(true);
  expect(report.logs.map(({ log }) => log).sort()).toEqual(['activity/0/g1', 'decisions/0/g1', 'lifecycle/0/g1']);
  for (const { size, checked } of report.logs) {
    expect(size).toBeGreaterThan(0);
    expect(checked).toBe(size);
  }
}

const idOf = (hit: Hit): unknown => (hit as Hit & { id: unknown }).id;

async function tokenEnv(
  server: ServerProcess,
  admin: Api,
  folder: string,
  name: string,
  scope: string,
): Promise<Record<string, string>> {
  const file = join(folder, `${name}.token`);
  await writeFile(file, (await admin.as(name, [scope])).token, { mode: 0o600 });
  return { KEELSON_URL: server.url, KEELSON_TOKEN_FILE: file };
}
