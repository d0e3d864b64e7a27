/** `@keelson/guard` as its users get it: packed, installed into an empty folder without a network, imported, compiled against. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildProgram } from '../support/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
let folder: string;
let app: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-package-'));
  app = join(folder, 'app');
  const built = join(folder, 'built');
  await run(process.execPath, [join(ROOT, 'packages/guard/build.mjs'), built]);
  const pack = async (path: string): Promise<string> => {
    const { stdout } = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, path]);
    return join(folder, stdout.trim());
  };
  tarball = await pack(built);
  const ws = await pack(join(ROOT, 'node_modules/ws'));
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{ "name": "app", "type": "module" }');
  await run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball, ws], { cwd: app });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('holds what the guard needs and nothing of the server, in less than 100 kB', async () => {
  expect((await readdir(join(app, 'node_modules'))).filter((name) => !name.startsWith('.')).sort()).toEqual([
    '@keelson',
    'ws',
  ]);
  const inside = join(app, 'node_modules/@keelson/guard');
  expect((await readdir(inside)).sort()).toEqual([
    'README.md',
    'core',
    'guard',
    'package.json',
    'platform',
    'protocol',
  ]);
  expect((await readdir(join(inside, 'platform'))).filter((name) => name.endsWith('.js'))).toEqual([
    'data-lock.js',
    'durable-file.js',
    'hasher.js',
    'signer.js',
  ]);
  const { version, dependencies } = JSON.parse(await readFile(join(inside, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: object;
  };
  const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(version).toBe(own.version);
  expect(Object.keys(dependencies)).toEqual(['ws']);
  expect((await stat(tarball)).size).toBeLessThan(100_000);
});

it('is imported by plain Node, without fastify and the MCP SDK', async () => {
  const script = `
    import { Guard, formatMetrics, join, openGuard, Publisher, nodeSigner, readMembership, ENTRA, KEYCLOAK, STANDARD } from '@keelson/guard';
    import { guardRoutes } from '@keelson/guard/fastify';
    import { guardTool } from '@keelson/guard/mcp';
    const key = Buffer.alloc(32).toString('base64');
    const answer = { instance: '00'.repeat(16), point: 'p', ledger: 'l', generation: 1, guardKey: key, rootKey: key, keySet: '' };
    const guard = new Guard({ url: 'http://127.0.0.1:1', membership: readMembership(answer, nodeSigner(new Uint8Array(32))) });
    console.log(JSON.stringify(guard.check(guard.token({ iss: 'i', sub: 'ana' }), 'deploy')));
    for (const one of [formatMetrics, join, openGuard, Publisher, guardRoutes, guardTool]) if (typeof one !== 'function') throw new Error('no function');
    for (const one of [ENTRA, KEYCLOAK, STANDARD]) if (one.subject !== 'sub') throw new Error('no mapping');`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: app });
  expect(JSON.parse(stdout)).toEqual({ allowed: false, reason: 'starting', seq: 0 });
});

it('is imported out of Keelson itself by the same names', async () => {
  await buildProgram();
  const script = `
    const [{ Guard }, { guardRoutes }, { guardTool }] = await Promise.all(
      ['keelson/guard', 'keelson/guard/fastify', 'keelson/guard/mcp'].map((name) => import(name)));
    console.log([Guard, guardRoutes, guardTool].map((one) => typeof one).join());`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT });
  expect(stdout).toBe('function,function,function\n');
});

it('has types that a strict program compiles against', async () => {
  // What a user of fastify has installed, too.
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(
    join(app, 'app.ts'),
    `import { Guard, KEYCLOAK, type Decision, type Membership } from '@keelson/guard';
     import { guardRoutes } from '@keelson/guard/fastify';
     import { guardTool, type CallExtra } from '@keelson/guard/mcp';
     import Fastify from 'fastify';
     export async function go(membership: Membership): Promise<Decision> {
       const guard = new Guard({ url: 'https://keelson.example', membership, mapping: KEYCLOAK });
       const app = Fastify();
       await app.register(guardRoutes, { guard, claimsOf: ({ headers }) => ({ sub: headers.from }) });
       app.get('/', async ({ revoked }) => revoked?.aborted);
       const tool = guardTool(guard, 't', { claimsOf: (_: CallExtra) => undefined }, ({ signal }: CallExtra) => signal.aborted);
       void tool;
       return guard.check(guard.token({}), 't');
     }
     // @ts-expect-error: a guard needs a membership.
     new Guard({ url: 'https://keelson.example' });`,
  );
  const compilerOptions = {
    ...{ target: 'ES2023', module: 'NodeNext', strict: true, noEmit: true, types: ['node'], skipLibCheck: false },
    ...{ exactOptionalPropertyTypes: true, lib: ['ES2023'] },
  };
  await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', app]).catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});
