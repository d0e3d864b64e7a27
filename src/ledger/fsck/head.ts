import { digest } from '../../core/merkle.js';
import type { Log } from '../log.js';
import type { Group, LogCheck } from './entries.js';
import type { FsckOptions, LogFindings, Snapshot } from './options.js';

/** How far the event log's clock may step back between two messages. */
const CLOCK_STEP_US = 3_600_000_000n;

/** Where a log stands, as the database says. */
export interface HeadRow {
  readonly size: bigint;
  readonly next_offset: bigint;
  readonly last_offset: bigint | null;
  readonly last_hash: Buffer | null;
  readonly greatest_us: bigint;
  readonly opened: boolean;
}

export async function readHead(snapshot: Snapshot, log: Log): Promise<HeadRow | undefined> {
  const { rows } = await snapshot.query<HeadRow & Record<string, unknown>>(
    'select size, next_offset, last_offset, last_hash, greatest_us, opened from keelson.head where log = $1',
    [log.id],
  );
  return rows[0];
}

/** The places of entries in the event log, one behind the other, and the head against the last of them. */
export class HeadCheck implements LogCheck {
  #last = { offset: -1n, place: -1 };
  #greatestUs = 0n;
  #size = 0n;

  constructor(
    private readonly options: FsckOptions,
    private readonly snapshot: Snapshot,
    private readonly log: Log,
    private readonly head: HeadRow,
    private readonly found: LogFindings,
  ) {}

  take({ first, entries }: Group): void {
    this.#size = first + BigInt(entries.length);
    for (const [i, { entry }] of entries.entries()) {
      if (entry === undefined) continue;
      const index = first + BigInt(i);
      const { offset, place, partition } = entry;
      const last = this.#last;
      if (partition !== this.log.at.partition) this.found.add('entry', index, `it is of partition ${partition}`);
      if (offset < last.offset || (offset === last.offset && place <= last.place))
        this.found.add('entry', index, `offset ${offset}/${place} follows ${last.offset}/${last.place}`);
      this.#last = { offset, place };
      if (entry.appendedAtUs > this.#greatestUs) this.#greatestUs = entry.appendedAtUs;
    }
  }

  async finish(): Promise<void> {
    const { size, next_offset, last_offset } = this.head;
    const { rows } = await this.snapshot.query<{ size: bigint; next_offset: bigint }>(
      'select size, next_offset from keelson.checkpoint where log = $1 order by size desc limit 1',
      [this.log.id],
    );
    const newest = rows[0];
    if (newest?.size !== size)
      this.found.add('head', size, `the head is at ${size}, the newest checkpoint at ${newest?.size ?? 'none'}`);
    else if (newest.next_offset > next_offset)
      this.found.add(
        'head',
        size,
        `the head goes on at offset ${next_offset}, the newest checkpoint at ${newest.next_offset}`,
      );
    const { offset } = this.#last;
    if (offset >= next_offset || offset > (last_offset ?? -1n))
      this.found.add('head', this.#size, `the last entry is of offset ${offset}, beyond where the head stands`);
    await this.#compareWithEventLog();
  }

  async #compareWithEventLog(): Promise<void> {
    const { last_offset, last_hash, greatest_us } = this.head;
    if (last_offset === null || last_hash === null) return;
    const message = await this.options.eventLog?.read(this.log.at, last_offset);
    // Put forward, it makes repeats of the last days count as new. Messages that only repeat may be later than the last entry.
    const latestUs = message && message.appendedAtUs > this.#greatestUs ? message.appendedAtUs : this.#greatestUs;
    if ((message || last_offset === this.#last.offset) && greatest_us > latestUs + CLOCK_STEP_US)
      this.found.add('head', this.#size, 'the head says that something was appended long after the last message was');
    if (message && Buffer.compare(digest(this.options.hasher, message.pack), last_hash) !== 0)
      this.found.add('head', this.#size, `another message stands at offset ${last_offset} of the event log`);
  }
}
