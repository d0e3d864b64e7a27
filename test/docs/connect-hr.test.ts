/** docs/connect-hr.md, followed to the letter on a real server; and what its examples say. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Api } from '../support/api.js';
import { cleanEnvironment, startServer, type ServerProcess } from '../support/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const snippets = [...readFileSync(join(ROOT, 'docs/connect-hr.md'), 'utf8').matchAll(/\n```sh\n(.*?)\n```/gs)].map(
  (match) => match[1]!,
);

let server: ServerProcess;
let api: Api;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  api = await Api.admin(server);
  folder = await mkdtemp(join(tmpdir(), 'keelson-connect-hr-'));
  await symlink(join(ROOT, 'examples'), join(folder, 'examples'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const follow = async (script: string): Promise<string> => {
  const keelson = `keelson() { "${process.execPath}" "${join(ROOT, 'dist/main.js')}" "$@"; }`;
  const { stdout } = await promisify(execFile)('bash', ['-euc', `${keelson}\n${script}`], {
    cwd: folder,
    env: { ...cleanEnvironment(), KEELSON_URL: server.url, KEELSON_TOKEN_FILE: join(server.dataFolder, 'admin.token') },
  });
  return stdout;
};

interface Revocation {
  readonly state: string;
  readonly scheduledFor?: string;
  readonly reasonCode?: string;
}
const revocations = async (source: string): Promise<Revocation[]> =>
  (await api.get<{ revocations: Revocation[] }>(`/v1/revocations?source=${source}`)).body.revocations;
const states = async (source: string): Promise<string[]> =>
  (await revocations(source)).map(({ state }) => state).reverse();
const until = (source: string, expected: string[]): Promise<void> =>
  vi.waitFor(async () => expect(await states(source)).toEqual(expected), { timeout: 20_000, interval: 100 });

test('from a producer to leavers, scheduled ones, changed ones, and another secret', async () => {
  const [configure, leave, change, rotate, vendors] = snippets as [string, string, string, string, string];
  await follow(configure);
  expect((await readFile(join(folder, 'hr.secret'), 'utf8')).trim()).toMatch(/^whsec_/);
  expect(await follow(leave)).toMatch(/"accepted":1,.*"accepted":3,/s);
  await until('hr', ['ordered', 'scheduled', 'scheduled']);
  // Dana’s return called off her leave, and is settled by that.
  await follow(change);
  await until('hr', ['ordered', 'cancelled', 'cancelled', 'settled', 'scheduled']);
  expect(await follow(rotate)).toMatch(/[0-9a-f]{16} +\S+Z +-\n[0-9a-f]{16} +\S+Z +\S+Z/);
  const answers = (await follow(vendors)).trim().split('\n');
  expect(answers.map((line) => JSON.parse(line) as object)).toMatchObject([
    { people: 3, ignored: 0, accepted: 6, quarantined: 0 },
    { people: 3, ignored: 1, accepted: 4, quarantined: 0 },
    { people: 1, ignored: 0, accepted: 1, quarantined: 0 },
  ]);
  await until('workday', ['ordered', 'scheduled']);
  await until('bamboohr', ['ordered', 'scheduled']);
  await until('hibob', ['ordered']);
}, 180_000);
