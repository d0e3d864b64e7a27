/**
 * The event log inside Postgres, the embedded default. Durable when committed; one lane per partition merges callers into
 * one statement; readers are woken by NOTIFY, by appends of this process, and look by themselves once a second.
 */
import type pg from 'pg';
import type { Logger } from 'pino';
import { KeelsonError } from '../../core/error.js';
import { Appender, ByteBudget } from '../appender.js';
import { PartitionReader } from '../partition-reader.js';
import {
  formatPartition,
  type CheckpointMemory,
  type Consumer,
  type EventLog,
  type EventLogHealth,
  type Message,
  type Partition,
  type Subscription,
  type Topic,
} from '../port.js';
import { Membership } from './membership.js';
import {
  appendPacks,
  openPartitions,
  readBatch,
  readBounds,
  readMessage,
  requireDurableCommits,
  trimMessages,
  type PartitionRow,
} from './messages.js';
import { WakeUps } from './wake-ups.js';

export interface PostgresEventLogOptions {
  /** Connections as the writer role; a subscription keeps one of them for itself. */
  readonly pool: pg.Pool;
  readonly checkpoints: CheckpointMemory;
  readonly logger: Logger;
  readonly decisionsPartitions?: number;
  readonly activityPartitions?: number;
  readonly maxWaitingBytes?: number;
  readonly timeoutMs?: number;
  /** Keep everything: `trim` does nothing. */
  readonly keep?: boolean;
}

const MAX_WRITE_BYTES = 4 * 1024 * 1024;
const MAX_WRITE_PACKS = 2_000;
const MAX_READ_BYTES = 4 * 1024 * 1024;
const MAX_READ_MESSAGES = 2_000;
const LOOK_EVERY_MS = 1_000;
const TRIM_EVERY_MS = 1_000;

/** @throws KeelsonError `event_log_misconfigured` */
export async function openPostgresEventLog(options: PostgresEventLogOptions): Promise<EventLog> {
  await requireDurableCommits(options.pool);
  const rows = await openPartitions(options.pool, {
    decisions: options.decisionsPartitions ?? 1,
    lifecycle: 1,
    activity: options.activityPartitions ?? 1,
  });
  return new PostgresEventLog(rows, options);
}

interface Lane {
  readonly row: PartitionRow;
  readonly appender: Appender;
  /** Where trimming was asked to get to, and the run that goes there. */
  trimBefore: bigint;
  trimming: Promise<void> | undefined;
  trimmedAtMs: number;
}

class PostgresEventLog implements EventLog {
  readonly partitions: readonly Partition[];
  readonly checkpoints: CheckpointMemory;
  readonly #lanes = new Map<string, Lane>();
  readonly #memberships = new Set<Membership>();
  readonly #wakeUps: WakeUps;

  constructor(
    rows: readonly PartitionRow[],
    private readonly options: PostgresEventLogOptions,
  ) {
    this.partitions = rows.map(({ at }) => at);
    this.checkpoints = options.checkpoints;
    this.#wakeUps = new WakeUps(options.pool, (error) =>
      options.logger.warn({ err: error }, 'event log: notify failed'),
    );
    const budgets = new Map<Topic, ByteBudget>();
    for (const row of rows) {
      const { topic } = row.at;
      const budget = budgets.get(topic) ?? new ByteBudget(options.maxWaitingBytes ?? 67_108_864);
      budgets.set(topic, budget);
      const appender = new Appender((packs) => this.#write(row.id, packs), budget, {
        maxWriteBytes: MAX_WRITE_BYTES,
        maxWritePacks: MAX_WRITE_PACKS,
        timeoutMs: options.timeoutMs ?? 10_000,
        name: formatPartition(row.at),
        logger: options.logger,
        probe: () => readBounds(options.pool, row.id),
      });
      this.#lanes.set(formatPartition(row.at), {
        row,
        appender,
        trimBefore: 0n,
        trimming: undefined,
        trimmedAtMs: -Infinity,
      });
    }
  }

  append(at: Partition, pack: Uint8Array): Promise<bigint> {
    return this.#lane(at).appender.append(pack);
  }

  bounds(at: Partition): Promise<{ start: bigint; end: bigint }> {
    return orUnavailable(readBounds(this.options.pool, this.#lane(at).row.id));
  }

  read(at: Partition, offset: bigint): Promise<Message | undefined> {
    return orUnavailable(readMessage(this.options.pool, this.#lane(at).row.id, offset));
  }

  async subscribe(consumer: Consumer): Promise<Subscription> {
    const membership = new Membership({
      pool: this.options.pool,
      partitions: [...this.#lanes.values()].map(({ row }) => row),
      logger: this.options.logger,
      read: ({ at, id }) =>
        new PartitionReader(at, consumer, (from, signal) => this.#fetch(id, from, signal), this.options.logger),
      wake: (id) => this.#wakeUps.wake(id),
    });
    this.#memberships.add(membership);
    return {
      close: async () => {
        await membership.stop();
        this.#memberships.delete(membership);
      },
    };
  }

  async trim(at: Partition, before: bigint): Promise<void> {
    if (this.options.keep === true) return;
    const lane = this.#lane(at);
    if (before - 1n <= lane.trimBefore) return;
    lane.trimBefore = before - 1n;
    if (lane.trimming !== undefined || performance.now() - lane.trimmedAtMs < TRIM_EVERY_MS) return;
    lane.trimmedAtMs = performance.now();
    lane.trimming = orUnavailable(trimMessages(this.options.pool, lane.row.id, lane.trimBefore)).finally(() => {
      lane.trimming = undefined;
    });
    await lane.trimming;
  }

  health(): EventLogHealth {
    for (const { row, appender } of this.#lanes.values())
      if (appender.failure !== undefined)
        return { ready: false, reason: `appending to ${formatPartition(row.at)} fails` };
    for (const membership of this.#memberships)
      if (membership.failure !== undefined) return { ready: false, reason: 'reading the event log fails' };
    return { ready: true };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#memberships].map((membership) => membership.stop()));
    await Promise.all([...this.#lanes.values()].map(({ appender }) => appender.close()));
    for (const { trimming } of this.#lanes.values()) await trimming?.catch(() => undefined);
    this.#wakeUps.close();
  }

  #lane(at: Partition): Lane {
    const lane = this.#lanes.get(formatPartition(at));
    if (lane === undefined) throw new Error(`no partition ${formatPartition(at)}`);
    return lane;
  }

  async #write(id: number, packs: readonly Uint8Array[]): Promise<bigint> {
    const first = await appendPacks(this.options.pool, id, packs);
    this.#wakeUps.announce(id);
    return first;
  }

  async #fetch(id: number, from: bigint, signal: AbortSignal): ReturnType<typeof readBatch> {
    const seen = this.#wakeUps.version(id);
    const batch = await readBatch(this.options.pool, id, from, MAX_READ_BYTES, MAX_READ_MESSAGES);
    if (batch === undefined) await this.#wakeUps.sleep(id, seen, LOOK_EVERY_MS, signal);
    return batch;
  }
}

/** Whatever the database says, its caller hears that the event log can't be asked now. */
async function orUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof KeelsonError) throw error;
    throw new KeelsonError('event_log_unavailable', 'event log in Postgres: no answer', {
      retryAfterS: 1,
      cause: error,
    });
  }
}
