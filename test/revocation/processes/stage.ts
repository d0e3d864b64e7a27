/** Two processes that may decide, and this one, which has the ledger: what is said to them, what is done to them, and what must hold. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import { readConfig } from '../../../src/config.js';
import { builtInSchemas, decodeRecord } from '../../../src/events/index.js';
import { parseEntry } from '../../../src/core/entry.js';
import { Readiness } from '../../../src/http/readiness.js';
import type { Intake } from '../../../src/intake/intake.js';
import { native } from '../../../src/intake/native.js';
import { entriesOf, readPages } from '../../../src/ledger/page-reader.js';
import { ProjectionRunner } from '../../../src/ledger/projection-runner.js';
import { findLifecycle } from '../../../src/revocation/projection.js';
import { openEventLog } from '../../../src/server/event-log.js';
import { openFoundation, type Foundation } from '../../../src/server/foundation.js';
import { openIntake } from '../../../src/server/intake.js';
import { openLedger, type RunningLedger } from '../../../src/server/ledger.js';
import { openEvidence } from '../../../src/server/registration.js';
import { makeRevocationProjection, revocationMaterial } from '../../../src/server/revocation.js';
import { createDatabase } from '../../support/postgres.js';
import { startProcess } from '../../support/process.js';
import { makeDataFolder } from '../../support/server.js';
import type { Command, Point, Report } from './gates.js';
import { NaiveLedger, type NaivePart } from './naive-ledger.js';

const ISSUER = 'https://idp.example';
/** Three parts of at most 3,000 keys: those of the delegations, and the leaver's own; the last is too big to share a pack with another. */
const DELEGATIONS = 7_600;
/** Bounds that nothing but a hole comes near: a machine with much else to do takes minutes to start a process. */
const WAIT_MS = 300_000;
const CHILD = new URL('gated-processor.ts', import.meta.url);

/** A process that may decide. */
export class Contender {
  readonly #child: ChildProcess;
  readonly #heard: Report[] = [];
  #wake: (() => void) | undefined;

  constructor(
    env: Record<string, string>,
    readonly folder: string,
  ) {
    this.#child = startProcess(CHILD, [JSON.stringify({ ...env, KEELSON_DATA: folder })]);
    this.#child.on('message', (report: Report) => {
      this.#heard.push(report);
      this.#wake?.();
    });
    this.#child.once('exit', () => this.#wake?.());
  }

  /** Resolves with the first report that fits, of those since `from`. */
  async hear<T>(what: string, pick: (report: Report) => T | undefined, from = 0): Promise<T> {
    for (const endMs = Date.now() + WAIT_MS; ;) {
      for (const report of this.#heard.slice(from)) {
        const found = pick(report);
        if (found !== undefined) return found;
      }
      const { exitCode, signalCode } = this.#child;
      const isGone = exitCode !== null || signalCode !== null;
      if (isGone || Date.now() > endMs) {
        const why = isGone ? `it ended with ${exitCode ?? signalCode}` : 'it was silent for too long';
        throw new Error(`never heard: ${what}: ${why}; but ${JSON.stringify(this.#heard.slice(from))}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  ready(): Promise<true> {
    return this.hear('that it is ready', (report) => ('ready' in report ? true : undefined));
  }

  /** The newest term that it said it holds; waits until it holds one that is greater than `above`. */
  term(above = 0n): Promise<bigint> {
    return this.hear(`a term above ${above}`, (report) => {
      const term = 'term' in report && report.term !== null ? BigInt(report.term) : undefined;
      return term !== undefined && term > above ? term : undefined;
    });
  }

  /** Lets it go on; resolves when it has given up its term, so writes nothing more. */
  goUntilLost(): Promise<true> {
    const from = this.#heard.length;
    this.say({ go: true });
    return this.hear('that it gave up', (report) => ('term' in report && report.term === null) || undefined, from);
  }

  /** Resolves when it stands at that point. */
  hold(point: Point): Promise<unknown> {
    const from = this.#heard.length;
    this.say({ hold: point });
    const held = this.hear(point, (report) => ('held' in report && report.held === point ? true : undefined), from);
    held.catch(() => undefined); // told where it is awaited
    return held;
  }

  say(command: Command): void {
    this.#child.send(command);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    const exit = once(this.#child, 'exit');
    const wasRunning = this.#child.exitCode === null && this.#child.signalCode === null;
    this.#child.kill('SIGKILL');
    if (wasRunning) await exit;
    await rm(this.folder, { recursive: true, force: true });
  }
}

export class Stage {
  #said = 0;
  readonly #contenders = new Set<Contender>();

  private constructor(
    private readonly env: Record<string, string>,
    private readonly foundation: Foundation,
    private readonly ledger: RunningLedger,
    private readonly intake: Intake,
    private readonly projection: ProjectionRunner,
    private readonly closing: (() => Promise<unknown>)[],
  ) {}

  /** @param log what an event log of its own needs; none: the one in Postgres. */
  static async open(log: Record<string, string> = {}): Promise<Stage> {
    const test = await createDatabase();
    const folder = await makeDataFolder();
    const env = {
      ...log,
      KEELSON_DATABASE_URL: test.url,
      KEELSON_LEDGER_NAME: 'processes.example',
      // A part is a pack of its own.
      KEELSON_INTAKE_PACK_BYTES: '70000',
      // One that is frozen within a transaction keeps nobody waiting for long.
      KEELSON_DATABASE_IDLE_TIMEOUT_MS: '2000',
    };
    const logger = pino({ level: 'silent' });
    const config = readConfig({ ...env, KEELSON_DATA: folder });
    const foundation = await openFoundation(config, { logger, applicationName: 'stage' });
    const readiness = new Readiness();
    const { eventLog, close } = await openEventLog(config, foundation.storage, logger);
    const ledger = await openLedger(foundation, eventLog, readiness);
    const { settlement } = ledger;
    const metrics = new Registry();
    const { evidence, close: closeEvidence } = openEvidence(foundation, metrics);
    const parts = { foundation, eventLog, ledger: settlement, evidence, readiness, metrics };
    const { intake, close: closeIntake } = openIntake(parts);
    const { database } = foundation;
    const projection = new ProjectionRunner({
      database,
      reader: ledger.reader,
      watch: ledger.watch,
      logger,
      projection: makeRevocationProjection(foundation),
    });
    projection.start();
    return new Stage(env, foundation, ledger, intake, projection, [
      () => projection.close(),
      closeIntake,
      closeEvidence,
      ledger.close,
      close,
      () => foundation.close(),
      () => rm(folder, { recursive: true, force: true }),
      () => test.drop(),
    ]);
  }

  async close(): Promise<void> {
    for (const contender of this.#contenders) await this.kill(contender);
    for (const close of this.closing) await close();
  }

  /** One more process that may decide: the same installation in a folder of its own. */
  contender(): Promise<Contender> {
    const contender = this.#startContender();
    contender.catch(() => undefined); // told where it is awaited
    return contender;
  }

  async #startContender(): Promise<Contender> {
    const folder = await makeDataFolder();
    await cp(join(this.foundation.storage.dataFolder, 'keys'), join(folder, 'keys'), { recursive: true });
    const contender = new Contender(this.env, folder);
    this.#contenders.add(contender);
    await contender.ready();
    return contender;
  }

  async kill(contender: Contender): Promise<void> {
    this.#contenders.delete(contender);
    await contender.kill();
  }

  /** Somebody whose order takes three parts; nobody knows yet that they leave. Answers how to name their keys. */
  async prepareLeaver(): Promise<Leaver> {
    const name = `leaver-${++this.#said}`;
    const delegations = Array.from({ length: DELEGATIONS }, (_, i) => `${name}/${i}`);
    await this.#say(
      delegations.map((delegation) => ({
        type: 'delegation.granted',
        id: delegation,
        delegation,
        from: { issuer: ISSUER, id: name },
        to_agent: 'spiffe://x/agent',
      })),
    );
    // Else whoever decides would order what the graph knows, and the rest later, in other parts.
    await this.#until('the graph knows all of it', async () => {
      const { rows } = await this.foundation.database.query<{ known: boolean }>(
        `select p.next_index >= h.size as known from keelson.projection_position p join keelson.head h on h.log = p.log
         join keelson.log l on l.id = p.log where p.projection = 'identity' and l.path = 'lifecycle/0/g1'`,
      );
      return rows[0]?.known === true;
    });
    return { name, delegations };
  }

  /** They leave: committed when this resolves. */
  async offboard({ name }: Leaver): Promise<void> {
    await this.#say([{ type: 'principal.offboarded', id: `${name}/leaves`, principal: { issuer: ISSUER, id: name } }]);
  }

  async #say(events: readonly object[]): Promise<void> {
    for (let from = 0; from < events.length; from += 1000) {
      const body = events.slice(from, from + 1000).map((event) => ({ timestamp: '2026-11-25T08:00:00Z', ...event }));
      const sender = {
        producer: { id: 'hr', config: { issuer: ISSUER } },
        verified: true,
        scopes: new Set(['publish:lifecycle' as const]),
      };
      const accepted = await this.intake.accept(Buffer.from(JSON.stringify(body)), { protocol: native, sender });
      // A database that has much else to do may fail to tell: it is asked again.
      let settled = accepted;
      await this.#until('what is said is in the ledger', async () => {
        settled = await this.intake.settle(settled, 1000);
        return settled.items.every((item) => item?.status !== 'accepted' || item.settled !== undefined);
      });
      for (const item of settled.items)
        expect(item).toMatchObject({ status: 'accepted', settled: { outcome: 'recorded' } });
    }
  }

  /** Resolves when lifecycle has at least so many parts about somebody. */
  async untilParts({ name }: Leaver, count: number): Promise<void> {
    await this.#until(`${count} parts`, async () => {
      const order = await this.#orderOf(name);
      return (await this.#fold()).parts.filter((part) => part.order === order).length >= count;
    });
  }

  /** What must hold in the end, whatever happened: one order in force, all keys, once; nothing anywhere that does not follow. */
  async check(leaver: Leaver): Promise<readonly NaivePart[]> {
    await this.#until(`the whole order of ${leaver.name}`, async () => {
      const { rows } = await this.foundation.database.query<{ done: boolean }>(
        `select state = 'ordered' and (doc->>'complete')::boolean as done from keelson.revocation_cause where doc->>'id' = $1`,
        [`${leaver.name}/leaves`],
      );
      return rows.length === 1 && rows[0]!.done;
    });
    const { size } = await this.#lifecycle();
    await this.projection.waitUntil('lifecycle/0/g1', size, WAIT_MS);
    const naive = await this.#fold();
    const order = await this.#orderOf(leaver.name);
    const keys = [naive.keyOf('principal', ISSUER, leaver.name)];
    for (const delegation of leaver.delegations) keys.push(naive.keyOf('delegation', '', delegation));
    const wrong = keys.filter((key) => naive.ordersOf(key).join() !== order);
    expect(wrong).toEqual([]);
    const held = [...naive.facts].filter(([, { orders }]) => orders.has(order));
    expect(held).toHaveLength(keys.length);
    const { rows } = await this.foundation.database.query<{ hash: string; keys: bigint; blocked: bigint }>(
      `select encode(state_hash, 'hex') as hash, (select count(*) from keelson.revocation_key where order_name = $1) as keys,
         (select count(*) from keelson.revocation_fact where blocked) as blocked from keelson.revocation_head`,
      [order],
    );
    const blocked = [...naive.facts.values()].filter(({ orders }) => orders.size > 0).length;
    const expected = { hash: naive.stateHash(), keys: BigInt(keys.length), blocked: BigInt(blocked) };
    expect(rows[0]).toEqual(expected);
    return naive.parts.filter((part) => part.order === order);
  }

  async #orderOf(name: string): Promise<string> {
    const { rows } = await this.foundation.database.query<{ order_name: string }>(
      `select order_name from keelson.revocation_cause where doc->>'id' = $1`,
      [`${name}/leaves`],
    );
    return rows[0]?.order_name ?? '';
  }

  async #lifecycle(): Promise<{ id: number; size: bigint }> {
    const log = await findLifecycle(this.foundation.database.pool);
    const { size } = await this.ledger.reader.head(log!);
    return { id: log!.id, size };
  }

  /** The whole ledger of lifecycle, folded by somebody else. */
  async #fold(): Promise<NaiveLedger> {
    const { id, size } = await this.#lifecycle();
    const naive = new NaiveLedger(revocationMaterial(this.foundation).guardKey);
    const schemas = builtInSchemas();
    const pages = await readPages(this.foundation.database.pool, id, 0n, size);
    for (const [index, bytes] of entriesOf('lifecycle/0/g1', pages, 0n, size).entries()) {
      const entry = parseEntry(bytes);
      if (entry.kind === 'record') naive.take(index, decodeRecord(entry.record, schemas));
    }
    return naive;
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    for (const endMs = Date.now() + WAIT_MS; !(await isSo());) {
      if (Date.now() > endMs) throw new Error(`it never came to this: ${what}`);
      await this.ledger.watch.changed(100);
    }
  }
}

export interface Leaver {
  readonly name: string;
  readonly delegations: readonly string[];
}
