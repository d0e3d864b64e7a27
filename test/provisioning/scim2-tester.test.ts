/** An outside judge: scim2-tester (PyPI) against a running server. `.ci/run` installs it; elsewhere SCIM2_TESTER may name a Python that has it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openService, ScimClient, type Service } from './harness.js';

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const python = process.env['SCIM2_TESTER'] ?? join(cache, 'keelson-ci', 'scim2-tester-0.5.0', 'bin', 'python');
const isThere = existsSync(python);
if (!isThere) {
  const message = `scim2-tester is skipped: there is no ${python}; .ci/run shows how to make it`;
  if (process.env['CI'] === 'true') throw new Error(message);
  console.warn(message);
}

let service: Service;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service?.close());

test.skipIf(!isThere)(
  'scim2-tester finds nothing wrong',
  async () => {
    const client = await ScimClient.open(service, 'tester');
    const script = fileURLToPath(new URL('scim2-tester.py', import.meta.url));
    const { stdout } = await promisify(execFile)(python, [script], {
      env: { ...process.env, SCIM_URL: client.url, SCIM_TOKEN: client.token },
      timeout: 240_000,
    }).catch((error: { stdout?: string; stderr?: string }) => ({ stdout: `${error.stdout}\n${error.stderr}` }));
    expect(stdout.trim()).toMatch(/^SUCCESS=\d+$/);
  },
  300_000,
);
