// @ts-check
/**
 * Agents at work: each calls a tool over MCP with the token it has, again and again, through the gateway it was given.
 * Standard input: one JSON document, `{ "agents": [{ "name", "url", "token", "tool", "parameters", "everyMs" }] }`.
 * Prints one JSON document a call: `{ "name", "atMs", "allowed", "reason" }`; `atMs` is when the answer was there, milliseconds since 1970.
 */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** @typedef {{ name: string, url: string, token: string, tool: string, parameters: Record<string, unknown>, everyMs: number }} Agent */

/** Once refused, an agent tries less often: nobody hammers a door that stays shut. */
const REFUSED_EVERY_MS = 250;

/** @type {{ agents: Agent[] }} */
const { agents } = JSON.parse(await text(process.stdin));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
await Promise.all(agents.map(work));

/** @param {Agent} agent */
async function work({ name, url, token, tool, parameters, everyMs }) {
  const client = new Client({ name, version: '1.0.0' });
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(
    /** @type {any} */ (new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })),
  );
  for (;;) {
    const reason = await client.callTool({ name: tool, arguments: parameters }).then(() => undefined, reasonOf);
    const atMs = performance.timeOrigin + performance.now();
    console.log(JSON.stringify({ name, atMs, allowed: reason === undefined, ...(reason && { reason }) }));
    await sleep(reason === undefined ? everyMs : REFUSED_EVERY_MS);
  }
}

/**
 * Why a gateway refused: it says so in its problem document; a call that runs when it is revoked is broken off.
 * @param {unknown} error
 */
function reasonOf(error) {
  const text = String(error);
  return (
    /urn:keelson:problem:(\w+)/.exec(text)?.[1] ?? (text.includes('fetch failed') ? 'broken_off' : text.slice(0, 200))
  );
}
