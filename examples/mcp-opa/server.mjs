// @ts-check
/**
 * The company's tools behind MCP (Streamable HTTP, stateless). Every call is put to OPA first and refused with the reasons
 * where the policy says no.
 *
 * Environment: OPA_URL, ISSUER_PUBLIC_KEY (PEM file). Listens on a free port and prints one line: its URL.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';
import { authorize, describeCall, openChanges } from './authorize.mjs';
import { readToken } from './tokens.mjs';

const opaUrl = process.env.OPA_URL ?? 'http://127.0.0.1:8181';
const publicPem = readFileSync(process.env.ISSUER_PUBLIC_KEY ?? 'issuer.pub.pem', 'utf8');
const changes = openChanges(new Date());

/**
 * A tool whose every call OPA has to allow.
 * @param {McpServer} server
 * @param {import('./tokens.mjs').Claims} claims
 * @param {string} name
 * @param {string} description
 * @param {Record<string, z.ZodType>} inputSchema
 * @param {(parameters: any) => string} work
 */
function guardedTool(server, claims, name, description, inputSchema, work) {
  server.registerTool(name, { description, inputSchema }, async (parameters) => {
    const verdict = await authorize(opaUrl, describeCall(claims, name, parameters, changes));
    const text = verdict.allow ? work(parameters) : `denied: ${verdict.reasons.join(', ')}`;
    return { content: [{ type: 'text', text }], isError: !verdict.allow, _meta: { ...verdict } };
  });
}

/** @param {import('./tokens.mjs').Claims} claims */
function createTools(claims) {
  const server = new McpServer({ name: 'company-tools', version: '1.0.0' });
  const change = z.string().optional().describe('change ticket');
  guardedTool(
    server,
    claims,
    'deploy_to_production',
    'Deploys a version of a service to production',
    { service: z.string(), version: z.string(), change, registry_auth: z.string().optional() },
    ({ service, version }) => `deployed ${service} ${version}`,
  );
  guardedTool(
    server,
    claims,
    'read_customer',
    'Reads a customer record',
    { customer: z.string() },
    ({ customer }) => `customer ${customer}: in good standing`,
  );
  guardedTool(server, claims, 'list_services', 'Lists the services', {}, () => 'api, billing, web');
  return server;
}

const http = createServer((request, response) => {
  void (async () => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    const claims = scheme === 'Bearer' && token !== undefined ? readToken(publicPem, token) : undefined;
    if (claims === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
      return;
    }
    const server = createTools(claims);
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    response.once('close', () => void server.close());
    await server.connect(/** @type {any} */ (transport));
    await transport.handleRequest(request, response);
  })().catch((error) => {
    console.error(error);
    response.destroy();
  });
});

http.listen(0, '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(`http://127.0.0.1:${address.port}/mcp`);
});
process.once('SIGTERM', () => {
  http.close();
  http.closeAllConnections();
});
