/** The real server as a process of its own: what was built, its own data folder, its own port. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const LAUNCHER = join(ROOT, 'launch.mjs');
const PROGRAM = join(ROOT, 'dist', 'main.js');

let built: Promise<unknown> | undefined;

/** Compiles what changed, once per test file; the launcher sees to it that only one process does. */
export const buildProgram = (): Promise<unknown> =>
  (built ??= promisify(execFile)(process.execPath, [LAUNCHER, '--version'], { cwd: ROOT }));

export interface ServerOptions {
  /** KEELSON_… of the server; the surrounding environment's are not handed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Kept by the caller, for a server that starts again on it; else made here and removed by `stop`. */
  readonly dataFolder?: string;
  readonly port?: number;
  /** How long to wait until it is ready; 0: not at all. */
  readonly readyTimeoutMs?: number;
}

export class ServerProcess {
  readonly #process: ChildProcess;
  readonly #ownsFolder: boolean;
  #log = '';

  constructor(
    process: ChildProcess,
    readonly url: string,
    readonly dataFolder: string,
    ownsFolder: boolean,
  ) {
    this.#process = process;
    this.#ownsFolder = ownsFolder;
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.on('data', (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-200_000)));
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The last 200 kB of what it wrote. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get exitCode(): number | null {
    return this.#process.exitCode;
  }

  adminToken(): Promise<string> {
    return readFile(join(this.dataFolder, 'admin.token'), 'utf8').then((text) => text.trim());
  }

  /** Resolves when /readyz says so. Rejects when the process ends first, with what it said. */
  async untilReady(timeoutMs: number): Promise<void> {
    for (const end = Date.now() + timeoutMs; ;) {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
      if (answer?.ok) return;
      if (!this.running) throw new Error(`the server ended with ${this.#process.exitCode}:\n${this.#log}`);
      if (Date.now() > end) throw new Error(`the server is not ready: ${await answer?.text()}\n${this.#log}`);
      await sleep(50);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill(signal);
    await exit;
  }

  /** Ends it, and takes away the folder that was made for it. */
  async stop(): Promise<void> {
    await this.end();
    if (this.#ownsFolder) await rm(this.dataFolder, { recursive: true, force: true });
  }
}

export async function startServer(options: ServerOptions = {}): Promise<ServerProcess> {
  await buildProgram();
  const dataFolder = options.dataFolder ?? (await makeDataFolder());
  const port = options.port ?? (await freePort());
  const process_ = spawn(process.execPath, [PROGRAM, 'serve'], {
    cwd: ROOT,
    env: { ...cleanEnvironment(), KEELSON_DATA: dataFolder, KEELSON_PORT: String(port), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = new ServerProcess(process_, `http://127.0.0.1:${port}`, dataFolder, options.dataFolder === undefined);
  const { readyTimeoutMs = 60_000 } = options;
  if (readyTimeoutMs > 0) {
    await server.untilReady(readyTimeoutMs).catch(async (error: unknown) => {
      await server.end('SIGKILL');
      throw error;
    });
  }
  return server;
}

export const makeDataFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'keelson-server-'));

/** The surrounding environment without anything of Keelson's. */
export const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KEELSON_')));

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `keelson …`, or another Node script, to its end. */
export async function runNode(
  args: readonly string[],
  { env = {}, input, timeoutMs = 120_000 }: { env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...cleanEnvironment(), ...env },
    timeout: timeoutMs,
  });
  const ran = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (ran.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (ran.stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, ...ran };
}

export async function runKeelson(args: readonly string[], options: Parameters<typeof runNode>[1] = {}): Promise<Ran> {
  await buildProgram();
  return runNode([PROGRAM, ...args], options);
}
