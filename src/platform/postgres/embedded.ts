import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { KeelsonError } from '../../core/error.js';
import { syncFolder, writeDurably } from '../durable-file.js';
import { WRITER_ROLE } from '../roles.js';
import { chooseAccount, mayEnter, type Account } from './account.js';
import { prepareBinaries, type Binaries } from './binaries.js';
import { startServer, type Cluster, type PostgresServer } from './server.js';

export interface EmbeddedAccess {
  /** The writer role, database `keelson`. */
  readonly databaseUrl: string;
  /** The bootstrap superuser, database `keelson`: for migrations only. */
  readonly migrationUrl: string;
  readonly writerPassword: string;
}

export interface EmbeddedPostgres extends EmbeddedAccess {
  readonly pid: number;
  readonly ended: PostgresServer['ended'];
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Exists; its lock is held by the caller (`lockDataFolder`). */
  readonly dataFolder: string;
  /** More `name=value` settings of the server; the last one of a name counts. */
  readonly settings?: readonly string[];
}

const BOOTSTRAP_ROLE = 'keelson_bootstrap';
const DATABASE = 'keelson';
/** Where root puts what another account must reach. */
const SYSTEM_FOLDER = '/var/lib/keelson';
/** sizeof(sun_path) − 1 on Linux; macOS has room for 103. */
const SOCKET_PATH_MAX_BYTES = process.platform === 'darwin' ? 103 : 107;

/**
 * Starts the Postgres that comes with Keelson, on `postgres/` in the data folder; makes it the first time. Reached by a Unix socket
 * only, with passwords (scram-sha-256) of 256 random bits each, kept in `postgres.json` (0600). As root it runs under another account, and when that
 * account can't get at the data folder, the cluster lies below /var/lib/keelson instead.
 *
 * @throws KeelsonError `unsupported_platform`, `database_unavailable`, `database_too_old` (the data is of another major version),
 * `missing_key` (data without its passwords).
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = chooseAccount();
  const home = await openHome(options.dataFolder, account);
  const copies = account ? join(SYSTEM_FOLDER, 'binaries') : join(options.dataFolder, 'binaries');
  const binaries = await prepareBinaries(account, copies);
  const dataFolder = join(home, 'postgres');
  const passwords = await openPasswords(options.dataFolder, dataFolder);
  const socketFolder = await openSocketFolder(home, account);

  await requireMajor(dataFolder, binaries.major);
  if (!(await exists(dataFolder))) await initialise(binaries, dataFolder, account, passwords.bootstrap);
  const cluster: Cluster = {
    dataFolder,
    socketFolder,
    logFile: join(home, 'postgres.log'),
    account,
    adminUrl: formatUrl(BOOTSTRAP_ROLE, passwords.bootstrap, 'postgres', socketFolder),
    settings: options.settings ?? [],
  };
  const server = await startServer(binaries, cluster);
  try {
    await makeDatabase(cluster.adminUrl);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { ...access(passwords, socketFolder), pid: server.pid, ended: server.ended, stop: () => server.stop() };
}

/** How to reach the embedded Postgres that another process has started on this data folder. Starts and makes nothing. */
export async function attachEmbeddedPostgres(dataFolder: string): Promise<EmbeddedAccess> {
  const account = chooseAccount();
  const home = await openHome(dataFolder, account);
  return access(await openPasswords(dataFolder, join(home, 'postgres')), socketFolderOf(home, account));
}

function access(passwords: Passwords, socketFolder: string): EmbeddedAccess {
  return {
    databaseUrl: formatUrl(WRITER_ROLE, passwords.writer, DATABASE, socketFolder),
    migrationUrl: formatUrl(BOOTSTRAP_ROLE, passwords.bootstrap, DATABASE, socketFolder),
    writerPassword: passwords.writer,
  };
}

/** The host in the authority is a placeholder: the socket's folder, as a parameter, is what counts. */
const formatUrl = (role: string, password: string, database: string, socketFolder: string): string =>
  `postgresql://${role}:${password}@localhost/${database}?host=${encodeURIComponent(socketFolder)}`;

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** The folder that holds cluster, socket and log: the data folder itself, unless the account can't enter it. */
async function openHome(dataFolder: string, account: Account | undefined): Promise<string> {
  if (!account) return dataFolder;
  const others = (await stat(dataFolder)).mode & 0o777;
  if (mayEnter(account, join(dataFolder, '..'))) {
    await chmod(dataFolder, others | 0o011); // may pass, may not look
    return dataFolder;
  }
  const id = createHash('sha256').update(dataFolder).digest('hex').slice(0, 16);
  const home = join(SYSTEM_FOLDER, 'clusters', id);
  await mkdir(home, { recursive: true, mode: 0o711 });
  return home;
}

interface Passwords {
  readonly bootstrap: string;
  readonly writer: string;
}

/** Made before the cluster, so that a cluster never exists without them. */
async function openPasswords(folder: string, cluster: string): Promise<Passwords> {
  const path = join(folder, 'postgres.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) return JSON.parse(text) as Passwords;
  if (await exists(cluster)) {
    throw new KeelsonError(
      'missing_key',
      `${path} is missing: it holds the passwords of the database in ${cluster}; put it back`,
    );
  }
  const passwords = { bootstrap: randomBytes(32).toString('base64url'), writer: randomBytes(32).toString('base64url') };
  await writeDurably(path, `${JSON.stringify(passwords)}\n`);
  return passwords;
}

/** Beside the cluster, or, where that path is too long for a socket, in a folder of ours for temporary things. */
function socketFolderOf(home: string, account: Account | undefined): string {
  const folder = join(home, 'run');
  if (Buffer.byteLength(join(folder, '.s.PGSQL.5432')) <= SOCKET_PATH_MAX_BYTES) return folder;
  const id = createHash('sha256').update(home).digest('hex').slice(0, 16);
  return join(account ? '/tmp' : tmpdir(), `keelson-${process.getuid?.()}-${id}`);
}

async function openSocketFolder(home: string, account: Account | undefined): Promise<string> {
  const folder = socketFolderOf(home, account);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  const own = [account?.uid, process.getuid?.()];
  if (!found.isDirectory() || !own.includes(found.uid)) {
    throw new KeelsonError('database_unavailable', `${folder} belongs to somebody else: remove it`);
  }
  await chmod(folder, 0o700);
  if (account) await chown(folder, account.uid, account.gid);
  return folder;
}

async function requireMajor(dataFolder: string, major: string): Promise<void> {
  const found = (await readFile(join(dataFolder, 'PG_VERSION'), 'utf8').catch(() => major)).trim();
  if (found !== major) {
    throw new KeelsonError(
      'database_too_old',
      `${dataFolder} was made by PostgreSQL ${found}, and this Keelson brings ${major}: dump it with the older version and restore it`,
    );
  }
}

/** initdb, whole or not at all: made beside its place and renamed. */
async function initialise(
  binaries: Binaries,
  dataFolder: string,
  account: Account | undefined,
  password: string,
): Promise<void> {
  const unfinished = `${dataFolder}.new`;
  const passwordFile = `${dataFolder}.password`;
  await rm(unfinished, { recursive: true, force: true });
  await rm(passwordFile, { force: true });
  await mkdir(unfinished, { mode: 0o700 });
  try {
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    if (account) {
      await chown(unfinished, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    await runInitdb(binaries, account, [
      `--pgdata=${unfinished}`,
      `--username=${BOOTSTRAP_ROLE}`,
      `--pwfile=${passwordFile}`,
      '--auth-local=scram-sha-256',
      '--auth-host=reject',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--data-checksums',
    ]);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, dataFolder);
  await syncFolder(join(dataFolder, '..'));
}

async function runInitdb(binaries: Binaries, account: Account | undefined, args: string[]): Promise<void> {
  const child = spawn(binaries.initdb, args, {
    detached: true, // Ctrl-C lets it finish: then the next start has it
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) => resolve(signal ?? status ?? 0));
  });
  if (code !== 0) {
    throw new KeelsonError(
      'database_unavailable',
      `initdb failed (${code}): ${output.trim().split('\n').slice(-3).join('; ')}`,
    );
  }
}

async function makeDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}
