/** One Keelson that may be killed, frozen and replaced: at most one process serves, another may be frozen. */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Api } from '../support/api.js';
import { freePort, makeDataFolder, startServer, type ServerOptions, type ServerProcess } from '../support/server.js';

export class Fleet {
  readonly #env: Readonly<Record<string, string>>;
  readonly #folders: string[] = [];
  #serving: ServerProcess;
  readonly token: string;

  private constructor(env: Readonly<Record<string, string>>, folder: string, serving: ServerProcess, token: string) {
    this.#env = env;
    this.#folders.push(folder);
    this.#serving = serving;
    this.token = token;
  }

  static async start(env: Readonly<Record<string, string>>): Promise<Fleet> {
    const folder = await makeDataFolder();
    const serving = await startServer({ env, dataFolder: folder });
    const { token } = await (await Api.admin(serving)).as('chaos', ['publish:decisions', 'publish:lifecycle']);
    return new Fleet(env, folder, serving, token);
  }

  get serving(): ServerProcess {
    return this.#serving;
  }

  /** Where publishers send, just now. */
  target = (): { url: string; token: string } => ({ url: this.#serving.url, token: this.token });

  /** SIGKILL at this very point, then a start on the same data. */
  async killServer(): Promise<void> {
    await this.#serving.end('SIGKILL');
    await this.restart();
  }

  /** Starts the serving process again, where it ended. */
  async restart(): Promise<void> {
    const { dataFolder, url } = this.#serving;
    this.#serving = await supervise({ env: this.#env, dataFolder, port: Number(new URL(url).port) });
  }

  /**
   * The serving process freezes in the middle of whatever it does; another one takes over and works; then the frozen one
   * goes on, believing that nothing has happened. It is killed after a while.
   */
  async freezeAndReplace(frozenMs: number, undeadMs: number): Promise<void> {
    const zombie = this.#serving;
    zombie.signal('SIGSTOP');
    const folder = await makeDataFolder();
    this.#folders.push(folder);
    // The same installation: its keys, another process, another folder.
    for (const part of ['keys', 'admin.token']) {
      await cp(join(zombie.dataFolder, part), join(folder, part), { recursive: true });
    }
    this.#serving = await supervise({ env: this.#env, dataFolder: folder, port: await freePort() });
    await pause(frozenMs);
    zombie.signal('SIGCONT');
    await pause(undeadMs);
    await zombie.end('SIGKILL');
  }

  /** The keys of the installation. */
  get keysFolder(): string {
    return join(this.#folders[0]!, 'keys');
  }

  async stop(): Promise<void> {
    // Also one that is frozen.
    await this.#serving.end('SIGKILL');
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

/** Starts it, and again while it ends by itself: what it needs may not be up yet. */
async function supervise(options: ServerOptions): Promise<ServerProcess> {
  for (const end = Date.now() + 120_000; ;) {
    try {
      return await startServer({ ...options, readyTimeoutMs: 120_000 });
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause(500);
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
