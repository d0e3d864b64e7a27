import { execFileSync } from 'node:child_process';

/** What a process needs beside its connections. */
const OTHERS = 500;

/** Node takes as many open files as it may (the hard limit). @throws Error where that is too few for so many connections to one process */
export function requireOpenFiles(connections: number): void {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  if (limit === 'unlimited' || Number(limit) >= connections + OTHERS) return;
  throw new Error(
    `${connections} connections to one process need ${connections + OTHERS} open files, and the hard limit is ${limit}: ` +
      'raise it (ulimit -Hn, as root), or take fewer by --guards and --connections',
  );
}
