import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LOADER = fileURLToPath(new URL('./typescript.mjs', import.meta.url));

/** Starts a TypeScript file as a process of its own, for tests that kill, freeze or signal one. Speaks IPC. */
export function startProcess(file: URL, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, ['--import', LOADER, fileURLToPath(file), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...options,
  });
}
