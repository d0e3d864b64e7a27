import { pino } from 'pino';
import { KeelsonError } from '../../src/core/error.js';
import { PartitionReader } from '../../src/eventlog/partition-reader.js';
import { pause } from '../../src/eventlog/back-off.js';
import {
  formatPartition,
  type Batch,
  type Consumer,
  type EventLog,
  type Message,
  type Partition,
  type Subscription,
} from '../../src/eventlog/port.js';

const POLL_MS = 2;

/** An event log that lives as long as the test, whose contents a test may also lose, change or punch holes into. */
export class MemoryEventLog implements EventLog {
  readonly messages = new Map<string, Message[]>();
  readonly starts = new Map<string, bigint>();
  readonly ends = new Map<string, bigint>();
  readonly remembered = new Map<string, string>();
  readonly checkpoints = {
    remember: async (origin: string, note: string): Promise<void> => void this.remembered.set(origin, note),
    recall: async (origin: string): Promise<string | undefined> => this.remembered.get(origin),
  };
  /** At most so many messages in one batch. */
  batchMax = 50;
  nowUs = 1_800_000_000_000_000n;

  constructor(readonly partitions: readonly Partition[]) {
    for (const at of partitions) {
      this.messages.set(formatPartition(at), []);
      this.starts.set(formatPartition(at), 0n);
      this.ends.set(formatPartition(at), 0n);
    }
  }

  async append(at: Partition, pack: Uint8Array): Promise<bigint> {
    const offset = this.ends.get(formatPartition(at))!;
    this.messages.get(formatPartition(at))!.push({ offset, appendedAtUs: this.nowUs, pack });
    this.ends.set(formatPartition(at), offset + 1n);
    this.nowUs += 1000n;
    return offset;
  }

  /** Offsets that hold no message, as Kafka's control records do. */
  punchHole(at: Partition, offsets = 1n): void {
    this.ends.set(formatPartition(at), this.ends.get(formatPartition(at))! + offsets);
  }

  async bounds(at: Partition): Promise<{ start: bigint; end: bigint }> {
    return { start: this.starts.get(formatPartition(at))!, end: this.ends.get(formatPartition(at))! };
  }

  async read(at: Partition, offset: bigint): Promise<Message | undefined> {
    return this.messages.get(formatPartition(at))!.find((message) => message.offset === offset);
  }

  async subscribe(consumer: Consumer): Promise<Subscription> {
    const logger = pino({ level: 'silent' });
    const readers = this.partitions.map(
      (at) => new PartitionReader(at, consumer, (from, signal) => this.#fetch(at, from, signal), logger),
    );
    return { close: async () => void (await Promise.all(readers.map((reader) => reader.stop()))) };
  }

  async trim(): Promise<void> {}

  health(): { ready: boolean } {
    return { ready: true };
  }

  async close(): Promise<void> {}

  async #fetch(at: Partition, from: bigint, signal: AbortSignal): Promise<Batch | undefined> {
    const name = formatPartition(at);
    if (from < this.starts.get(name)! || from > this.ends.get(name)!) {
      throw new KeelsonError('event_log_truncated', `no offset ${from}`);
    }
    const found = this.messages.get(name)!.filter(({ offset }) => offset >= from);
    const messages = found.slice(0, this.batchMax);
    const to = found.length > messages.length ? messages.at(-1)!.offset + 1n : this.ends.get(name)!;
    if (to > from) return { from, to, messages };
    await pause(POLL_MS, signal);
    return undefined;
  }
}
