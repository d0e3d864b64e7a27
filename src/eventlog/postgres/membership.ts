/**
 * One member of the group per partition, by session advisory locks on a connection of this member's own, which also listens
 * for wake-ups. When that connection dies, Postgres frees the locks and every partition is given up here; another member's
 * next look takes them over. A member that is frozen keeps its connection, and stops asking over it: others have Postgres end such a
 * session. Whoever is cut off without noticing, or thaws, may go on for a moment: the ledger fences it.
 */
import type pg from 'pg';
import type { Logger } from 'pino';
import { BackOff, pause } from '../back-off.js';
import type { PartitionReader } from '../partition-reader.js';
import { CHANNEL } from './wake-ups.js';
import type { PartitionRow } from './messages.js';

/** Advisory lock class of the event log's partitions ("KEEL"). */
const LOCK_CLASS = 0x4b45454c;
/** How often free partitions are asked for, and the connection is tried. */
const LOOK_EVERY_MS = 500;
const ANSWER_WITHIN_MS = 5_000;
/** A member that asks nothing for so long has lost its partitions; how often others look for such. */
const SILENT_S = 10;
const SILENT_LOOK_EVERY_MS = 2_000;

/** Ends sessions that hold one of these partitions and have been silent, by the database's clock. */
const END_SILENT = `select pg_terminate_backend(a.pid)
  from pg_locks l join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.classid = $2::int::oid and l.objid = any($1::int[]::oid[]) and l.objsubid = 2 and l.granted
    and a.datname = current_database() and l.database = a.datid and a.usename = session_user
    and a.state = 'idle' and a.state_change < clock_timestamp() - make_interval(secs => ${SILENT_S})`;

export interface MembershipOptions {
  readonly pool: pg.Pool;
  readonly partitions: readonly PartitionRow[];
  readonly logger: Logger;
  readonly read: (partition: PartitionRow) => PartitionReader;
  readonly wake: (id: number) => void;
}

export class Membership {
  readonly #stopping = new AbortController();
  readonly #readers = new Map<number, PartitionReader>();
  readonly #done: Promise<void>;
  #failure: unknown;
  #lookedForSilentMs = -Infinity;

  constructor(private readonly options: MembershipOptions) {
    this.#done = this.#run();
  }

  /** Why this member, or one of its readers, does not get on; undefined when all is well. */
  get failure(): unknown {
    return this.#failure ?? [...this.#readers.values()].find((reader) => reader.failure !== undefined)?.failure;
  }

  /** Stops reading, then gives the partitions back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const backOff = new BackOff();
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#serve(backOff);
      } catch (error) {
        this.#failure = error;
        this.options.logger.warn({ err: error }, 'event log: membership lost');
        await pause(backOff.nextMs(), this.#stopping.signal);
      }
    }
  }

  /** One connection's life: rejects when it dies, resolves when stopped; no partition is held afterwards. */
  async #serve(backOff: BackOff): Promise<void> {
    const client = await this.options.pool.connect();
    const lost = new AbortController();
    const leave = (error?: Error): void => lost.abort(error ?? new Error('connection ended'));
    client.on('error', leave);
    client.on('end', leave);
    client.on('notification', ({ payload }) => this.options.wake(Number(payload)));
    const gone = aborted(lost.signal);
    const ending = AbortSignal.any([lost.signal, this.#stopping.signal]);
    try {
      await client.query(`listen ${CHANNEL}`);
      while (!ending.aborted) {
        await this.#takeFree(client, lost, gone);
        this.#failure = undefined;
        backOff.reset();
        await pause(LOOK_EVERY_MS, ending);
      }
      if (lost.signal.aborted) throw lost.signal.reason;
    } finally {
      await Promise.all([...this.#readers.values()].map((reader) => reader.stop()));
      this.#readers.clear();
      // Destroyed, not returned: its end is what frees the locks.
      client.release(true);
      client.removeAllListeners('notification');
    }
  }

  /** Takes what nobody holds, the next time also what a silent member holds; a connection that does not answer is lost. */
  async #takeFree(client: pg.PoolClient, lost: AbortController, gone: Promise<undefined>): Promise<void> {
    const timer = setTimeout(() => lost.abort(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`)), ANSWER_WITHIN_MS);
    const free = this.options.partitions.filter(({ id }) => !this.#readers.has(id));
    const asked = this.#ask(client, free).finally(() => clearTimeout(timer));
    const answer = await Promise.race([asked, gone]);
    if (answer === undefined || this.#stopping.signal.aborted) return;
    for (const partition of answer) this.#readers.set(partition.id, this.options.read(partition));
  }

  /** Those of the partitions that are this member's from now on. */
  async #ask(client: pg.PoolClient, free: readonly PartitionRow[]): Promise<PartitionRow[]> {
    const { rows } = await client.query<{ id: number }>(
      'select id from unnest($1::int[]) as id where pg_try_advisory_lock($2, id)',
      [free.map(({ id }) => id), LOCK_CLASS],
    );
    const taken = free.filter((partition) => rows.some(({ id }) => id === partition.id));
    if (taken.length < free.length && performance.now() - this.#lookedForSilentMs > SILENT_LOOK_EVERY_MS) {
      this.#lookedForSilentMs = performance.now();
      const held = free.filter((partition) => !taken.includes(partition)).map(({ id }) => id);
      const { rowCount } = await client.query(END_SILENT, [held, LOCK_CLASS]);
      if (rowCount !== 0) this.options.logger.warn({ sessions: rowCount }, 'event log: a silent member is put out');
    }
    return taken;
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
