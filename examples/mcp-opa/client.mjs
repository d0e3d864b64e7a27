// @ts-check
/**
 * Two agents at work over MCP, some of it allowed, some not. Prints one JSON line a call.
 *
 * Environment: MCP_URL, ISSUER_PRIVATE_KEY (PEM file: this example's agents sign in by themselves).
 */
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { issueToken } from './tokens.mjs';

const mcpUrl = new URL(process.env.MCP_URL ?? 'http://127.0.0.1:8080/mcp');
const privatePem = readFileSync(process.env.ISSUER_PRIVATE_KEY ?? 'issuer.pem', 'utf8');

const DEPLOY_BOT = {
  act: { sub: 'spiffe://company.com/agent/deploy-bot' },
  client_id: 'deploy-bot',
  scope: 'tools:deploy',
  purpose: 'release',
};
const SALES_BOT = {
  act: { sub: 'spiffe://company.com/agent/sales-bot' },
  client_id: 'sales-bot',
  scope: 'tools:read',
  purpose: 'sales-report',
};
const DANA = { sub: 'dana@company.com', department: 'platform', role: 'release-manager', clearance: 2 };
const SAM = { sub: 'sam@company.com', department: 'sales', role: 'account-manager', clearance: 2 };
const TOM = { sub: 'tom@company.com', department: 'sales', role: 'account-manager', clearance: 1 };

const deployment = { service: 'api', version: '2.3.4' };
// A careless agent puts a credential among the parameters: Keelson keeps its digest only.
const careless = `Bearer ${issueToken(privatePem, { ...DEPLOY_BOT, ...DANA })}`;

/** Who calls what. `lifetimeS` below 0: an expired token. */
const CALLS = [
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'list_services', parameters: {} },
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'deploy_to_production', parameters: { ...deployment, change: 'CHG-1001' } },
  {
    as: { ...DEPLOY_BOT, ...DANA },
    tool: 'deploy_to_production',
    parameters: { service: 'web', version: '7.0.1', change: 'CHG-1001', registry_auth: careless },
  },
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'deploy_to_production', parameters: { ...deployment, change: 'CHG-1002' } },
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'deploy_to_production', parameters: { ...deployment, change: 'CHG-1003' } },
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'deploy_to_production', parameters: { ...deployment, change: 'CHG-1004' } },
  { as: { ...SALES_BOT, ...SAM }, tool: 'deploy_to_production', parameters: { ...deployment, change: 'CHG-1001' } },
  { as: { ...SALES_BOT, ...SAM }, tool: 'read_customer', parameters: { customer: 'C-4711' } },
  { as: { ...SALES_BOT, ...TOM }, tool: 'read_customer', parameters: { customer: 'C-4711' } },
  { as: { ...DEPLOY_BOT, ...DANA }, tool: 'read_customer', parameters: { customer: 'C-4711' } },
  { as: { ...DEPLOY_BOT, ...DANA }, lifetimeS: -60, tool: 'list_services', parameters: {} },
];

for (const { as, tool, parameters, lifetimeS } of CALLS) {
  const client = new Client({ name: as.client_id, version: '1.0.0' });
  const headers = { authorization: `Bearer ${issueToken(privatePem, as, lifetimeS)}` };
  await client.connect(/** @type {any} */ (new StreamableHTTPClientTransport(mcpUrl, { requestInit: { headers } })));
  const { _meta: verdict } = await client.callTool({ name: tool, arguments: parameters });
  console.log(JSON.stringify({ agent: as.act.sub, user: as.sub, tool, parameters, ...verdict }));
  await client.close();
}
