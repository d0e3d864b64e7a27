/**
 * A real Apache Kafka 4 for tests, without Docker: the jars come from Maven Central once (offline afterwards), the broker runs
 * from them in KRaft mode. In this order: `KAFKA_BROKERS` names one; Java and Maven are there, so one is started; else tests
 * skip loudly, and with `CI=true` fail.
 *
 * One broker per test run, started by the first test that asks (`kafkaBrokers`), stopped by the global set-up
 * (`removeRunFolder`); each test file uses a topic prefix of its own. Tests that kill brokers start their own (`startKafka`).
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { killHard } from './kafka-process.js';
import type {} from './run-folder.js';

const run = promisify(execFile);
const POM = fileURLToPath(new URL('kafka/pom.xml', import.meta.url));
const STARTS_WITHIN_MS = 60_000;

export interface KafkaOptions {
  /** Where clients are sent to instead of the broker's own port: a proxy in front of it. */
  readonly advertisedPort?: number;
  readonly port?: number;
  /** More lines of server.properties. */
  readonly settings?: readonly string[];
}

export interface KafkaBroker {
  /** `127.0.0.1:port`, as advertised. */
  readonly brokers: string;
  /** The port the broker itself listens on. */
  readonly port: number;
  readonly pid: number;
  /** SIGKILL; what it acknowledged stays on its disk. */
  kill(): Promise<void>;
  /** Starts it again, after `kill`, on the same data. */
  restart(): Promise<void>;
  /** Kills it and removes its data. */
  remove(): Promise<void>;
}

/** Whether a broker can be had here; says so once where not, and throws with `CI=true`. */
export function hasKafka(): boolean {
  if (process.env['KAFKA_BROKERS'] !== undefined || hasJava()) return true;
  const message = 'Kafka tests are skipped: neither KAFKA_BROKERS nor Java and Maven';
  if (process.env['CI'] === 'true') throw new Error(message);
  warnOnce(message);
  return false;
}

/** As `hasKafka`, for tests that kill their brokers: only an own one will do. */
export function hasOwnKafka(): boolean {
  return hasKafka() && hasJava();
}

/** A prefix for the topics and groups of one test file. */
export const topicPrefix = (): string => `t${randomBytes(5).toString('hex')}.`;

/** The run's broker; whoever makes the folder first starts it, the others wait for its state file. */
export async function kafkaBrokers(): Promise<string> {
  const given = process.env['KAFKA_BROKERS'];
  if (given !== undefined) return given;
  const folder = join(inject('runFolder'), 'kafka');
  const stateFile = join(folder, 'state.json');
  const first = await mkdir(folder).then(
    () => true,
    () => false,
  );
  const write = async (state: object): Promise<void> => {
    await writeFile(`${stateFile}.tmp`, JSON.stringify(state));
    await rename(`${stateFile}.tmp`, stateFile);
  };
  if (first) {
    try {
      const broker = await startIn(folder, {});
      await write({ brokers: broker.brokers });
    } catch (error) {
      await write({ failure: String((error as Error).message) });
    }
  }
  for (;;) {
    const text = await readFile(stateFile, 'utf8').catch(() => undefined);
    if (text === undefined) {
      await sleep(50);
      continue;
    }
    const state = JSON.parse(text) as { brokers?: string; failure?: string };
    if (state.brokers === undefined) throw new Error(`the test Kafka did not start: ${state.failure}`);
    return state.brokers;
  }
}

/** A broker of a test's own, on free ports. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaBroker> {
  return startIn(await mkdtemp(join(tmpdir(), 'keelson-kafka-')), options);
}

async function startIn(folder: string, options: KafkaOptions): Promise<KafkaBroker> {
  const lib = await fetchJars();
  const port = options.port ?? (await freePort());
  const properties = join(folder, 'server.properties');
  const advertised = `127.0.0.1:${options.advertisedPort ?? port}`;
  await writeFile(properties, formatProperties(folder, port, await freePort(), advertised, options.settings ?? []));
  const id = randomUuid64();
  const classpath = join(lib, '*');
  await run('java', [
    '-cp',
    classpath,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    id,
    '-c',
    properties,
    '--standalone',
  ]);
  let pid = await spawnBroker(folder, classpath, properties, port);
  return {
    brokers: advertised,
    port,
    get pid() {
      return pid;
    },
    kill: () => killHard(pid),
    restart: async () => {
      pid = await spawnBroker(folder, classpath, properties, port);
    },
    remove: async () => {
      await killHard(pid);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function formatProperties(
  folder: string,
  port: number,
  controllerPort: number,
  advertised: string,
  settings: readonly string[],
): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://${advertised},CONTROLLER://127.0.0.1:${controllerPort}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    `log.dirs=${join(folder, 'data')}`,
    'auto.create.topics.enable=false',
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    // A killed broker must not be waited for by the one that replaces it.
    'broker.session.timeout.ms=2000',
    'broker.heartbeat.interval.ms=500',
    ...settings,
  ].join('\n');
}

async function spawnBroker(folder: string, classpath: string, properties: string, port: number): Promise<number> {
  const log = await open(join(folder, 'kafka.log'), 'a');
  const broker = spawn(
    'java',
    [
      '-Xms128m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-cp',
      classpath,
      'kafka.Kafka',
      properties,
    ],
    { stdio: ['ignore', log.fd, log.fd], detached: true },
  );
  await log.close();
  broker.unref();
  const pid = broker.pid!;
  await writeFile(join(folder, 'kafka.pid'), String(pid));
  const deadline = Date.now() + STARTS_WITHIN_MS;
  while (!(await answers(port))) {
    if (broker.exitCode !== null || Date.now() > deadline) {
      await killHard(pid);
      throw new Error(`Kafka did not start: ${(await readFile(join(folder, 'kafka.log'), 'utf8')).slice(-2_000)}`);
    }
    await sleep(100);
  }
  return pid;
}

/** The broker's jars, in the user's cache; made whole in a folder beside it, so that two runs at once can't mix. */
async function fetchJars(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keelson');
  const version = /<version>(4[^<]*)</.exec(await readFile(POM, 'utf8'))![1]!;
  const lib = join(cache, `kafka-${version}`);
  if (await exists(lib)) return lib;
  await mkdir(cache, { recursive: true });
  const fresh = await mkdtemp(`${lib}-`);
  await run('mvn', [
    '-q',
    '-B',
    '-f',
    POM,
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${fresh}`,
  ]);
  await rename(fresh, lib).catch(() => rm(fresh, { recursive: true }));
  return lib;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A cluster id: a UUID in URL-safe base64; the tool refuses one that begins with a dash. */
const randomUuid64 = (): string =>
  `A${Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url').slice(1)}`;

let java: boolean | undefined;
function hasJava(): boolean {
  java ??= ['java -version', 'mvn -v'].every((command) => {
    const [program, ...args] = command.split(' ') as [string, string];
    try {
      execFileSync(program, args, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
  return java;
}

let warned = false;
function warnOnce(message: string): void {
  if (!warned) console.warn(message);
  warned = true;
}
