import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** User and system time that a process itself has used, all its threads, in microseconds (Linux). */
export function processCpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerS()) * 1e6;
}

let known: number | undefined;
const ticksPerS = (): number => (known ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })));
