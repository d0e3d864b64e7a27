/**
 * Records into packs, packs into the event log: one lane per partition. What comes while nothing is under way goes out at once;
 * while appends are under way the next records collect, until a pack is full or an append has come back. So a pack holds one
 * record when idle and hundreds under load.
 *
 * An append that may have failed is made again with the same bytes until its time is over; what then stands in the log twice,
 * the ledger drops. A caller that is told `event_log_unavailable` knows nothing of its records and has to send them again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../core/error.js';
import { PackBuilder, type PackedRecord } from '../eventlog/pack.js';
import type { EventLog, Partition } from '../eventlog/port.js';

/** Where one record stands in the event log. */
export interface Place {
  readonly offset: bigint;
  /** Place in its pack, from 0. */
  readonly place: number;
}

export interface BatcherOptions {
  readonly packBytes: number;
  /** How long an ambiguous append is made again. */
  readonly timeoutMs: number;
}

/** Full packs under way at once per partition; the event log merges them into its writes. */
const MAX_UNDER_WAY = 4;
const RETRY_MS = [20, 50, 100, 250, 500, 1000] as const;

/** The records of one caller, possibly spread over packs. */
interface Group {
  readonly places: Place[];
  missing: number;
  readonly resolve: (places: readonly Place[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Waiting {
  readonly record: PackedRecord;
  readonly group: Group;
  /** Which of its group's records this is. */
  readonly index: number;
}

export class Batcher {
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #underWay = 0;
  #scheduled = false;

  constructor(
    private readonly eventLog: Pick<EventLog, 'append'>,
    private readonly at: Partition,
    private readonly options: BatcherOptions,
  ) {}

  /**
   * Resolves when all of these records are durable, with their places, in order.
   * @throws KeelsonError `event_log_unavailable`, `overloaded`: any of them may be in the log.
   */
  append(records: readonly PackedRecord[]): Promise<readonly Place[]> {
    if (records.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const group: Group = { places: new Array<Place>(records.length), missing: records.length, resolve, reject };
      for (const [index, record] of records.entries()) {
        this.#waiting.push({ record, group, index });
        this.#waitingBytes += record.record.length;
      }
      this.#schedule();
    });
  }

  /** Once per turn of the event loop, so that callers of the same moment share a pack. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const full = this.#waitingBytes >= this.options.packBytes;
      if (this.#underWay > 0 && !(full && this.#underWay < MAX_UNDER_WAY)) return;
      void this.#send(this.#takePack());
    }
  }

  #takePack(): { pack: Uint8Array; taken: readonly Waiting[] } {
    const builder = new PackBuilder(this.options.packBytes);
    let count = 0;
    for (const { record } of this.#waiting) {
      if (!builder.add(record.record, record.digest)) break;
      this.#waitingBytes -= record.record.length;
      count++;
    }
    return { taken: this.#waiting.splice(0, count), pack: builder.finish() };
  }

  async #send({ pack, taken }: { pack: Uint8Array; taken: readonly Waiting[] }): Promise<void> {
    this.#underWay++;
    try {
      const offset = await this.#appendUntil(pack, performance.now() + this.options.timeoutMs);
      for (const [place, { group, index }] of taken.entries()) {
        group.places[index] = { offset, place };
        if (--group.missing === 0) group.resolve(group.places);
      }
    } catch (error) {
      for (const group of new Set(taken.map((waiting) => waiting.group))) group.reject(error);
    } finally {
      this.#underWay--;
      this.#flush();
    }
  }

  async #appendUntil(pack: Uint8Array, deadlineMs: number): Promise<bigint> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.eventLog.append(this.at, pack);
      } catch (error) {
        if (!(error instanceof KeelsonError) || error.code !== 'event_log_unavailable') throw error;
        const pauseMs = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]!;
        if (performance.now() + pauseMs >= deadlineMs) throw error;
        await sleep(pauseMs);
      }
    }
  }
}
