/** The server of `bench:fanout`: a process of its own, which can be killed and started again at the same place. */
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../../src/guard/connection.js';
import { readMembership, type MembershipJson } from '../../src/guard/join.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';
import { deriveKey } from '../../src/protocol/keys.js';
import { Api } from '../../test/support/api.js';
import { startProcess } from '../../test/support/process.js';
import { freePort, makeDataFolder, startServer, type ServerProcess } from '../../test/support/server.js';
import type { BenchCluster, BenchDatabase } from './cluster.js';
import { CommitWatch } from './commit-watch.js';
import { openServerLog, type ServerLog } from './event-log-of-server.js';
import { enrolInstances, signerOf } from './instances.js';
import { nowMs } from './now.js';
import { processCpuUs } from './process-cpu.js';
import type { SteadyLoad } from './steady-load.js';

const SOURCE = 'hr';
const ISSUER = 'https://idp.example';
/** An order that takes longer never comes. */
const WITHIN_MS = 60_000;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** One that is connected before all others, so it is told before them: when a frame is sent, and what. */
export interface Witness {
  /** Resolves with the frame that changes this person's key. */
  next(person: string): Promise<{ readonly atMs: number; readonly seq: number; readonly bytes: number }>;
  close(): void;
}

export class FanServer {
  membership!: MembershipJson;
  #server: ServerProcess | undefined;
  #api!: Api;
  #secret!: Buffer;

  private constructor(
    readonly database: BenchDatabase,
    readonly watch: CommitWatch,
    private readonly log: ServerLog,
    private readonly dataFolder: string,
    private readonly port: number,
  ) {}

  /** @param instances that are let in. */
  static async start(cluster: BenchCluster, kind: string, instances: number): Promise<FanServer> {
    const database = await cluster.createDatabase(`bench_${kind}`);
    const [log, watch] = [await openServerLog(kind), await CommitWatch.open(database.adminUrl)];
    const server = new FanServer(database, watch, log, await makeDataFolder(), await freePort());
    try {
      await server.#prepare(instances);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** HR says that somebody has left. Answers when it was sent, and when it was accepted. */
  async sendLeaver(
    person: string,
  ): Promise<{ readonly id: string; readonly sentMs: number; readonly acceptedMs: number }> {
    const id = `msg_${randomUUID()}`;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const data = { person, reason_code: 'termination' };
    const body = JSON.stringify({ type: 'person.left', timestamp: new Date().toISOString(), data });
    const signature = createHmac('sha256', this.#secret).update(`${id}.${timestamp}.${body}`).digest('base64');
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
      // As soon as it is durable: the ledger comes next.
      prefer: 'wait=0',
    };
    const sentMs = nowMs();
    const sent = request(`${this.url}/v1/hr/${SOURCE}`, { method: 'POST', agent, headers }).end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const acceptedMs = nowMs();
    await once(answer.resume(), 'end');
    if (answer.statusCode !== 202 && answer.statusCode !== 200) throw new Error(`HR was answered ${answer.statusCode}`);
    return { id, sentMs, acceptedMs };
  }

  /** @param n number of an instance that nobody else is. */
  async witness(n: number): Promise<Witness> {
    const { signer, instance } = signerOf(this.membership.ledger, n);
    const json = { ...this.membership, instance: Buffer.from(instance).toString('hex') };
    let seq = 0;
    let [wanted, wake]: [Buffer, (frame: { atMs: number; seq: number; bytes: number }) => void] = [
      Buffer.alloc(0),
      () => undefined,
    ];
    let isOpen = false;
    const connection = new Connection({
      url: this.url,
      membership: readMembership(json, signer),
      transport: 'websocket',
      seq: () => seq,
      hear: (message) => {
        const bytes = message as Buffer;
        if (bytes.toString('latin1', 0, 4) !== 'KRF1') return;
        seq = Number(bytes.readBigUInt64BE(4)) + bytes.readUInt32BE(12);
        if (changes(bytes, wanted)) wake({ atMs: nowMs(), seq, bytes: bytes.length });
      },
      onOpen: () => (isOpen = true),
      onSeek: () => undefined,
      floor: () => 0,
      onAlive: () => undefined,
      onProblem: () => undefined,
    });
    connection.open();
    while (!isOpen) await sleep(5);
    const guardKey = Buffer.from(this.membership.guardKey, 'base64');
    return {
      next: (person) => {
        wanted = Buffer.from(deriveKey(nodeHasher, guardKey, 'principal', ISSUER, person));
        return new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`no frame about ${person}`)), WITHIN_MS);
          wake = (frame) => (clearTimeout(timer), resolve(frame));
        });
      },
      close: () => connection.close(),
    };
  }

  /** Decisions at a steady rate. `stop` answers how many were taken a second. */
  async startLoad(perS: number): Promise<{ stop(): Promise<number> }> {
    const { token } = await this.#api.as('load', ['publish:decisions']);
    const child = startProcess(new URL('steady-load.ts', import.meta.url));
    child.send({ url: this.url, token, perS } satisfies SteadyLoad);
    return {
      async stop() {
        const said = once(child, 'message');
        child.send('stop');
        return ((await said) as [number])[0];
      },
    };
  }

  /** SIGKILL, and starts it again. */
  async restart(): Promise<{ readonly downMs: number; readonly listensMs: number }> {
    const killedMs = nowMs();
    await this.#server!.end('SIGKILL');
    await this.#start(0);
    while (!(await fetch(`${this.url}/healthz`).catch(() => undefined))) await sleep(5);
    const listensMs = nowMs();
    return { downMs: listensMs - killedMs, listensMs };
  }

  /** User and system time since it was started, microseconds. */
  cpuUs(): number {
    return processCpuUs(this.#server!.pid);
  }

  /** Since it was started (Linux). */
  peakMemoryMb(): number {
    const status = readFileSync(`/proc/${this.#server!.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  async stop(): Promise<void> {
    await this.#server?.end();
    await this.watch.close();
    await this.database.drop();
    await this.log.close();
    await rm(this.dataFolder, { recursive: true, force: true });
  }

  async #prepare(instances: number): Promise<void> {
    await this.#start();
    this.#api = await Api.admin(this.#server!);
    this.membership = await enrolInstances(this.#api, this.database, instances);
    await this.#api.send('PUT', `/v1/producers/${SOURCE}`, { issuer: ISSUER, hr: {} });
    const { body } = await this.#api.post<{ secret: string }>(`/v1/producers/${SOURCE}/webhook-secrets`, {});
    this.#secret = Buffer.from(body.secret.replace(/^whsec_/, ''), 'base64');
  }

  async #start(readyTimeoutMs = 60_000): Promise<void> {
    const { database, log, dataFolder, port } = this;
    const env = {
      ...log.env,
      KEELSON_DATABASE_URL: database.url,
      KEELSON_MIGRATION_URL: database.adminUrl,
      KEELSON_REVOCATION_HOLD_COUNT: '1000000',
    };
    this.#server = await startServer({ env, dataFolder, port, readyTimeoutMs });
  }
}

const FACTS_AT = 16;

/** Whether a frame has a fact about a key. */
function changes(frame: Buffer, key: Buffer): boolean {
  for (let at = FACTS_AT, left = frame.readUInt32BE(12); left > 0; at += FACT_BYTES, left--) {
    if (frame.subarray(at, at + key.length).equals(key)) return true;
  }
  return false;
}
