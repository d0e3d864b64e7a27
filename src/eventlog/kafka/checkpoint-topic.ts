/** The ledger's memory outside the database, as a topic that is kept for ever: `[origin, note]` in JSON per message. */
import type { Logger } from 'pino';
import { KeelsonError } from '../../core/error.js';
import { Appender, ByteBudget } from '../appender.js';
import type { CheckpointMemory } from '../port.js';
import type { PartitionFetcher } from './partition-fetcher.js';
import type { ProducerLane } from './producer-lane.js';

/** How many messages the first look back takes in; each further look takes twice as many. */
const FIRST_LOOK = 1_000n;
const READ = { maxBytes: 4 * 1024 * 1024, maxWaitMs: 100 };

export class CheckpointTopic implements CheckpointMemory {
  readonly #appender: Appender;

  constructor(
    private readonly lane: ProducerLane,
    private readonly fetcher: PartitionFetcher,
    timeoutMs: number,
    logger: Logger,
  ) {
    this.#appender = new Appender((notes) => lane.write(notes), new ByteBudget(16 * 1024 * 1024), {
      maxWriteBytes: 900_000,
      maxWritePacks: 500,
      timeoutMs,
      name: 'checkpoints',
      logger,
      probe: () => fetcher.bounds(),
    });
  }

  async remember(origin: string, note: string): Promise<void> {
    await this.#appender.append(Buffer.from(JSON.stringify([origin, note])));
  }

  /** Looks back from the end, further and further, until it meets the origin: a log that is being written stands near the end. */
  async recall(origin: string): Promise<string | undefined> {
    const { start, end } = await this.fetcher.bounds();
    let count = FIRST_LOOK;
    for (let high = end; high > start; count *= 2n) {
      const low = high - count > start ? high - count : start;
      const note = await this.#newest(origin, low, high);
      if (note !== undefined) return note;
      high = low;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#appender.close();
    await this.lane.close();
    await this.fetcher.close();
  }

  async #newest(origin: string, low: bigint, high: bigint): Promise<string | undefined> {
    let newest: string | undefined;
    for (let next = low; next < high;) {
      const batch = await this.fetcher.fetch(next, READ);
      // What stands below the end must come. Taking silence for "nothing remembered" would let an old database sign.
      if (batch === undefined) {
        throw new KeelsonError('event_log_unavailable', `checkpoints: nothing came from offset ${next}`, {
          retryAfterS: 1,
        });
      }
      for (const { offset, pack } of batch.messages) {
        if (offset >= high) break;
        const [of, note] = JSON.parse(Buffer.from(pack).toString('utf8')) as [string, string];
        if (of === origin) newest = note;
      }
      next = batch.to;
    }
    return newest;
  }
}
