// `npm run build:guard [-- <folder>]`: compiles what the guard's entry points reach into a package of its own, dist-guard, that `npm pack`
// and `npm publish` take as it is. Its version is Keelson's, and of Keelson's dependencies it has `ws`.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const out = resolve(process.argv[2] ?? join(root, 'dist-guard'));
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

rmSync(out, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', join(here, 'tsconfig.json'), '--outDir', out], { stdio: 'inherit' });

const { version, dependencies } = readJson(join(root, 'package.json'));
const { name, ...rest } = readJson(join(here, 'package.json'));
const made = { name, version, ...rest, dependencies: { ws: `^${dependencies.ws}` } };
writeFileSync(join(out, 'package.json'), `${JSON.stringify(made, null, 2)}\n`);
copyFileSync(join(here, 'README.md'), join(out, 'README.md'));
console.log(`${name} ${version} is in ${relative(process.cwd(), out) || out}: npm pack or npm publish takes it`);
