/**
 * From a body to durable records: parse → scrub → separate → seal → encode → pack → event log. `accept` resolves when every
 * event of the body is durable in the event log or in quarantine, and rejects when any may not be: then the sender has to send
 * all of it again, and the ledger drops what was there already.
 */
import { KeelsonError } from '../core/error.js';
import type { JsonLimits } from '../events/json.js';
import type { SchemaTopic } from '../events/schema.js';
import type { EventLog, Partition } from '../eventlog/port.js';
import type { Hold } from '../http/gate.js';
import { Batcher, type Place } from './batcher.js';
import type { Encoded, Encoder, OwnEvent } from './encoder.js';
import type { Item, Protocol, Refused } from './item.js';
import type { LedgerPort, Settled } from './ledger-port.js';
import type { IntakeMetrics } from './metrics.js';
import { Openings } from './opening.js';
import type { QuarantineDesk } from './quarantine.js';
import type { Sender } from './sender.js';
import { EVENT_COST_BYTES, type IntakeSettings } from './settings.js';
import { Turns } from './turns.js';
import type { Original } from './upload.js';

export interface IntakeOptions {
  readonly eventLog: EventLog;
  readonly encoder: Encoder;
  readonly quarantine: QuarantineDesk;
  readonly ledger: LedgerPort;
  readonly settings: IntakeSettings;
  readonly metrics: IntakeMetrics;
}

export interface AcceptOptions {
  readonly protocol: Protocol;
  readonly sender: Sender;
  readonly defaultType?: string;
  /** The only topics this endpoint takes. */
  readonly topics?: readonly SchemaTopic[];
  readonly idempotencyKey?: string;
  /** Where the body is accounted for: what its events take beside it is added. */
  readonly hold?: Hold;
}

export type ItemResult =
  | { readonly status: 'accepted'; readonly id: string; readonly settled?: Settled }
  | {
      readonly status: 'quarantined';
      readonly id?: string;
      readonly error: KeelsonError;
      readonly quarantineId: string;
    };

export interface Accepted {
  /** Whether the body was a list. */
  readonly list: boolean;
  /** One for each event of the body, in order. */
  readonly items: readonly ItemResult[];
  /** Where those that are accepted stand in the event log: what `settle` waits for. */
  readonly placed: readonly Placed[];
}

interface Placed {
  readonly at: Partition;
  /** Which items. */
  readonly indexes: readonly number[];
  readonly places: readonly Place[];
}

/** What of a request is in memory as objects at once: so many events, or those that fill so many bytes (a larger one is alone). */
const CHUNK = 256;
const CHUNK_BYTES = 512 * 1024;
/** Bytes of a body that are split in the time that one takes on its way to a record. */
const SPLIT_BYTES = 16;

/** A body on its way. */
interface Passage {
  readonly options: AcceptOptions;
  readonly items: ItemResult[];
  readonly appends: Promise<void>[];
  readonly placed: Placed[];
  failure: Error | undefined;
}

export class Intake {
  readonly #batchers = new Map<Partition, Batcher>();
  readonly #openings: Openings;
  readonly #turns = new Turns(CHUNK_BYTES);
  readonly #limits: JsonLimits;

  constructor(private readonly options: IntakeOptions) {
    const { eventLog, settings } = options;
    for (const at of eventLog.partitions) {
      const batcher = new Batcher(eventLog, at, {
        packBytes: settings.KEELSON_INTAKE_PACK_BYTES,
        timeoutMs: settings.KEELSON_INTAKE_APPEND_TIMEOUT_MS,
      });
      this.#batchers.set(at, batcher);
    }
    const announce = async (at: Partition, records: readonly Encoded[]): Promise<void> => {
      await this.#batcher(at).append(records.map(({ packed }) => packed));
    };
    this.#openings = new Openings({
      announceOpening: (at) => announce(at, options.encoder.encodeOpening(at)),
      announceSchema: (at, schema) => announce(at, [options.encoder.encodeSchema(at, schema)]),
    });
    this.#limits = {
      maxDepth: settings.KEELSON_INTAKE_MAX_DEPTH,
      maxStringLength: settings.KEELSON_INTAKE_MAX_STRING,
      maxValues: settings.KEELSON_INTAKE_MAX_VALUES,
    };
  }

  /**
   * Opens every log: their first records. Events that come before it is done open the logs they need by themselves.
   * @throws KeelsonError as `append`; calling again goes on where it failed
   */
  async open(): Promise<void> {
    await Promise.all(this.options.eventLog.partitions.map((at) => this.#openings.open(at)));
  }

  /** Whether every log was opened by this process. */
  get isOpen(): boolean {
    return this.options.eventLog.partitions.every((at) => this.#openings.isOpen(at));
  }

  /**
   * Takes a whole body.
   * @throws KeelsonError `malformed_json`, `too_many_items` (the body can't be split: nothing of it was taken);
   *   `event_log_unavailable`, `database_unavailable`, `overloaded` (any part of it may have been).
   */
  async accept(body: Uint8Array, options: AcceptOptions): Promise<Accepted> {
    const { settings } = this.options;
    await this.#turns.take(body.length / SPLIT_BYTES);
    const parsed = options.protocol.parse(body, {
      producer: options.sender.producer,
      digest: this.options.encoder.digestContent,
      limits: this.#limits,
      maxItems: settings.KEELSON_INTAKE_MAX_ITEMS,
      maxItemBytes: settings.KEELSON_INTAKE_EVENT_BYTES,
      ...(options.defaultType === undefined ? {} : { defaultType: options.defaultType }),
      ...(options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey }),
    });
    options.hold?.grow(parsed.count * EVENT_COST_BYTES);
    const eventWeight = EVENT_COST_BYTES + body.length / parsed.count;
    const items = new Array<ItemResult>(parsed.count);
    const passage: Passage = { options, items, appends: [], placed: [], failure: undefined };
    let taken = 0;
    let chunk: Item[] = [];
    let chunkBytes = 0;
    try {
      for (const item of parsed.items) {
        if (chunk.length === 0) await this.#turns.take(Math.min(CHUNK, parsed.count - taken) * eventWeight);
        chunk.push(item);
        chunkBytes += item.raw.length;
        const full = chunk.length >= CHUNK || chunkBytes >= CHUNK_BYTES;
        if (!full && taken + chunk.length < parsed.count) continue;
        await this.#take(chunk, taken, passage);
        taken += chunk.length;
        chunk = [];
        chunkBytes = 0;
      }
    } finally {
      await Promise.all(passage.appends);
    }
    if (passage.failure !== undefined) throw passage.failure;
    return { list: parsed.list, items, placed: passage.placed };
  }

  /** Waits for the ledger, at most `waitMs`. What is settled by then says so; what can't be told stays merely accepted. */
  async settle(accepted: Accepted, waitMs: number): Promise<Accepted> {
    const items = [...accepted.items];
    await Promise.all(
      accepted.placed.map(async ({ at, indexes, places }) => {
        const settled = await this.options.ledger.settle(at, places, waitMs).catch((error: unknown) => {
          if (error instanceof KeelsonError) return [];
          throw error;
        });
        for (const [i, index] of indexes.entries()) {
          const item = items[index];
          const outcome = settled[i];
          if (item?.status === 'accepted' && outcome !== undefined) items[index] = { ...item, settled: outcome };
        }
      }),
    );
    return { ...accepted, items };
  }

  /**
   * Makes events of Keelson's own durable, in their order. With `waitMs` it also waits for the ledger, as `settle` does: one answer
   * for each, undefined where the time was over first.
   * @throws KeelsonError `event_log_unavailable`, `overloaded`: any of them may be in the log; sending them again does no harm.
   */
  async publishOwn(events: readonly OwnEvent[], waitMs = 0): Promise<readonly (Settled | undefined)[]> {
    const groups = new Map<Partition, { indexes: number[]; records: Encoded[] }>();
    for (const [index, event] of events.entries()) {
      const encoded = this.options.encoder.encodeOwn(event);
      const group = groups.get(encoded.at) ?? { indexes: [], records: [] };
      groups.set(encoded.at, group);
      group.indexes.push(index);
      group.records.push(encoded);
    }
    const settled: (Settled | undefined)[] = events.map(() => undefined);
    await Promise.all(
      [...groups].map(async ([at, { indexes, records }]) => {
        const places = await this.#append(at, records);
        if (waitMs === 0) return;
        const answers = await this.options.ledger.settle(at, places, waitMs);
        indexes.forEach((index, i) => (settled[index] = answers[i]));
      }),
    );
    return settled;
  }

  /**
   * Keeps an upload that is no list of events, as a whole.
   * @returns the quarantine's id for it
   * @throws KeelsonError as `accept`
   */
  async keepUnreadable(original: Original, error: KeelsonError, options: AcceptOptions): Promise<string> {
    const kept = await this.options.quarantine.keepUpload(
      original,
      error,
      options.sender.producer.id,
      options.protocol.name,
    );
    await this.#append(kept.notice.at, [kept.notice]);
    this.options.metrics.quarantined.inc({ protocol: options.protocol.name, code: error.code });
    return kept.quarantineId;
  }

  /**
   * Encodes a chunk and hands it to the event log, without waiting for that. What needs the vault comes first: where the vault
   * can't be had, nothing of the chunk is produced.
   */
  async #take(chunk: readonly Item[], first: number, passage: Passage): Promise<void> {
    if (passage.failure !== undefined) throw passage.failure;
    const { protocol, sender, topics } = passage.options;
    const outcomes = await this.options.encoder.encode(chunk, { protocol: protocol.name, sender, topics });
    const refused: { readonly index: number; readonly item: Refused }[] = [];
    const groups = new Map<Partition, { indexes: number[]; records: Encoded[] }>();
    for (const [i, outcome] of outcomes.entries()) {
      const index = first + i;
      if ('error' in outcome) {
        refused.push({ index, item: outcome });
        continue;
      }
      passage.items[index] = { status: 'accepted', id: outcome.id };
      let group = groups.get(outcome.at);
      if (group === undefined) groups.set(outcome.at, (group = { indexes: [], records: [] }));
      group.indexes.push(index);
      group.records.push(outcome);
    }
    if (refused.length > 0) await this.#keep(refused, passage);
    for (const [at, { indexes, records }] of groups) {
      this.#start(at, records, passage, (places) => {
        this.options.metrics.accepted.inc({ protocol: protocol.name, topic: at.topic }, records.length);
        passage.placed.push({ at, indexes, places });
      });
    }
  }

  /** Originals into the vault, then a notice of each on its way into the event log. */
  async #keep(refused: readonly { readonly index: number; readonly item: Refused }[], passage: Passage): Promise<void> {
    const protocol = passage.options.protocol.name;
    const kept = await this.options.quarantine.keepItems(
      refused.map(({ item }) => item),
      passage.options.sender.producer.id,
      protocol,
    );
    const notices = new Map<Partition, Encoded[]>();
    for (const [i, { index, item }] of refused.entries()) {
      const { quarantineId, notice } = kept[i]!;
      const id = item.id === undefined ? {} : { id: item.id };
      passage.items[index] = { status: 'quarantined', error: item.error, quarantineId, ...id };
      this.options.metrics.quarantined.inc({ protocol, code: item.error.code });
      const others = notices.get(notice.at);
      if (others === undefined) notices.set(notice.at, [notice]);
      else others.push(notice);
    }
    for (const [at, records] of notices) this.#start(at, records, passage, () => undefined);
  }

  #start(at: Partition, records: readonly Encoded[], passage: Passage, done: (places: readonly Place[]) => void): void {
    const append = this.#append(at, records).then(done, (error: unknown) => {
      passage.failure ??= error instanceof Error ? error : new Error('an append failed', { cause: error });
    });
    passage.appends.push(append);
  }

  async #append(at: Partition, records: readonly Encoded[]): Promise<readonly Place[]> {
    this.options.ledger.expect(at);
    for (const { schema } of records) {
      const announcing = this.#openings.ensureSchema(at, schema);
      if (announcing !== undefined) await announcing;
    }
    return this.#batcher(at).append(records.map(({ packed }) => packed));
  }

  #batcher(at: Partition): Batcher {
    const batcher = this.#batchers.get(at);
    if (batcher === undefined) throw new Error('a partition that the event log does not have');
    return batcher;
  }
}
