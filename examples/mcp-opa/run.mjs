// @ts-check
/**
 * Runs the example: an unmodified OPA that sends its decision log to Keelson, the MCP server, the MCP client.
 * Prints one line a call (`--json`: one JSON document a line) and exits 0 when OPA has handed its decision log over.
 *
 * Environment: KEELSON_URL, KEELSON_TOKEN_FILE (a token with the scope publish:decisions), KEELSON_OPA (the binary).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createIssuer } from './tokens.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const keelsonUrl = process.env.KEELSON_URL ?? 'http://127.0.0.1:8420';
const tokenFile = process.env.KEELSON_TOKEN_FILE;
if (tokenFile === undefined) {
  console.error('KEELSON_TOKEN_FILE: a file with a token of the scope publish:decisions, please (see README.md)');
  process.exit(2);
}
const json = process.argv.includes('--json');
const folder = mkdtempSync(join(tmpdir(), 'keelson-mcp-opa-'));
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];

/**
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function start(command, args, env) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  createInterface({ input: child.stderr }).on('line', complain);
  children.push(child);
  return child;
}

/** @param {string} line what a child has to say; OPA says it in JSON */
function complain(line) {
  console.error(line);
  // OPA leaves with exit code 0 also when it could not hand over its decision log.
  if (line.includes('decisions possibly still in buffer')) process.exitCode = 1;
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
  probe.close();
  return port;
}

/** @param {string} url */
async function untilReady(url) {
  for (const end = Date.now() + 20_000; ;) {
    const ready = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    if (Date.now() > end) throw new Error(`${url} is not ready`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** OPA with its own bundle and decision_logs plugins; its log messages stay out of ours. */
async function startOpa() {
  const config = {
    labels: { app: 'mcp-example' },
    bundles: { tools: { resource: new URL('policy', import.meta.url).href } },
    services: { keelson: { url: `${keelsonUrl}/v1/opa`, credentials: { bearer: { token_path: tokenFile } } } },
    decision_logs: { service: 'keelson', reporting: { min_delay_seconds: 1, max_delay_seconds: 2 } },
  };
  writeFileSync(join(folder, 'opa.json'), JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const args = [
    'run',
    '--server',
    '--addr',
    address,
    '--config-file',
    join(folder, 'opa.json'),
    '--log-level',
    'error',
  ];
  const opa = start(process.env.KEELSON_OPA ?? 'opa', [...args, '--shutdown-grace-period', '10'], {});
  const failed = once(opa, 'error').then(([error]) => Promise.reject(error));
  await Promise.race([untilReady(`http://${address}/health?bundles`), failed]);
  return { opa, url: `http://${address}` };
}

/** @param {string} line a JSON document of the client */
function print(line) {
  if (json) return console.log(line);
  const call = JSON.parse(line);
  console.log(
    `${call.allow ? 'allow' : 'deny '}  ${call.tool}  ${call.agent} for ${call.user}  ${call.reasons.join(', ')}`,
  );
}

try {
  const issuer = createIssuer();
  writeFileSync(join(folder, 'issuer.pem'), issuer.privatePem, { mode: 0o600 });
  writeFileSync(join(folder, 'issuer.pub.pem'), issuer.publicPem);
  const { opa, url } = await startOpa();
  const server = start(process.execPath, [join(here, 'server.mjs')], {
    OPA_URL: url,
    ISSUER_PUBLIC_KEY: join(folder, 'issuer.pub.pem'),
  });
  const [mcpUrl] = await once(createInterface({ input: /** @type {any} */ (server.stdout) }), 'line');
  const client = start(process.execPath, [join(here, 'client.mjs')], {
    MCP_URL: mcpUrl,
    ISSUER_PRIVATE_KEY: join(folder, 'issuer.pem'),
  });
  createInterface({ input: /** @type {any} */ (client.stdout) }).on('line', print);
  const [code] = await once(client, 'close');
  if (code !== 0) process.exitCode = 1;
  await stop(server);
  // OPA hands over what is left of its decision log before it goes.
  await stop(opa);
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
