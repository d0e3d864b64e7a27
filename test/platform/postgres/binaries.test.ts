import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseAccount } from '../../../src/platform/postgres/account.js';
import { findPackage, prepareBinaries, type BinaryPackage } from '../../../src/platform/postgres/binaries.js';

let folder: string;
let fresh: BinaryPackage;
let links: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-binaries-'));
  await chmod(folder, 0o755);
  const installed = findPackage();
  const list = JSON.parse(await readFile(join(installed.folder, 'native', 'pg-symlinks.json'), 'utf8')) as {
    target: string;
  }[];
  links = list.map(({ target }) => target);
  // As npm unpacks it: without the links.
  fresh = { folder: join(folder, 'home', 'package'), version: installed.version };
  await cp(join(installed.folder, 'native'), join(fresh.folder, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith('.a') && !links.some((link) => path === join(installed.folder, link)),
  });
});
afterEach(async () => {
  await chmod(join(fresh.folder, 'native', 'lib'), 0o755).catch(() => undefined);
  await rm(folder, { recursive: true });
});

async function versionOf(program: string): Promise<string> {
  const account = chooseAccount();
  const { stdout } = await promisify(execFile)(program, ['--version'], {
    encoding: 'utf8',
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  return stdout;
}

describe('the Postgres programs', () => {
  test('run without the package’s install script, made ready by many starts at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => prepareBinaries(chooseAccount(), join(folder, 'copies'), fresh)),
    );
    for (const { postgres, major } of all) {
      expect(postgres).toBe(join(fresh.folder, 'native', 'bin', 'postgres'));
      expect(await versionOf(postgres)).toContain(`(PostgreSQL) ${major}.`);
    }
    for (const link of links) expect((await lstat(join(fresh.folder, link))).isSymbolicLink()).toBe(true);
  });

  test('are copied where the package can not be changed or reached, once', async () => {
    const account = chooseAccount();
    // Root: a closed home, which the other account can't enter. Else: a folder without the right to write.
    if (account) await chmod(join(folder, 'home'), 0o700);
    else await chmod(join(fresh.folder, 'native', 'lib'), 0o555);
    const copies = join(folder, 'copies');
    const all = await Promise.all(Array.from({ length: 3 }, () => prepareBinaries(account, copies, fresh)));
    for (const { postgres } of all) expect(await versionOf(postgres)).toContain('(PostgreSQL)');
    expect(all[0]!.postgres.startsWith(copies)).toBe(true);
    expect(await readdir(copies)).toHaveLength(1);
    for (const link of links) await expect(lstat(join(fresh.folder, link))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
