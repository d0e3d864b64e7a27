// @ts-check
/** The company's tools behind MCP (Streamable HTTP, stateless); gateways alone reach it. Prints its URL as JSON. */
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

function createTools() {
  const server = new McpServer({ name: 'company-tools', version: '1.0.0' });
  server.registerTool(
    'read_customer',
    { description: 'Reads a customer record', inputSchema: { customer: z.string() } },
    ({ customer }) => ({ content: [{ type: 'text', text: `customer ${customer}: in good standing` }] }),
  );
  server.registerTool(
    'deploy',
    { description: 'Deploys a service', inputSchema: { service: z.string() } },
    ({ service }) => ({ content: [{ type: 'text', text: `deployed ${service}` }] }),
  );
  return server;
}

const http = createServer((request, response) => {
  void (async () => {
    const server = createTools();
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
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/mcp` }));
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
