import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import vectors from '../vectors/protocol/feed.json' with { type: 'json' };

it('a guard in another language passes the vectors', () => {
  const [script, file] = ['examples/feed-reader/reader.py', 'test/vectors/protocol/feed.json'].map((path) =>
    fileURLToPath(new URL(`../../${path}`, import.meta.url)),
  );
  const { status, stdout, stderr } = spawnSync('python3', [script!, file!], { encoding: 'utf8', timeout: 120_000 });
  expect(stderr).toBe('');
  expect(stdout).toContain(`${vectors.story.length} lines as they should be`);
  expect(status).toBe(0);
});
