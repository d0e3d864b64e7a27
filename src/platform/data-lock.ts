import { createHash, randomBytes } from 'node:crypto';
import { link, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeelsonError } from '../core/error.js';

/**
 * One process at a time uses a data folder. Node can't lock files, and a pid in a file may be anybody's after a reboot, so the holder
 * listens on a Unix socket: it is alive exactly while a connection to it succeeds, however it dies.
 *
 * Holders are numbered files `lock.<n>`; the highest number holds. A successor that finds the highest holder dead makes the next number,
 * which only one can (link fails where the name exists), looks again whether it is the highest, and then removes the older ones.
 * So a slow contender can never take away what a quicker one has just won.
 */
export interface DataLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly socket: string;
}

const NAME = /^lock\.(\d+)$/;
const SOCKET_PATH_MAX_BYTES = 103;

/** @throws KeelsonError `already_running`, naming the holder's pid. */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  const id = randomBytes(8).toString('hex');
  const socket = socketPath(folder, id);
  const server = await listen(socket);
  const draft = join(folder, `.lock-${id}.tmp`);
  try {
    const holder: Holder = { pid: process.pid, socket };
    await writeFile(draft, JSON.stringify(holder), { mode: 0o600 });
    const number = await takeNumber(folder, draft);
    return {
      async release() {
        await rm(join(folder, `lock.${number}`), { force: true });
        await close(server);
      },
    };
  } catch (error) {
    await close(server);
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** The pid of the process that uses this data folder now, if any. */
export async function findLockHolder(folder: string): Promise<number | undefined> {
  return (await inspect(folder)).pid;
}

/** The highest number (0: none) and, if its holder is alive, the holder's pid. */
async function inspect(folder: string): Promise<{ number: number; pid?: number }> {
  for (;;) {
    const number = (await readNumbers(folder)).at(-1) ?? 0;
    if (number === 0) return { number };
    const holder = await readHolder(folder, number);
    if (holder === 'gone') continue; // released, or a successor cleared it away: look again
    if (holder === 'damaged' || !(await isListening(holder.socket))) return { number };
    return { number, pid: holder.pid };
  }
}

async function takeNumber(folder: string, draft: string): Promise<number> {
  for (;;) {
    const { number: last, pid } = await inspect(folder);
    if (pid !== undefined) {
      throw new KeelsonError('already_running', `already running on ${folder}, pid ${pid}`);
    }
    const number = last + 1; // of the very one found dead, so that its one successor is the only one
    const path = join(folder, `lock.${number}`);
    const won = await link(draft, path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (!won) continue;
    const numbers = await readNumbers(folder);
    if (numbers.at(-1) === number) {
      await Promise.all(numbers.slice(0, -1).map((old) => removeHolder(folder, old)));
      return number;
    }
    await rm(path, { force: true });
  }
}

async function readNumbers(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** `damaged`: a power cut ate it; whoever wrote it is dead. */
async function readHolder(folder: string, number: number): Promise<Holder | 'gone' | 'damaged'> {
  try {
    return JSON.parse(await readFile(join(folder, `lock.${number}`), 'utf8')) as Holder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    if (error instanceof SyntaxError) return 'damaged';
    throw error;
  }
}

async function removeHolder(folder: string, number: number): Promise<void> {
  const holder = await readHolder(folder, number);
  if (typeof holder === 'object') await rm(holder.socket, { force: true });
  await rm(join(folder, `lock.${number}`), { force: true });
}

function socketPath(folder: string, id: string): string {
  const path = join(folder, `lock-${id}.sock`);
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) return path;
  return join(tmpdir(), `keelson-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}-${id}.sock`);
}

/** Nothing is said on the socket; it is there to be connected to. */
async function listen(path: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    // A full backlog (EAGAIN) is somebody, too; only these two are nobody.
    connection.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}
