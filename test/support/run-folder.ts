import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stopKafka } from './kafka-process.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder of this run's own; its name carries the pid of the run. */
    runFolder: string;
  }
}

const PREFIX = 'keelson-run-';

/** The run's folder. Sweeps away what killed runs left. */
export async function makeRunFolder(): Promise<string> {
  for (const entry of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(entry)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isAlive(pid)) await removeRunFolder(join(tmpdir(), entry));
  }
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Stops the run's Postgres and Kafka, where they were started, and removes the folder. */
export async function removeRunFolder(folder: string): Promise<void> {
  const pid = Number(await readFile(join(folder, 'postgres.pid'), 'utf8').catch(() => 'none'));
  const socket = (await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0];
  // The cluster's own pid file is gone when it is stopped, and names the same process while it runs.
  if (pid > 1 && Number(socket) === pid && isAlive(pid)) {
    process.kill(pid, 'SIGQUIT');
    while (isAlive(pid)) await sleep(20);
  }
  await stopKafka(folder);
  await rm(folder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
