import { parseEntry } from '../core/entry.js';
import { readPack } from '../eventlog/pack.js';
import type { EventLog, Partition } from '../eventlog/port.js';
import { DEDUPE_AT, DEDUPE_BYTES, RECORD_BYTES_MIN } from './log-records.js';
import { formatLogPath, type Log } from './log.js';
import type { Precedence } from './precedence.js';
import type { LedgerReader } from './reader.js';

/** What became of a record that intake put into the event log. */
export interface Settled {
  /** `recorded`: a new entry. `repeat`: one was there before. `refused`: an entry says why. */
  readonly outcome: 'recorded' | 'repeat' | 'refused';
  readonly log: string;
  readonly index: bigint;
  /** Why it was refused. */
  readonly reason?: string;
  /** Address of its receipt, below the server's root. */
  readonly receipt: string;
}

export interface RecordPlace {
  readonly offset: bigint;
  /** Place in its pack, from 0. */
  readonly place: number;
}

/** Tells intake what became of its records, for callers that want to wait. */
export class Settlement {
  constructor(
    private readonly reader: LedgerReader,
    private readonly eventLog: Pick<EventLog, 'read'>,
    private readonly precedence: Precedence,
  ) {}

  /** Something for a partition is about to be written. */
  expect({ topic }: Partition): void {
    if (topic === 'lifecycle') this.precedence.urgent();
  }

  /**
   * Waits until the ledger has committed these places of a partition, at most `timeoutMs` altogether. One answer per place, in
   * order; undefined where the time was over first, and for a repeat whose message the event log has forgotten.
   */
  async settle(
    at: Partition,
    places: readonly RecordPlace[],
    timeoutMs: number,
  ): Promise<readonly (Settled | undefined)[]> {
    const deadlineMs = performance.now() + timeoutMs;
    const log = await this.reader.log(formatLogPath(at)).catch(() => undefined);
    if (!log) return places.map(() => undefined);
    const answers = new Map<RecordPlace, Settled>();
    const offsets = [...new Set(places.map(({ offset }) => offset))].sort((a, b) => (a < b ? -1 : 1));
    for (const offset of offsets) {
      const wanted = places.filter((place) => place.offset === offset);
      const leftMs = Math.max(0, deadlineMs - performance.now());
      if (!(await this.reader.untilTaken(log, offset, leftMs))) break;
      const entries = await this.reader.entriesAt(log, offset);
      const keys = wanted.every(({ place }) => entries.has(place)) ? undefined : await this.#keysAt(at, offset);
      for (const place of wanted) {
        const found = entries.get(place.place);
        const answer = found ? taken(log, found) : await this.#repeated(log, keys?.[place.place]);
        if (answer) answers.set(place, answer);
      }
    }
    return places.map((place) => answers.get(place));
  }

  async #repeated(log: Log, key: Uint8Array | undefined): Promise<Settled | undefined> {
    const index = key && (await this.reader.findKey(log, key));
    return index === undefined ? undefined : settled('repeat', log, index);
  }

  async #keysAt(at: Partition, offset: bigint): Promise<(Uint8Array | undefined)[]> {
    const message = await this.eventLog.read(at, offset);
    if (!message) return [];
    return [...readPack(message.pack)].map(({ record }) =>
      record.length < RECORD_BYTES_MIN ? undefined : record.subarray(DEDUPE_AT, DEDUPE_AT + DEDUPE_BYTES),
    );
  }
}

function taken(log: Log, { index, entry }: { index: bigint; entry: Uint8Array }): Settled {
  const parsed = parseEntry(entry);
  if (parsed.kind === 'record') return settled('recorded', log, index);
  return { ...settled('refused', log, index), reason: parsed.reason };
}

const settled = (outcome: Settled['outcome'], log: Log, index: bigint): Settled => ({
  outcome,
  log: log.path,
  index,
  receipt: `/v1/logs/${log.path}/receipts/${index}`,
});
