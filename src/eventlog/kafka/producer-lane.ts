/**
 * Writes to one partition through an idempotent producer of its own: one send at a time (`Appender` sees to it). Whatever fails,
 * that producer is never used again; the same bytes go through a new one. See `KafkaClient.producer` for why.
 */
import type { Producer } from 'kafkajs';
import { KeelsonError } from '../../core/error.js';
import { protocolErrors, type KafkaClient } from './client.js';

/** Answers that no repetition changes: the topic's settings or rights are not what was checked at the start. */
const FINAL = [
  'MESSAGE_TOO_LARGE',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'RECORD_LIST_TOO_LARGE',
];

export class ProducerLane {
  #producer: Producer | undefined;

  constructor(
    private readonly client: KafkaClient,
    private readonly topic: string,
    private readonly partition: number,
  ) {}

  /**
   * Durable on every in-sync replica when it resolves, with the first offset; the others follow it.
   * @throws KeelsonError `event_log_unavailable` (ambiguous), `event_log_misconfigured`
   */
  async write(packs: readonly Uint8Array[]): Promise<bigint> {
    try {
      this.#producer ??= await this.#connect();
      const [written] = await this.#producer.send({
        topic: this.topic,
        acks: -1,
        timeout: this.client.requestTimeoutMs,
        messages: packs.map((pack) => ({ partition: this.partition, value: asBuffer(pack) })),
      });
      const first = BigInt(written?.baseOffset ?? -1);
      // A producer id whose numbers the broker already knows by other bytes answers without an offset.
      if (first < 0n) throw new Error('acknowledged without an offset');
      return first;
    } catch (error) {
      await this.#discard();
      const at = `${this.topic}/${this.partition}`;
      const final = protocolErrors(error).find((type) => FINAL.includes(type));
      if (final !== undefined)
        throw new KeelsonError('event_log_misconfigured', `${at}: the broker answers ${final}`, { cause: error });
      throw new KeelsonError('event_log_unavailable', `${at}: no acknowledgement`, { retryAfterS: 1, cause: error });
    }
  }

  close(): Promise<void> {
    return this.#discard();
  }

  async #connect(): Promise<Producer> {
    const producer = this.client.producer();
    try {
      await producer.connect();
      return producer;
    } catch (error) {
      await producer.disconnect().catch(() => undefined);
      throw error;
    }
  }

  async #discard(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.disconnect().catch(() => undefined);
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
