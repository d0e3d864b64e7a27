import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { KeelsonError } from '../../core/error.js';
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';

/** One Postgres cluster on disk, and how to reach it. */
export interface Cluster {
  readonly dataFolder: string;
  /** Holds the Unix socket; there is no TCP. */
  readonly socketFolder: string;
  readonly logFile: string;
  readonly account: Account | undefined;
  /** URL of the bootstrap superuser, database `postgres`. */
  readonly adminUrl: string;
  /** `name=value`, beyond SETTINGS. */
  readonly settings: readonly string[];
}

export interface PostgresServer {
  readonly pid: number;
  /** Rejects never; resolves with what is known when the server ends without `stop`. */
  readonly ended: Promise<string>;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

/**
 * Durable, small, quiet. `min_wal_size` is generous because recycled WAL is written several times faster than fresh files;
 * nobody replicates from here, so WAL is minimal.
 */
const SETTINGS = [
  'listen_addresses=',
  'unix_socket_permissions=0700',
  'max_connections=60',
  'shared_buffers=256MB',
  'fsync=on',
  'synchronous_commit=on',
  'full_page_writes=on',
  'wal_level=minimal',
  'max_wal_senders=0',
  'min_wal_size=1GB',
  'max_wal_size=4GB',
  'checkpoint_timeout=15min',
  'jit=off',
  'timezone=UTC',
  'log_timezone=UTC',
  'lc_messages=C',
  'password_encryption=scram-sha-256',
  'log_min_messages=warning',
  'log_destination=stderr',
  'logging_collector=off',
];

const START_TIMEOUT_MS = 60_000;
/** After a crash the old processes need about a second to let go of shared memory. */
const RETRY_FOR_MS = 15_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const LOG_MAX_BYTES = 8 * 1024 * 1024;

/**
 * Starts the postmaster on an initialised cluster; resolves when it takes connections. It gets a process group of its own, so that
 * Ctrl-C in a terminal reaches us and not it: it goes down last, by `stop`. Should we die without that, it stays, and the next
 * start finds and stops it.
 *
 * @throws KeelsonError `database_unavailable`, with the end of its log.
 */
export async function startServer(binaries: Binaries, cluster: Cluster): Promise<PostgresServer> {
  await stopOrphan(cluster);
  const deadline = performance.now() + RETRY_FOR_MS;
  for (;;) {
    const attempt = await launch(binaries, cluster);
    if ('server' in attempt) return attempt.server;
    const passing = /pre-existing shared memory block|could not create lock file|lock file .* already exists/.test(
      attempt.failure,
    );
    if (!passing || performance.now() > deadline) {
      throw new KeelsonError(
        'database_unavailable',
        `the embedded Postgres did not start: ${attempt.failure} (${cluster.logFile})`,
      );
    }
    await sleep(250);
  }
}

async function launch(binaries: Binaries, cluster: Cluster): Promise<{ server: PostgresServer } | { failure: string }> {
  const size = await stat(cluster.logFile).then(
    (file) => file.size,
    () => 0,
  );
  if (size > LOG_MAX_BYTES) await truncate(cluster.logFile);
  const log = await open(cluster.logFile, 'a', 0o600);
  const from = (await log.stat()).size;
  const settings = [...SETTINGS, `unix_socket_directories=${cluster.socketFolder}`, ...cluster.settings];
  const child = spawn(binaries.postgres, ['-D', cluster.dataFolder, ...settings.flatMap((one) => ['-c', one])], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    ...(cluster.account && { uid: cluster.account.uid, gid: cluster.account.gid }),
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  });
  await log.close();
  child.unref();

  const ready = await Promise.race([waitUntilReady(cluster.adminUrl), exited.then((reason) => ({ reason }))]);
  if (ready === true) return { server: serve(child, exited) };
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill('SIGQUIT');
  const reason = ready === false ? `no answer within ${START_TIMEOUT_MS / 1000} s` : ready.reason;
  const text = (await readFile(cluster.logFile)).subarray(from).toString().trim();
  return { failure: text.split('\n').slice(-5).join('; ') || reason };
}

function serve(child: ChildProcess, exited: Promise<string>): PostgresServer {
  let stopping: Promise<void> | undefined;
  let over: (reason: string) => void;
  const ended = new Promise<string>((resolve) => (over = resolve));
  void exited.then((reason) => {
    if (!stopping) over(reason);
  });
  return {
    pid: child.pid!,
    ended,
    stop: () => (stopping ??= stopChild(child, exited)),
  };
}

async function stopChild(child: ChildProcess, exited: Promise<string>): Promise<void> {
  child.ref();
  child.kill('SIGINT');
  const abandon = new AbortController();
  const late = sleep(STOP_TIMEOUT_MS, 'late', { signal: abandon.signal }).catch(() => 'cancelled');
  if ((await Promise.race([exited, late])) === 'late') {
    child.kill('SIGQUIT'); // as after a crash: committed work is in the WAL
    await exited;
  }
  abandon.abort();
}

/** True when it takes connections; false after START_TIMEOUT_MS. */
async function waitUntilReady(adminUrl: string): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if ((await probe(adminUrl)) === 'ready') return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** `starting`: a postmaster is there, but in recovery or on its way down. `absent`: nothing listens. */
async function probe(adminUrl: string): Promise<'ready' | 'starting' | 'absent'> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return 'ready';
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    return ['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(code) ? 'absent' : 'starting';
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * A killed Keelson leaves its postmaster running, perhaps with backends in the middle of a transaction. We hold the lock on the data
 * folder, so nobody else uses it: it is stopped, and started afresh. Its pid is believed only while its socket answers, because after
 * a reboot the number in `postmaster.pid` may be anybody's.
 */
async function stopOrphan(cluster: Cluster): Promise<void> {
  const pidFile = join(cluster.dataFolder, 'postmaster.pid');
  const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;

  const socketFolder = lines[4];
  const there = socketFolder ? await probe(withHost(cluster.adminUrl, socketFolder)) : 'absent';
  if (there === 'absent') {
    if (!(await isPostgres(pid))) await rm(pidFile, { force: true });
    return;
  }
  signal(pid, 'SIGINT');
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (signal(pid, 0)) {
    if (performance.now() > deadline) signal(pid, 'SIGQUIT');
    await sleep(POLL_MS);
  }
}

function withHost(url: string, folder: string): string {
  const changed = new URL(url);
  changed.searchParams.set('host', folder);
  return changed.href;
}

/** Sends a signal; false when there is no such process. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Whether the process with this number is a Postgres one at all. */
async function isPostgres(pid: number): Promise<boolean> {
  const child = spawn('ps', ['-o', 'comm=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] });
  let name = '';
  child.stdout.on('data', (chunk: Buffer) => (name += chunk.toString()));
  return new Promise((resolve) => {
    child.once('error', () => resolve(true)); // no ps: leave the file to Postgres itself
    child.once('close', () => resolve(name.includes('postgres')));
  });
}
