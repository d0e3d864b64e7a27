// A newcomer's first ten minutes, as the README tells them: a fresh clone of HEAD in a fresh home, `npm start`, the README's own
// commands, stop, start again without a network. `npm run test:newcomer`; made of Node's built-in modules, git, bash and curl.
//
// As root it is played twice: by a plain user, and by root below a closed home with npm told to run no install scripts.
// Else once, with no install scripts.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FIRST_START_MS = 10 * 60_000;
const START_MS = 60_000;
const STOP_MS = 60_000;

const isRoot = process.getuid() === 0;
const say = (text) => console.log(`newcomer: ${text}`);
/** Where everything below happens; open to pass through, so that a plain user gets to a folder of theirs. */
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'keelson-newcomer-'));
fs.chmodSync(scratch, 0o755);
/** Process groups that may still be running. */
const groups = new Set();

try {
  if (isRoot) {
    await play({ name: 'a plain user', account: readAccount('nobody'), variables: {} });
    await play({
      name: 'root below a closed home',
      variables: { npm_config_ignore_scripts: 'true', NODE_ENV: 'production' },
    });
  } else {
    await play({
      name: os.userInfo().username,
      variables: { npm_config_ignore_scripts: 'true', NODE_ENV: 'production' },
    });
  }
  say('passed');
} finally {
  for (const pid of groups) signalGroup(pid, 'SIGKILL');
  await stopOrphans();
  fs.rmSync(scratch, { recursive: true, force: true });
}

async function play(person) {
  say(`== ${person.name}`);
  const home = fs.mkdtempSync(path.join(scratch, 'home-'));
  const checkout = path.join(home, 'keelson');
  // Root's data lies below the closed home, too; a plain user's where Keelson puts it by itself.
  const data = person.account ? path.join(home, '.local', 'share', 'keelson') : path.join(home, 'data');
  const port = await findPort();
  const env = makeEnvironment(home, {
    KEELSON_PORT: String(port),
    ...(!person.account && { KEELSON_DATA: data }),
    ...person.variables,
  });
  copyNpmSettings(home);
  // The checkout that is tested may be somebody else's (a mounted one in CI): git is told that it may be read.
  const gitSettings = path.join(scratch, 'gitconfig');
  fs.writeFileSync(gitSettings, `[safe]\n\tdirectory = *\n`);
  const cloning = { cwd: home, env: { ...env, GIT_CONFIG_GLOBAL: gitSettings } };
  must({ env }, 'git', ['clone', '--quiet', '--no-local', root, checkout], cloning);
  own(home, person.account);
  fs.chmodSync(home, 0o700);
  const world = { ...person, home, checkout, data, port, env };

  await firstStart(world);
  await offlineStart(world);
  await portTaken(world);
}

/** Installs, builds, starts; then the README's commands; then Ctrl-C. */
async function firstStart(world) {
  const service = await start(world, FIRST_START_MS);
  say('started; the README’s commands');
  const output = runReadme(world);
  expect(output.includes('"accepted"'), 'the first curl publishes', output);
  expect(output.includes('spiffe://company.com/agent/deploy-bot'), 'the second finds it', output);
  expect(output.includes('\n\u2014 '), 'the third shows a signed checkpoint', output);

  const second = launch(world, ['start']);
  const code = await within(second.exited, START_MS, 'a second start on the same data');
  expect(code !== 0 && /already running/.test(second.text()), 'a second start says who is running', second.text());
  await stop(world, service);
}

/** No network: npm is told so, and the registry is out of reach. */
async function offlineStart(world) {
  say('starting again, offline');
  const env = { ...world.env, npm_config_offline: 'true', npm_config_registry: 'http://127.0.0.1:9/' };
  const service = await start({ ...world, env }, START_MS);
  expect(!/installing|compiling/.test(service.text()), 'nothing was installed or compiled again', service.text());
  const output = runReadme(world);
  expect(output.includes('spiffe://company.com/agent/deploy-bot'), 'the ledger is as it was', output);
  await stop({ ...world, env }, service);
}

async function portTaken(world) {
  say('starting with the port taken');
  const server = net.createServer();
  await new Promise((resolve) => server.listen(world.port, '127.0.0.1', resolve));
  const service = launch(world, ['start']);
  const code = await within(service.exited, START_MS, 'a start with the port taken');
  server.close();
  expect(code !== 0, 'it fails', service.text());
  expect(
    service.text().includes(`${world.port}`) && /KEELSON_PORT/.test(service.text()),
    'it says why',
    service.text(),
  );
  expectNothingLeft(world);
}

// Starting and stopping

function launch(world, args) {
  const child = spawn('npm', args, {
    cwd: world.checkout,
    env: world.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...identity(world),
  });
  groups.add(child.pid);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
  const exited = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      groups.delete(child.pid);
      resolve(signal ?? code);
    });
  });
  return { pid: child.pid, exited, text: () => text };
}

/** Resolves when the service is ready. */
async function start(world, timeoutMs) {
  const service = launch(world, ['start']);
  const deadline = Date.now() + timeoutMs;
  let ended = false;
  void service.exited.then(() => (ended = true));
  while (!(await isReady(world.port))) {
    expect(!ended, 'npm start goes on running', service.text());
    expect(Date.now() < deadline, `npm start is ready within ${timeoutMs / 1000} s`, service.text());
    await sleep(200);
  }
  const file = path.join(world.data, 'admin.token');
  expect(service.text().includes(file), 'it says where the admin token is', service.text());
  expect((fs.statSync(file).mode & 0o777) === 0o600, 'the admin token is its owner’s alone');
  return service;
}

function isReady(port) {
  return fetch(`http://127.0.0.1:${port}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

/** Ctrl-C in a terminal: SIGINT to the whole process group. */
async function stop(world, service) {
  signalGroup(service.pid, 'SIGINT');
  const code = await within(service.exited, STOP_MS, 'Ctrl-C', service);
  expect(code === 0, `Ctrl-C ends with 0, not ${code}`, service.text());
  expectNothingLeft(world);
}

/** The database is down, cleanly, and the lock is gone. */
function expectNothingLeft(world) {
  const leftovers = [path.join(world.data, 'postgres'), path.join(clusterOf(world.data), 'postgres')]
    .map((folder) => path.join(folder, 'postmaster.pid'))
    .concat(fs.readdirSync(world.data).flatMap((name) => (/^lock/.test(name) ? path.join(world.data, name) : [])))
    .filter((file) => fs.existsSync(file));
  expect(leftovers.length === 0, `nothing is left running: ${leftovers.join(', ')}`);
}

/** Where the embedded database lies when the data folder is closed to its account: src/platform/postgres/embedded.ts. */
function clusterOf(data) {
  const real = fs.existsSync(data) ? fs.realpathSync(data) : data;
  return path.join('/var/lib/keelson/clusters', createHash('sha256').update(real).digest('hex').slice(0, 16));
}

// The README

/** Runs the `sh` block after each `<!-- newcomer … -->` as it stands, but for the port; answers what it printed. */
function runReadme(world) {
  const readme = fs.readFileSync(path.join(world.checkout, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/<!-- newcomer[^>]*-->\s*```sh\n([\s\S]*?)```/g)].map((match) => match[1]);
  expect(blocks.length > 0, 'README.md has blocks marked for newcomers');
  const script = [
    'set -euo pipefail',
    // A problem is a failure here, answers end their lines, and nobody types the next command within the moment that search takes.
    'curl() { command curl --fail-with-body "$@"; echo; sleep 1; }',
    ...blocks,
  ].join('\n');
  const local = script.replaceAll('http://127.0.0.1:8420', `http://127.0.0.1:${world.port}`);
  return must(world, 'bash', ['-c', local], { env: { ...world.env, KEELSON_DATA: world.data } });
}

// The person

function readAccount(name) {
  const line = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  expect(line !== undefined, `there is an account ${name}`);
  const [, , uid, gid] = line.split(':').map(Number);
  return { uid, gid };
}

function identity({ account }) {
  return account ? { uid: account.uid, gid: account.gid } : {};
}

function own(file, account) {
  if (!account) return;
  fs.lchownSync(file, account.uid, account.gid);
  if (!fs.lstatSync(file).isDirectory()) return;
  for (const entry of fs.readdirSync(file)) own(path.join(file, entry), account);
}

/** Nothing of ours but the way out: path, proxies, certificates, npm's registry. */
function makeEnvironment(home, more) {
  const passed =
    /^(PATH|LANG|LC_\w+|TZ|TERM|(https?|all|no)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|npm_config_(\w*registry|cafile|ca|proxy|https_proxy|noproxy|globalconfig))$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => passed.test(name)));
  return {
    ...env,
    HOME: home,
    npm_config_cache: path.join(home, '.npm'),
    npm_config_update_notifier: 'false',
    ...more,
  };
}

/** A machine may keep its registry in the user's npm settings: a newcomer on it would have them, too. */
function copyNpmSettings(home) {
  const file = process.env.npm_config_userconfig ?? path.join(os.homedir(), '.npmrc');
  if (fs.existsSync(file)) fs.writeFileSync(path.join(home, '.npmrc'), fs.readFileSync(file), { mode: 0o600 });
}

// Small things

function must(world, command, args, options = {}) {
  const env = options.env ?? world.env;
  const cwd = options.cwd ?? world.checkout;
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...identity(world),
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  expect(result.status === 0, `${command} succeeds (${result.error?.message ?? result.status})`, output);
  return output;
}

function expect(fact, what, output = '') {
  if (fact) return;
  throw new Error(`expected that ${what}${output ? `\n--- output\n${output.slice(-6000)}` : ''}`);
}

async function within(promise, timeoutMs, what, service) {
  const timer = new AbortController();
  const late = sleep(timeoutMs, 'late', { signal: timer.signal }).catch(() => undefined);
  const result = await Promise.race([promise, late]);
  timer.abort();
  expect(result !== 'late', `${what} is over within ${timeoutMs / 1000} s`, service?.text());
  return result;
}

function findPort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** After a failure: the databases of the homes made here, which have process groups of their own. */
async function stopOrphans() {
  for (const name of fs.readdirSync(scratch)) {
    const home = path.join(scratch, name);
    for (const data of [path.join(home, 'data'), path.join(home, '.local', 'share', 'keelson')]) {
      const cluster = clusterOf(data);
      for (const folder of [path.join(data, 'postgres'), path.join(cluster, 'postgres')]) {
        const file = path.join(folder, 'postmaster.pid');
        if (!fs.existsSync(file)) continue;
        const pid = Number(fs.readFileSync(file, 'utf8').split('\n')[0]);
        if (pid > 1) process.kill(pid, 'SIGQUIT');
        await sleep(1_000);
      }
      fs.rmSync(cluster, { recursive: true, force: true });
    }
  }
}
