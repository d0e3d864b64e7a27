/**
 * The one file that knows kafkajs.
 *
 * Of its public parts this takes the idempotent producer, the admin client and, for group membership alone, the consumer. Reading
 * goes through its wire layer instead (`Cluster`, `Broker.fetch`, and `Batch`, which leaves out aborted and control records): the
 * public consumer resets positions out of range silently, retries a handler's plain error for ever, hides ranges that hold no
 * record, and makes each partition wait for all others. The version is pinned exactly; the contract test on a real broker holds
 * what is used here.
 */
import { createRequire } from 'node:module';
import kafkajs, { type Admin, type Consumer, type KafkaConfig, type Producer } from 'kafkajs';
import type { Logger } from 'pino';

const { Kafka, Partitioners, logLevel } = kafkajs;

export interface KafkaConnection {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly ssl?: boolean | { readonly ca: string };
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  /** How long one request may take. */
  readonly requestTimeoutMs?: number;
}

/** What a fetch found from an offset on: the range that was scanned, and the committed records in it. */
export interface FetchedBatch {
  readonly lastOffset: () => string;
  readonly messages: readonly { readonly offset: string; readonly timestamp: string; readonly value: Buffer | null }[];
  /** Everything that came, aborted and control records included. */
  readonly rawMessages: readonly { readonly offset: string }[];
}

/** kafkajs's way to all brokers: metadata, leaders, connections. Internal there, hence typed here. */
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
  findBroker(at: { nodeId: string }): Promise<{ fetch(request: object): Promise<FetchResponse> }>;
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<{ partitions: { offset: string }[] }[]>;
}

interface FetchResponse {
  readonly responses: { readonly partitions: object[] }[];
}

const require = createRequire(import.meta.url);
const ClusterClass = require('kafkajs/src/cluster') as new (options: object) => Cluster;
const BatchClass = require('kafkajs/src/consumer/batch') as new (
  topic: string,
  from: string,
  data: object,
) => FetchedBatch;
const createSocketFactory = require('kafkajs/src/network/socketFactory') as () => unknown;

export const READ_COMMITTED = 1;
const TOPIC_RESOURCE = kafkajs.ConfigResourceTypes.TOPIC;
const CONNECT_TIMEOUT_MS = 5_000;
const METADATA_MAX_AGE_MS = 60_000;

export class KafkaClient {
  readonly #config: KafkaConfig;
  readonly #kafka: InstanceType<typeof Kafka>;
  readonly requestTimeoutMs: number;

  constructor(connection: KafkaConnection, logger: Logger) {
    this.requestTimeoutMs = connection.requestTimeoutMs ?? 10_000;
    this.#config = {
      clientId: 'keelson',
      brokers: [...connection.brokers],
      ...(connection.ssl !== undefined && { ssl: connection.ssl }),
      ...(connection.sasl !== undefined && { sasl: connection.sasl as NonNullable<KafkaConfig['sasl']> }),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: this.requestTimeoutMs,
      enforceRequestTimeout: true,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 3 },
      logLevel: logLevel.WARN,
      logCreator:
        () =>
        ({ namespace, log }) => {
          const { message, ...rest } = log;
          logger.debug({ kafka: rest }, `kafkajs ${namespace}: ${message}`);
        },
    };
    this.#kafka = new Kafka(this.#config);
  }

  admin(): Admin {
    return this.#kafka.admin();
  }

  /**
   * An idempotent producer. Only one send at a time may go through it, none after its `connect` rejected, and none after a send
   * failed: kafkajs takes sequence numbers back on failure and would hand them out again, whereupon the broker acknowledges as a
   * duplicate what it never wrote. One repetition inside a send is the same bytes under the same numbers: the broker tells it.
   */
  producer(): Producer {
    return this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: { retries: 1 },
    });
  }

  /** A member of a group. It is never to fetch: whoever takes it pauses every topic as soon as it has joined. */
  member(groupId: string): Consumer {
    return this.#kafka.consumer({
      groupId,
      sessionTimeout: 10_000,
      rebalanceTimeout: 30_000,
      heartbeatInterval: 1_000,
      // While everything is paused this is how long kafkajs sleeps between looks at the heartbeat.
      maxWaitTimeInMs: 200,
      allowAutoTopicCreation: false,
      readUncommitted: false,
      // Its restarts are made by membership.ts, which gives up the partitions first.
      retry: { retries: 3, restartOnFailure: async () => false },
    });
  }

  cluster(): Cluster {
    const { brokers, ssl, sasl, clientId, connectionTimeout, requestTimeout, enforceRequestTimeout, retry } =
      this.#config;
    return new ClusterClass({
      logger: this.#kafka.logger(),
      socketFactory: createSocketFactory(),
      brokers,
      ssl,
      sasl,
      clientId,
      connectionTimeout,
      requestTimeout,
      enforceRequestTimeout,
      retry,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
      isolationLevel: READ_COMMITTED,
    });
  }
}

export const newBatch = (topic: string, from: bigint, data: object): FetchedBatch =>
  new BatchClass(topic, String(from), data);

/** The effective settings of topics, by name. */
export async function describeTopics(
  admin: Admin,
  topics: readonly string[],
): Promise<Map<string, Map<string, string>>> {
  const { resources } = await admin.describeConfigs({
    resources: topics.map((name) => ({ type: TOPIC_RESOURCE, name })),
    includeSynonyms: false,
  });
  return new Map(
    resources.map((resource) => [
      resource.resourceName,
      new Map(resource.configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  );
}

/** The protocol's name of what went wrong (`OFFSET_OUT_OF_RANGE` …), wherever kafkajs wrapped it. */
export function protocolErrors(error: unknown): string[] {
  const found: string[] = [];
  const visit = (at: unknown, depth: number): void => {
    if (typeof at !== 'object' || at === null || depth > 5) return;
    const { type, cause, errors } = at as { type?: unknown; cause?: unknown; errors?: unknown };
    if (typeof type === 'string') found.push(type);
    visit(cause, depth + 1);
    if (Array.isArray(errors)) for (const each of errors) visit(each, depth + 1);
  };
  visit(error, 0);
  return found;
}
