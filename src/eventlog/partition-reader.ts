/**
 * Reads one assigned partition and hands it to the consumer: the part of the contract that both adapters share. The adapter
 * brings `fetch`; this loop brings order: `assigned`, then contiguous batches, then `revoked`, never two at once.
 *
 * Whatever fails, the consumer rejecting or the log not answering, ends in one way: a pause, then `assigned` again. So nothing
 * is read from a position that the consumer has not just compared with the log.
 */
import type { Logger } from 'pino';
import { BackOff, pause } from './back-off.js';
import { formatPartition, type Batch, type Consumer, type Partition } from './port.js';

/**
 * The next range at `from`, with `from` as given; undefined when nothing came for a while. It returns soon after `signal`
 * aborts, and rejects when the log can't be read or has no such position.
 */
export type FetchBatch = (from: bigint, signal: AbortSignal) => Promise<Batch | undefined>;

export class PartitionReader {
  readonly #stopping = new AbortController();
  readonly #backOff = new BackOff();
  readonly #done: Promise<void>;
  #failure: unknown;

  constructor(
    private readonly at: Partition,
    private readonly consumer: Consumer,
    private readonly fetch: FetchBatch,
    private readonly logger: Logger,
  ) {
    this.#done = this.#run();
  }

  /** Why the last attempt ended; undefined since the last batch went through. */
  get failure(): unknown {
    return this.#failure;
  }

  /** No batch begins after this call; resolves when the last one and `revoked` have settled. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    // The owner stores this reader before the consumer hears of the partition.
    await Promise.resolve();
    while (!this.#stopped) {
      try {
        const from = await this.consumer.assigned(this.at);
        if (from === undefined) await untilAborted(this.#stopping.signal);
        else await this.#readFrom(from);
      } catch (error) {
        this.#failure = error;
        this.logger.warn({ err: error, partition: formatPartition(this.at) }, 'event log: reading starts again');
        await pause(this.#backOff.nextMs(), this.#stopping.signal);
      }
    }
    try {
      await this.consumer.revoked(this.at);
    } catch (error) {
      this.logger.error({ err: error, partition: formatPartition(this.at) }, 'event log: revocation failed');
    }
  }

  /** Reads until stopped; rejects when anything fails. The next range is fetched while the consumer takes this one. */
  async #readFrom(from: bigint): Promise<void> {
    const { signal } = this.#stopping;
    let ahead = this.#fetchAt(from);
    try {
      while (!this.#stopped) {
        const batch = await ahead;
        if (this.#stopped) return;
        if (batch !== undefined) from = batch.to;
        ahead = this.#fetchAt(from);
        if (batch !== undefined) await this.consumer.batch(this.at, batch);
        this.#failure = undefined;
        this.#backOff.reset();
      }
    } finally {
      if (!signal.aborted) await ahead.catch(() => undefined);
      else void ahead.catch(() => undefined);
    }
  }

  #fetchAt(from: bigint): Promise<Batch | undefined> {
    const fetched = this.fetch(from, this.#stopping.signal).then((batch) => {
      if (batch !== undefined && (batch.from !== from || batch.to < from))
        throw new Error(`asked for ${from}, got [${batch.from}, ${batch.to})`);
      return batch;
    });
    // Awaited later; until then a rejection is nobody's surprise.
    fetched.catch(() => undefined);
    return fetched;
  }
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
