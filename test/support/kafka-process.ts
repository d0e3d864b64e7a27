import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Stops the run's broker, if one was started in `runFolder`. */
export async function stopKafka(runFolder: string): Promise<void> {
  const pid = Number(await readFile(join(runFolder, 'kafka', 'kafka.pid'), 'utf8').catch(() => 'none'));
  if (pid > 1 && isBroker(pid, join(runFolder, 'kafka'))) await killHard(pid);
}

/** SIGKILL, and waits until the process is gone. */
export async function killHard(pid: number): Promise<void> {
  if (!isAlive(pid)) return;
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await sleep(20);
}

/** Alive and not a zombie that nobody has waited for. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z');
  } catch {
    return false;
  }
}

function isBroker(pid: number, folder: string): boolean {
  try {
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).includes(folder);
  } catch {
    return false;
  }
}
