import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDataFolder, PROGRAM_FOLDER } from '../../src/platform/data-folder.js';
import { findLockHolder, lockDataFolder } from '../../src/platform/data-lock.js';
import { startProcess } from '../support/process.js';

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'keelson-data-')));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the data folder', () => {
  test('is made, closed to others', async () => {
    const made = await openDataFolder(join(folder, 'a', 'b'));
    expect(made).toBe(join(folder, 'a', 'b'));
    expect((await stat(made)).mode & 0o777).toBe(0o700);
  });

  test('is refused inside the checkout, also through a symlink, and nothing is made there', async () => {
    await symlink(PROGRAM_FOLDER, join(folder, 'link'));
    for (const path of [join(PROGRAM_FOLDER, 'data'), PROGRAM_FOLDER, join(folder, 'link', 'data', 'x')]) {
      await expect(openDataFolder(path)).rejects.toMatchObject({ code: 'invalid_config' });
    }
    expect(await readdir(PROGRAM_FOLDER)).not.toContain('data');
  });

  test('is refused where a file stands', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(openDataFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'invalid_config' });
    await expect(openDataFolder(join(folder, 'file', 'x'))).rejects.toMatchObject({ code: 'invalid_config' });
  });
});

describe('the lock on it', () => {
  test('is one process’s at a time, and free after release', async () => {
    const lock = await lockDataFolder(folder);
    expect(await findLockHolder(folder)).toBe(process.pid);
    await expect(lockDataFolder(folder)).rejects.toMatchObject({ code: 'already_running' });
    await lock.release();
    expect(await findLockHolder(folder)).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    await (await lockDataFolder(folder)).release();
  });

  test('is won by exactly one of many', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 12 }, () => lockDataFolder(folder)));
    const won = tries.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]!.value.release();
    expect(await readdir(folder)).toEqual([]);
  });

  test('survives nobody’s death: a killed holder’s lock is taken over by exactly one', async () => {
    for (let round = 0; round < 3; round++) {
      const holder = await holdLock(folder);
      expect(await findLockHolder(folder)).toBe(holder.pid);
      await expect(lockDataFolder(folder)).rejects.toMatchObject({ code: 'already_running' });
      holder.kill('SIGKILL');
      await once(holder, 'exit');
      const tries = await Promise.allSettled(Array.from({ length: 12 }, () => lockDataFolder(folder)));
      const won = tries.filter((result) => result.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]!.value.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('is held by a frozen process, too', async () => {
    const holder = await holdLock(folder);
    holder.kill('SIGSTOP');
    await expect(lockDataFolder(folder)).rejects.toMatchObject({ code: 'already_running' });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  });

  test('works below a path too long for a socket', async () => {
    const deep = join(folder, 'd'.repeat(60), 'e'.repeat(60));
    await mkdir(deep, { recursive: true });
    await chmod(deep, 0o700);
    const lock = await lockDataFolder(deep);
    await expect(lockDataFolder(deep)).rejects.toMatchObject({ code: 'already_running' });
    await lock.release();
  });
});

/** A process of its own that holds the lock until it is killed. */
async function holdLock(path: string): Promise<ChildProcess> {
  const child = startProcess(new URL('./hold-lock.ts', import.meta.url), [path]);
  await once(child, 'message');
  return child;
}
