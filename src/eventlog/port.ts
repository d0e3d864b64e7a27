/**
 * The event log: the durable, partitioned stream between intake and ledger. Two adapters, kafka/ and postgres/,
 * held to one contract by test/contract/eventlog.
 *
 * Contract
 * - **Durable on ack.** `append` resolves only when the pack survives the death of any one process (Kafka: acks=all;
 *   Postgres: committed, synchronous_commit on). An acknowledged pack is read by every consumer, exactly at its offset.
 * - **At least once.** A pack whose append failed ambiguously may be in the log, once or twice, or not at all: the caller
 *   appends the same bytes again; the ledger drops duplicates. A rejected append never means "surely absent".
 * - **Ordered.** Within a partition offsets rise and never change meaning. They may have holes (Kafka: control records,
 *   aborted transactions). A reader is therefore handed the scanned range as well as the packs in it. A reader never sees
 *   offset n before every acknowledged offset below n is visible to it.
 * - **Time.** `appendedAtUs` is the log's own append time, set by the broker or database, not by the caller.
 * - **Nothing is skipped silently.** Out-of-range positions are reported by `bounds`, never reset. After any failure to read,
 *   and after any rejection of the consumer's, the adapter asks `assigned` again before it goes on, so that a log that was
 *   truncated or made anew meanwhile is compared before it is read.
 * - **Bounded.** What waits to be appended is bounded in bytes for each topic, so that a flood of decisions takes no room
 *   from the lifecycle; beyond it `append` refuses at once. A pack weighs at most `MAX_PACK_BYTES` (pack.ts).
 */

export type Topic = 'decisions' | 'lifecycle' | 'activity';
export const TOPICS: readonly Topic[] = ['decisions', 'lifecycle', 'activity'];

export interface Partition {
  readonly topic: Topic;
  readonly partition: number;
}

export interface Message {
  readonly offset: bigint;
  /** Microseconds since 1970, by the log's clock. */
  readonly appendedAtUs: bigint;
  /** One pack (see pack.ts), as appended, byte for byte. */
  readonly pack: Uint8Array;
}

/** A scanned range `[from, to)` of offsets and the messages found in it, in order. May hold none. */
export interface Batch {
  readonly from: bigint;
  readonly to: bigint;
  readonly messages: readonly Message[];
}

/** What the ledger does with a partition while it is this process's to read. */
export interface Consumer {
  /**
   * The partition is ours. Answers the offset to read from; `undefined` leaves the partition alone (stopped: the consumer
   * has said why elsewhere). A rejection is retried with back-off.
   */
  assigned(at: Partition): Promise<bigint | undefined>;
  /**
   * The next range, contiguous with the last one of this assignment. Resolves when more is wanted: back-pressure, not a
   * commit. A rejection makes the adapter call `assigned` again, after a back-off, and go on from its answer.
   */
  batch(at: Partition, batch: Batch): Promise<void>;
  /**
   * The partition is no longer ours: called once for each assignment, whatever `assigned` answered, after its last `batch` has
   * settled, and before another member of the group is assigned it if that can be known. A rejection is logged.
   */
  revoked(at: Partition): Promise<void>;
}

export interface Subscription {
  /** Stops reading; resolves after the last `batch` and `revoked` have settled. */
  close(): Promise<void>;
}

/** The ledger's memory outside the database: the newest signed checkpoints, kept for ever. */
export interface CheckpointMemory {
  /** Durable when it resolves. */
  remember(origin: string, note: string): Promise<void>;
  /** The newest note remembered for an origin. */
  recall(origin: string): Promise<string | undefined>;
}

/** Whether appending and, where subscribed, reading work as far as is known; `reason` for people, without secrets. */
export interface EventLogHealth {
  readonly ready: boolean;
  readonly reason?: string;
}

export interface EventLog {
  /** Every internal partition, topic by topic. */
  readonly partitions: readonly Partition[];
  readonly checkpoints: CheckpointMemory;
  /**
   * Appends one pack; concurrent calls are merged into few writes. Resolves with its offset when durable.
   * @throws KeelsonError `event_log_unavailable` (ambiguous: append the same bytes again), `overloaded` (surely not appended),
   * `too_large`.
   */
  append(at: Partition, pack: Uint8Array): Promise<bigint>;
  /** `start`: the first readable offset; `end`: one past the last. */
  bounds(at: Partition): Promise<{ start: bigint; end: bigint }>;
  /** The message at one offset, or undefined where there is none (a hole, trimmed, past the end). */
  read(at: Partition, offset: bigint): Promise<Message | undefined>;
  /** Joins the group of sequencers. One member of the group at a time is assigned a partition (best effort: the ledger fences). */
  subscribe(consumer: Consumer): Promise<Subscription>;
  /**
   * The ledger holds everything below `before`: the adapter may forget it, soon, later or never. What stands at `before - 1`
   * stays readable, for the ledger compares its hash.
   */
  trim(at: Partition, before: bigint): Promise<void>;
  /** What is known now; asks nobody. */
  health(): EventLogHealth;
  /** Closes subscriptions first; appends that wait are rejected with `event_log_unavailable`. */
  close(): Promise<void>;
}

/** `decisions/0`: how a partition is named in log ids, messages and metrics. */
export const formatPartition = (at: Partition): string => `${at.topic}/${at.partition}`;
