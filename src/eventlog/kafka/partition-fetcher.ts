/**
 * Reads one partition at any position, outside every consumer group: the range that was scanned, and the packs in it. A fetcher
 * has a connection of its own, for a broker answers the requests of one connection one after the other and a waiting fetch
 * would hold up the rest. After any failure the connection is thrown away and made anew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../../core/error.js';
import { BackOff } from '../back-off.js';
import type { Batch } from '../port.js';
import { newBatch, protocolErrors, READ_COMMITTED, type Cluster, type KafkaClient } from './client.js';

/** How long a partition without a leader is asked again. */
const LEADER_WAIT_MS = 3_000;
const WITHOUT_LEADER = new Set(['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE', 'UNKNOWN_TOPIC_OR_PARTITION']);

export interface FetchLimits {
  /** The broker answers with one whole record batch at least, so a message bigger than this still comes. */
  readonly maxBytes: number;
  /** How long the broker waits for something to come. */
  readonly maxWaitMs: number;
}

export class PartitionFetcher {
  #cluster: Promise<Cluster> | undefined;

  constructor(
    private readonly client: KafkaClient,
    private readonly topic: string,
    private readonly partition: number,
  ) {}

  /**
   * The range that begins at `from`, with the committed messages in it; undefined when nothing came within `maxWaitMs`.
   * @throws KeelsonError `event_log_truncated` where the log has no such position, `event_log_unavailable`
   */
  fetch(from: bigint, limits: FetchLimits): Promise<Batch | undefined> {
    return this.#ask(async (cluster) => {
      const [nodeId] = Object.keys(cluster.findLeaderForPartitions(this.topic, [this.partition]));
      if (nodeId === undefined) throw new Error(`${this.topic}/${this.partition} has no leader`);
      const broker = await cluster.findBroker({ nodeId });
      const { responses } = await broker.fetch({
        isolationLevel: READ_COMMITTED,
        maxWaitTime: limits.maxWaitMs,
        minBytes: 1,
        maxBytes: limits.maxBytes,
        topics: [
          {
            topic: this.topic,
            partitions: [{ partition: this.partition, fetchOffset: String(from), maxBytes: limits.maxBytes }],
          },
        ],
      });
      const data = responses[0]?.partitions[0];
      return data === undefined ? undefined : toBatch(this.topic, from, data);
    });
  }

  /** The first readable offset, and one past the last. @throws KeelsonError `event_log_unavailable` */
  bounds(): Promise<{ start: bigint; end: bigint }> {
    return this.#ask(async (cluster) => {
      const offset = async (fromBeginning: boolean): Promise<bigint> => {
        const [found] = await cluster.fetchTopicsOffset([
          { topic: this.topic, partitions: [{ partition: this.partition }], fromBeginning },
        ]);
        const text = found?.partitions[0]?.offset;
        if (text === undefined) throw new Error(`${this.topic}/${this.partition} has no leader`);
        return BigInt(text);
      };
      // In this order: a log that is trimmed in between never shows a start behind its end.
      const start = await offset(true);
      return { start, end: await offset(false) };
    });
  }

  async close(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    if (cluster !== undefined) await cluster.then((open) => open.disconnect()).catch(() => undefined);
  }

  /** A partition whose leader is just being chosen, or does not know it yet (its topic is new, a broker died), is asked again for a while. */
  async #ask<T>(question: (cluster: Cluster) => Promise<T>): Promise<T> {
    const backOff = new BackOff(50, LEADER_WAIT_MS / 4);
    for (const deadlineMs = performance.now() + LEADER_WAIT_MS; ;) {
      try {
        return await this.#askOnce(question);
      } catch (error) {
        const choosing = protocolErrors(error).some((name) => WITHOUT_LEADER.has(name));
        if (!choosing || performance.now() > deadlineMs) throw this.#failure(error);
      }
      await sleep(backOff.nextMs());
    }
  }

  async #askOnce<T>(question: (cluster: Cluster) => Promise<T>): Promise<T> {
    const opened = (this.#cluster ??= this.#open());
    try {
      const cluster = await opened;
      await cluster.refreshMetadataIfNecessary();
      return await question(cluster);
    } catch (error) {
      if (this.#cluster === opened) await this.close();
      throw error;
    }
  }

  #failure(cause: unknown): KeelsonError {
    const at = `${this.topic}/${this.partition}`;
    if (protocolErrors(cause).includes('OFFSET_OUT_OF_RANGE'))
      return new KeelsonError('event_log_truncated', `${at}: the position is out of range`, { cause });
    return new KeelsonError('event_log_unavailable', `${at}: can't be read`, { retryAfterS: 1, cause });
  }

  async #open(): Promise<Cluster> {
    const cluster = this.client.cluster();
    try {
      await cluster.connect();
      await cluster.addTargetTopic(this.topic);
      return cluster;
    } catch (error) {
      await cluster.disconnect().catch(() => undefined);
      throw error;
    }
  }
}

/** Aborted and control records have offsets and no message: they are in the range and not in the list. */
function toBatch(topic: string, from: bigint, data: object): Batch | undefined {
  const batch = newBatch(topic, from, data);
  if (batch.rawMessages.length === 0) return undefined;
  const messages = batch.messages.map(({ offset, timestamp, value }) => ({
    offset: BigInt(offset),
    appendedAtUs: BigInt(timestamp) * 1000n,
    pack: value ?? new Uint8Array(),
  }));
  return { from, to: BigInt(batch.lastOffset()) + 1n, messages };
}
