/**
 * The event log in Kafka. Writing: one idempotent producer per partition, callers merged (appender.ts, producer-lane.ts). Reading:
 * the group assigns (membership.ts), a fetcher per partition reads (partition-fetcher.ts), so a leaver's lifecycle event never
 * waits for decisions. Group offsets serve lag tools only; the consumer says where to read from.
 */
import type { Logger } from 'pino';
import { Appender, ByteBudget } from '../appender.js';
import { PartitionReader } from '../partition-reader.js';
import {
  formatPartition,
  TOPICS,
  type CheckpointMemory,
  type Consumer,
  type EventLog,
  type EventLogHealth,
  type Message,
  type Partition,
  type Subscription,
} from '../port.js';
import { CheckpointTopic } from './checkpoint-topic.js';
import { KafkaClient, type KafkaConnection } from './client.js';
import { Membership, type AssignedReader, type TopicPartition } from './membership.js';
import { PartitionFetcher } from './partition-fetcher.js';
import { ProducerLane } from './producer-lane.js';
import { planTopics, prepareTopics, type TopicOptions } from './topics.js';

export interface KafkaEventLogOptions extends Partial<TopicOptions> {
  readonly connection: KafkaConnection;
  readonly logger: Logger;
  readonly maxWaitingBytes?: number;
  readonly timeoutMs?: number;
}

/** One record batch a send: with the frame around each pack it stays below `max.message.bytes`. */
const MAX_WRITE_BYTES = 1_000_000;
const MAX_WRITE_PACKS = 1_000;
const READ = { maxBytes: 4 * 1024 * 1024, maxWaitMs: 400 };
const READ_ONE = { maxBytes: 1, maxWaitMs: 100 };

/** Makes or checks the topics. @throws KeelsonError `event_log_misconfigured`, `event_log_unavailable` */
export async function openKafkaEventLog(options: KafkaEventLogOptions): Promise<EventLog> {
  const topics: TopicOptions = {
    prefix: options.prefix ?? 'keelson.',
    decisionsPartitions: options.decisionsPartitions ?? 1,
    activityPartitions: options.activityPartitions ?? 1,
    replicationFactor: options.replicationFactor ?? 3,
    minInsyncReplicas: options.minInsyncReplicas ?? 2,
    readOnly: options.readOnly ?? false,
  };
  const client = new KafkaClient(options.connection, options.logger);
  await prepareTopics(client, Object.values(planTopics(topics)), topics);
  return new KafkaEventLog(client, topics, options);
}

interface Lane {
  readonly at: Partition;
  readonly topic: string;
  readonly appender: Appender;
  readonly producer: ProducerLane;
  /** For `bounds` and `read`, beside whoever reads on. */
  readonly asking: PartitionFetcher;
}

class KafkaEventLog implements EventLog {
  readonly partitions: readonly Partition[];
  readonly checkpoints: CheckpointMemory;
  readonly #lanes = new Map<string, Lane>();
  readonly #memory: CheckpointTopic;
  readonly #memberships = new Set<Membership>();

  constructor(
    private readonly client: KafkaClient,
    private readonly topics: TopicOptions,
    private readonly options: KafkaEventLogOptions,
  ) {
    const plans = planTopics(topics);
    const timeoutMs = options.timeoutMs ?? 10_000;
    for (const topic of TOPICS) {
      const budget = new ByteBudget(options.maxWaitingBytes ?? 67_108_864);
      for (let partition = 0; partition < plans[topic].partitions; partition++) {
        const at = { topic, partition };
        const { name } = plans[topic];
        const producer = new ProducerLane(client, name, partition);
        const asking = new PartitionFetcher(client, name, partition);
        const appender = new Appender((packs) => producer.write(packs), budget, {
          maxWriteBytes: MAX_WRITE_BYTES,
          maxWritePacks: MAX_WRITE_PACKS,
          timeoutMs,
          name: formatPartition(at),
          logger: options.logger,
          probe: () => asking.bounds(),
        });
        this.#lanes.set(formatPartition(at), { at, topic: name, appender, producer, asking });
      }
    }
    this.partitions = [...this.#lanes.values()].map(({ at }) => at);
    const { name } = plans.checkpoints;
    this.#memory = new CheckpointTopic(
      new ProducerLane(client, name, 0),
      new PartitionFetcher(client, name, 0),
      timeoutMs,
      options.logger,
    );
    this.checkpoints = this.#memory;
  }

  append(at: Partition, pack: Uint8Array): Promise<bigint> {
    return this.#lane(at).appender.append(pack);
  }

  bounds(at: Partition): Promise<{ start: bigint; end: bigint }> {
    return this.#lane(at).asking.bounds();
  }

  async read(at: Partition, offset: bigint): Promise<Message | undefined> {
    const { asking } = this.#lane(at);
    const { start, end } = await asking.bounds();
    if (offset < start || offset >= end) return undefined;
    const batch = await asking.fetch(offset, READ_ONE);
    return batch?.messages.find((message) => message.offset === offset);
  }

  async subscribe(consumer: Consumer): Promise<Subscription> {
    const membership = new Membership({
      client: this.client,
      groupId: `${this.topics.prefix}sequencer`,
      topics: [...new Set([...this.#lanes.values()].map(({ topic }) => topic))],
      logger: this.options.logger,
      read: (at) => this.#startReading(at, consumer),
    });
    this.#memberships.add(membership);
    return {
      close: async () => {
        await membership.stop();
        this.#memberships.delete(membership);
      },
    };
  }

  /** Kafka forgets by time (retention), so that a restored database finds what it has not seen. */
  async trim(): Promise<void> {}

  health(): EventLogHealth {
    for (const { at, appender } of this.#lanes.values())
      if (appender.failure !== undefined) return { ready: false, reason: `appending to ${formatPartition(at)} fails` };
    for (const membership of this.#memberships)
      if (membership.failure !== undefined) return { ready: false, reason: 'reading the event log fails' };
    return { ready: true };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#memberships].map((membership) => membership.stop()));
    await Promise.all([...this.#lanes.values()].map(({ appender }) => appender.close()));
    await Promise.all([...this.#lanes.values()].flatMap(({ producer, asking }) => [producer.close(), asking.close()]));
    await this.#memory.close();
  }

  #lane(at: Partition): Lane {
    const lane = this.#lanes.get(formatPartition(at));
    if (lane === undefined) throw new Error(`no partition ${formatPartition(at)}`);
    return lane;
  }

  #startReading({ topic, partition }: TopicPartition, consumer: Consumer): AssignedReader | undefined {
    const lane = [...this.#lanes.values()].find((one) => one.topic === topic && one.at.partition === partition);
    if (lane === undefined) return undefined;
    const fetcher = new PartitionFetcher(this.client, topic, partition);
    let position: bigint | undefined;
    const counting: Consumer = {
      assigned: (at) => consumer.assigned(at),
      batch: async (at, batch) => {
        await consumer.batch(at, batch);
        position = batch.to;
      },
      revoked: (at) => consumer.revoked(at),
    };
    const reader = new PartitionReader(lane.at, counting, (from) => fetcher.fetch(from, READ), this.options.logger);
    return { reader, position: () => position, close: () => fetcher.close() };
  }
}
