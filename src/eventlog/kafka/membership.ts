/**
 * Membership in the group of sequencers. A kafkajs consumer with every topic paused joins, beats and is assigned; reading is
 * done beside it (partition-fetcher.ts). Each join is a new assignment of everything: the readers of the last one are stopped
 * and have answered `revoked` before the next begin, for another member may have read in between.
 *
 * A member that lost its session without noticing may read on for a while: the ledger fences it. When kafkajs gives up, the
 * partitions are given up too and a new member is made after a pause.
 */
import type { Consumer } from 'kafkajs';
import type { Logger } from 'pino';
import { BackOff, pause } from '../back-off.js';
import type { PartitionReader } from '../partition-reader.js';
import type { KafkaClient } from './client.js';

/** How often positions are committed, for tools that show lag; nothing reads them back. */
const COMMIT_EVERY_MS = 5_000;

/** One partition by Kafka's names. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface AssignedReader {
  readonly reader: PartitionReader;
  /** One past what the consumer has taken; undefined before the first batch. */
  readonly position: () => bigint | undefined;
  readonly close: () => Promise<void>;
}

export interface MembershipOptions {
  readonly client: KafkaClient;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly logger: Logger;
  /** Starts reading a partition; undefined where it is none of ours. */
  readonly read: (at: TopicPartition) => AssignedReader | undefined;
}

export class Membership {
  readonly #stopping = new AbortController();
  #readers = new Map<TopicPartition, AssignedReader>();
  #generation = 0;
  #transition: Promise<void> = Promise.resolve();
  #failure: unknown;
  readonly #done: Promise<void>;

  constructor(private readonly options: MembershipOptions) {
    this.#done = this.#run();
  }

  /** Why this member, or one of its readers, does not get on; undefined when all is well. */
  get failure(): unknown {
    return (
      this.#failure ?? [...this.#readers.values()].find(({ reader }) => reader.failure !== undefined)?.reader.failure
    );
  }

  /** Stops reading, then leaves the group, so that others need not wait for a time-out. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const backOff = new BackOff(100);
    while (!this.#stopping.signal.aborted) {
      const member = this.options.client.member(this.options.groupId);
      try {
        await this.#serve(member, backOff);
      } catch (error) {
        this.#failure = error;
        this.options.logger.warn({ err: error }, 'event log: membership lost');
      }
      await this.#assign([]);
      await member.disconnect().catch(() => undefined);
      await pause(backOff.nextMs(), this.#stopping.signal);
    }
  }

  /** One member's life: rejects when kafkajs has given up, resolves when stopped. */
  async #serve(member: Consumer, backOff: BackOff): Promise<void> {
    const { GROUP_JOIN, REBALANCING, CRASH } = member.events;
    const ended = new Promise<void>((resolve, reject) => {
      this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true });
      member.on(CRASH, ({ payload }) => reject(payload.error));
    });
    ended.catch(() => undefined);
    member.on(REBALANCING, () => void this.#assign([]));
    member.on(GROUP_JOIN, ({ payload }) => {
      // At once, while kafkajs is still inside its join: it must never fetch by itself.
      member.pause(this.options.topics.map((topic) => ({ topic })));
      this.#failure = undefined;
      backOff.reset();
      void this.#assign(
        Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
          partitions.map((partition) => ({ topic, partition })),
        ),
      );
    });
    const committing = setInterval(() => void this.#commit(member), COMMIT_EVERY_MS);
    try {
      await member.connect();
      await member.subscribe({ topics: [...this.options.topics], fromBeginning: false });
      await member.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
      await ended;
    } finally {
      clearInterval(committing);
    }
  }

  /** Ends the present assignment and, unless a later one has come meanwhile, begins the next. */
  #assign(partitions: readonly TopicPartition[]): Promise<void> {
    const generation = ++this.#generation;
    // Told to stop now, awaited below in turn.
    const stopping = [...this.#readers.values()].map(async ({ reader, close }) => {
      await reader.stop();
      await close();
    });
    this.#readers = new Map();
    this.#transition = this.#transition.then(async () => {
      await Promise.all(stopping);
      if (generation !== this.#generation || this.#stopping.signal.aborted) return;
      for (const at of partitions) {
        const assigned = this.options.read(at);
        if (assigned !== undefined) this.#readers.set(at, assigned);
      }
    });
    return this.#transition;
  }

  async #commit(member: Consumer): Promise<void> {
    const offsets = [...this.#readers].flatMap(([{ topic, partition }, { position }]) => {
      const offset = position();
      return offset === undefined ? [] : [{ topic, partition, offset: String(offset) }];
    });
    if (offsets.length > 0) await member.commitOffsets(offsets).catch(() => undefined);
  }
}
