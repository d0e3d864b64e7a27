// @ts-check
/**
 * What an HR system, an agent registry and an approval desk tell Keelson about one week. Prints one line an event (`--json`:
 * Keelson's answer) and exits 0 when each is durable.
 *
 * Environment: KEELSON_URL, KEELSON_TOKEN_FILE (a token with the scope publish:lifecycle), WEEK (names this run's events;
 * the same week sent twice is recorded once).
 */
import { readFileSync } from 'node:fs';

const url = process.env.KEELSON_URL ?? 'http://127.0.0.1:8420';
const tokenFile = process.env.KEELSON_TOKEN_FILE;
if (tokenFile === undefined) {
  console.error('KEELSON_TOKEN_FILE: a file with a token of the scope publish:lifecycle, please (see README.md)');
  process.exit(2);
}
const week = process.env.WEEK ?? '2026-W47';

const DEPLOY_BOT = 'spiffe://company.com/agent/deploy-bot';
const SALES_BOT = 'spiffe://company.com/agent/sales-bot';

const EVENTS = [
  {
    type: 'principal.joined',
    timestamp: '2026-11-16T08:00:00Z',
    principal: 'dana@company.com',
    name: 'Dana Reyes',
    department: 'platform',
    title: 'Release manager',
    manager: 'rita@company.com',
    groups: ['platform', 'release'],
    employment: 'employee',
  },
  {
    type: 'principal.joined',
    timestamp: '2026-11-16T08:05:00Z',
    principal: 'sam@company.com',
    name: 'Sam Okafor',
    department: 'sales',
    title: 'Account manager',
    manager: 'lena@company.com',
    groups: ['sales'],
    employment: 'employee',
  },
  {
    type: 'principal.linked',
    timestamp: '2026-11-16T08:06:00Z',
    principal: 'sam@company.com',
    aliases: [{ issuer: 'https://login.company.com/oidc', id: '7f0c1f6e-2f5c-4b57-9a3e-1f6c0f0c9a11' }],
  },
  {
    type: 'agent.registered',
    timestamp: '2026-11-16T09:00:00Z',
    agent: DEPLOY_BOT,
    owner: 'dana@company.com',
    actor: 'dana@company.com',
    team: 'platform',
    purpose: 'Releases what the release managers approved',
    version: '4.2.0',
    tools: ['deploy_to_production', 'list_services'],
    environment: 'production',
    on_owner_leave: 'hold',
    agent_identity: { spiffe_id: DEPLOY_BOT, client_id: 'deploy-bot', attestation_method: 'k8s_psat' },
  },
  {
    type: 'agent.approved',
    timestamp: '2026-11-16T10:30:00Z',
    agent: DEPLOY_BOT,
    approved_by: 'rita@company.com',
    reason: 'Reviewed with security',
    reference: 'REV-88',
    expires_at: '2027-11-16T00:00:00Z',
    approval_chain: [
      { approver: 'rita@company.com', timestamp: '2026-11-16T10:20:00Z' },
      { approver: 'omar@company.com', timestamp: '2026-11-16T10:30:00Z', comment: 'until the next yearly review' },
    ],
  },
  {
    type: 'agent.registered',
    timestamp: '2026-11-16T11:00:00Z',
    agent: SALES_BOT,
    owner: 'sam@company.com',
    actor: 'sam@company.com',
    team: 'sales',
    purpose: 'Weekly sales report',
    tools: ['read_customer'],
    on_owner_leave: 'block',
    agent_identity: { spiffe_id: SALES_BOT, client_id: 'sales-bot' },
  },
  {
    type: 'tool.registered',
    timestamp: '2026-11-16T12:00:00Z',
    tool: 'deploy_to_production',
    owner: 'dana@company.com',
    version: '1.0.0',
    manifest_digest: 'sha256:8f4b1c0d6d0e2a7e8c6b0f5a4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a',
    risk_level: 'high',
    requires_approval: true,
  },
  {
    type: 'tool.approved',
    timestamp: '2026-11-16T12:10:00Z',
    tool: 'deploy_to_production',
    approved_by: 'rita@company.com',
    reference: 'REV-89',
  },
  {
    type: 'grant.given',
    timestamp: '2026-11-16T13:00:00Z',
    grant: 'grant-1001',
    principal: 'sam@company.com',
    agent: SALES_BOT,
    client: 'sales-bot',
    tools: ['read_customer'],
    scope: 'tools:read',
    expires_at: '2027-02-16T00:00:00Z',
  },
  {
    type: 'delegation.granted',
    timestamp: '2026-11-16T13:30:00Z',
    delegation: 'delegation-77',
    from: 'dana@company.com',
    to_agent: DEPLOY_BOT,
    purpose: 'Releases of the API',
    tools: ['deploy_to_production'],
    not_before: '2026-11-16T13:30:00Z',
    expires_at: '2026-12-16T13:30:00Z',
    approved_by: 'rita@company.com',
  },
  {
    type: 'policy.published',
    timestamp: '2026-11-17T07:00:00Z',
    policy: { engine: 'opa', path: 'mcp/authz', bundles: [{ name: 'tools', revision: '2026.11.1' }] },
    actor: 'omar@company.com',
    approved_by: 'rita@company.com',
  },
  {
    type: 'principal.moved',
    timestamp: '2026-11-18T08:00:00Z',
    principal: 'dana@company.com',
    department: 'security',
    title: 'Security engineer',
    groups: ['security'],
    groups_added: ['security'],
    groups_removed: ['platform', 'release'],
    previous: { department: 'platform', title: 'Release manager' },
  },
  {
    type: 'principal.offboarded',
    timestamp: '2026-11-20T16:00:00Z',
    principal: 'sam@company.com',
    reason_code: 'resigned',
    successor: 'lena@company.com',
    urgent: false,
  },
];

const events = EVENTS.map((event, index) => ({ id: `${week}/${index}`, source_system: 'example-hr', ...event }));
const response = await fetch(`${url}/v1/events`, {
  method: 'POST',
  headers: {
    authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`,
    'content-type': 'application/json',
    // Answer when they are in the ledger, at most after this many seconds.
    prefer: 'wait=10',
  },
  body: JSON.stringify(events),
});
const text = await response.text();
if (process.argv.includes('--json')) console.log(text);
else for (const event of events) console.log(`${event.timestamp}  ${event.type}`);
if (!response.ok) {
  console.error(`Keelson answered ${response.status}: ${text}`);
  process.exitCode = 1;
}
