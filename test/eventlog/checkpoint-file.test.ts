import { appendFile, mkdtemp, open, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { openCheckpointFile } from '../../src/eventlog/postgres/checkpoint-file.js';

let path: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-checkpoint-file-'));
  path = join(folder, 'memory', 'checkpoints');
  return () => rm(folder, { recursive: true });
});

async function remember(notes: readonly (readonly [origin: string, note: string])[], rewriteAboveBytes?: number) {
  const file = await openCheckpointFile(path, rewriteAboveBytes);
  for (const [origin, note] of notes) await file.remember(origin, note);
  await file.close();
}

async function recall(origin: string): Promise<string | undefined> {
  const file = await openCheckpointFile(path);
  const note = await file.recall(origin);
  await file.close();
  return note;
}

test('a write torn at any byte costs that note alone, and the next one is kept', async () => {
  await remember([['a', 'first\n']]);
  const whole = await readFile(path);
  await remember([['a', 'second\n']]);
  const both = await readFile(path);
  for (let length = whole.length; length < both.length; length++) {
    await writeFile(path, both.subarray(0, length));
    expect(await recall('a')).toBe('first\n');
    await remember([['a', 'third\n']]);
    expect(await recall('a')).toBe('third\n');
  }
});

test('a last line whose bytes did not all reach the disk is cut off', async () => {
  await remember([['a', 'first\n']]);
  await appendFile(path, `${'0'.repeat(32)} ["a","second"]\n`);
  expect(await recall('a')).toBe('first\n');
});

test('a broken line before others is no accident', async () => {
  await remember([
    ['a', '1'],
    ['b', '2'],
  ]);
  const bytes = await readFile(path);
  bytes[40]! ^= 1;
  await writeFile(path, bytes);
  await expect(openCheckpointFile(path)).rejects.toEqual(expect.objectContaining({ code: 'tampered' }));
});

test('old notes are forgotten when they outweigh the new, never the newest of an origin', async () => {
  const notes = Array.from({ length: 200 }, (_, i) => [`o${i % 3}`, `note ${i}`] as const);
  await remember([['rare', 'kept'], ...notes], 2_000);
  expect((await stat(path)).size).toBeLessThan(4_000);
  expect(await recall('rare')).toBe('kept');
  expect(await recall('o0')).toBe('note 198');
  expect(await recall('o1')).toBe('note 199');
});

test('of many at once each origin keeps its last', async () => {
  const file = await openCheckpointFile(path);
  await Promise.all(Array.from({ length: 100 }, (_, i) => file.remember(`o${i % 2}`, String(i))));
  await file.close();
  expect([await recall('o0'), await recall('o1'), await recall('none')]).toEqual(['98', '99', undefined]);
});

test('what the disk did not confirm is not remembered, and what is written next is whole again', async () => {
  await remember([['a', '1']]);
  const file = await openCheckpointFile(path);
  const handle = await open(path, 'r');
  const disk = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'datasync');
  try {
    disk.mockRejectedValueOnce(new Error('EIO'));
    await expect(file.remember('a', '2')).rejects.toThrow('EIO');
    expect(await file.recall('a')).toBe('1');
    await file.remember('b', '3');
  } finally {
    disk.mockRestore();
    await handle.close();
  }
  await file.close();
  expect([await recall('a'), await recall('b')]).toEqual(['1', '3']);
});

test('only its owner may read it', async () => {
  await remember([['a', '1']]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
