// @ts-check
/**
 * The processes of the demo, and a folder that all of them write to. `close` ends and removes everything.
 *
 * Each process is a group of its own: Ctrl-C in a terminal goes to whole groups, and here it is the demo that ends them, once and in order.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const gatewayFolder = join(root, 'examples', 'gateway');
const program = join(root, 'dist', 'main.js');
/** Where root's embedded Postgres keeps its data, if the folder for temporary files is closed to others: src/platform/postgres/embedded.ts */
const CLUSTERS = '/var/lib/keelson/clusters';
const KEPT_LINES = 30;

/**
 * @typedef {object} Keelson
 * @property {string} url
 * @property {string} verifierKey
 * @property {(method: string, path: string, body?: unknown) => Promise<string>} askText as its administrator
 * @property {(method: string, path: string, body?: unknown) => Promise<any>} ask the same, where the answer is JSON
 */

export class World {
  /** @type {import('node:child_process').ChildProcess[]} */
  #children = [];
  /** @type {string[]} */
  #complaints = [];
  /** @type {Promise<void> | undefined} */
  #ending;
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'keelson-demo-')));

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    signal.addEventListener('abort', () => void this.#endAll());
  }

  /** Keelson as `npm start` runs it, on data of its own. @returns {Promise<Keelson>} */
  async startKeelson() {
    const child = this.#spawn('keelson', [program, 'serve'], {
      KEELSON_DATA: join(this.folder, 'keelson'),
      KEELSON_PORT: '0',
      KEELSON_LOG_LEVEL: 'warn',
    });
    let said = '';
    for await (const line of this.#linesOf('keelson', child)) {
      said += `${line}\n`;
      if (line.startsWith('Stop with')) break;
    }
    const find = (/** @type {RegExp} */ pattern) => pattern.exec(said)?.[1] ?? '';
    const url = find(/listens on (\S+)/);
    const token = readFileSync(find(/admin token +(\S+)/), 'utf8').trim();
    /** @type {Keelson['askText']} */
    const askText = async (method, path, body) => {
      const answer = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: this.signal,
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text.slice(0, 500)}`);
      return text;
    };
    /** @type {Keelson['ask']} */
    const ask = async (...asked) => JSON.parse(await askText(...asked));
    await this.until(() => ask('GET', '/readyz').catch(() => false), 'Keelson is ready');
    return { url, verifierKey: find(/verifier key +(\S+)/), ask, askText };
  }

  /**
   * A program of examples/gateway that says its URL first.
   * @param {string} name
   * @param {string} script
   * @param {Record<string, string>} env
   * @returns {Promise<string>}
   */
  async start(name, script, env) {
    const child = this.#spawn(name, [join(gatewayFolder, script)], {
      FOLDER: join(this.folder, name),
      ...env,
    });
    for await (const line of this.#linesOf(name, child)) return JSON.parse(line).url;
    throw new Error(`${name} ended before it listened`);
  }

  /**
   * Agents, until `stop` is called.
   * @param {import('./story.mjs').Agent[]} agents
   * @param {(call: import('./story.mjs').Call) => void} hear
   */
  startAgents(agents, hear) {
    const child = this.#spawn('agents', [join(gatewayFolder, 'agents.mjs')], {}, JSON.stringify({ agents }));
    createInterface({ input: /** @type {any} */ (child.stdout) }).on('line', (line) => hear(JSON.parse(line)));
    return { stop: () => end(child) };
  }

  /** Runs `keelson …` in a process of its own, without a way to the server. @param {string[]} args */
  async runCli(args) {
    const child = this.#spawn('keelson', [program, ...args], {});
    let said = '';
    child.stdout?.on('data', (chunk) => (said += chunk));
    const [code] = await once(child, 'close');
    return { code, said };
  }

  /** @param {() => unknown} isSo @param {string} what */
  async until(isSo, what, timeoutMs = 30_000) {
    for (const endMs = Date.now() + timeoutMs; !(await isSo()); await sleep(20, undefined, { signal: this.signal })) {
      if (Date.now() > endMs) throw new Error(`waited ${timeoutMs / 1000} s, and it is not so that ${what}`);
    }
  }

  /** What the processes wrote to standard error, the last of it: for whoever looks for what went wrong. */
  get complaints() {
    return this.#complaints;
  }

  /** Ends what was started, and removes the folder. */
  async close() {
    await this.#endAll();
    const data = join(this.folder, 'keelson');
    const cluster = join(CLUSTERS, createHash('sha256').update(data).digest('hex').slice(0, 16));
    for (const folder of [this.folder, cluster]) await rm(folder, { recursive: true, force: true });
  }

  /** The server last: who still talks to it would complain. Nothing is started from then on. */
  #endAll() {
    const [keelson, ...others] = this.#children;
    this.#ending ??= Promise.all(others.map(end)).then(() => keelson && end(keelson));
    return this.#ending;
  }

  /**
   * @param {string} name
   * @param {string[]} args
   * @param {Record<string, string>} env
   * @param {string} [input]
   */
  #spawn(name, args, env, input) {
    this.signal.throwIfAborted();
    if (this.#ending !== undefined) throw new Error('the demo is over');
    if (!existsSync(program)) throw new Error('Keelson is not compiled: start the demo with npm run demo');
    const child = spawn(process.execPath, args, { cwd: root, env: { ...surroundings(), ...env }, detached: true });
    this.#children.push(child);
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#complaints = [...this.#complaints, `${name}: ${line}`].slice(-KEPT_LINES);
    });
    return child;
  }

  /**
   * What a process prints; fails with it where the process ends first.
   * @param {string} name
   * @param {import('node:child_process').ChildProcess} child
   */
  async *#linesOf(name, child) {
    const said = [];
    const lines = createInterface({ input: /** @type {any} */ (child.stdout) });
    for await (const line of lines) {
      said.push(line);
      yield line;
    }
    this.signal.throwIfAborted();
    throw new Error(`${name} ended:\n${said.slice(-20).join('\n')}`);
  }
}

/** @param {import('node:child_process').ChildProcess} child */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  await ended;
}

/** The environment without Keelson's settings: the demo's instance is its own. */
const surroundings = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KEELSON_')));
