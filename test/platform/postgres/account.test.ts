import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mayEnter } from '../../../src/platform/postgres/account.js';

test('who may enter a folder is told by its mode bits, all the way up', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-account-'));
  await chmod(folder, 0o755);
  const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 };
  const inner = join(folder, 'a', 'b');
  await mkdir(inner, { recursive: true });
  await chmod(join(folder, 'a'), 0o755);
  await chmod(inner, 0o755);
  expect(mayEnter(nobody, inner)).toBe(true);
  await chmod(join(folder, 'a'), 0o700);
  expect(mayEnter(nobody, inner)).toBe(false);
  expect(mayEnter(undefined, inner)).toBe(true);
  await rm(folder, { recursive: true });
});
