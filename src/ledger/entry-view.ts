import { parseEntry, type Entry } from '../core/entry.js';
import { formatBase64, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { hashLeaf } from '../core/merkle.js';
import {
  decodeRecord,
  formatTimestamp,
  reassemble,
  recordFingerprint,
  stringifyJson,
  type DecodedRecord,
  type JsonObject,
  type SchemaRegistry,
  type SealedField,
} from '../events/index.js';
import type { Database } from '../platform/database.js';
import { openEvent, type Vault } from '../vault/index.js';
import type { Log } from './log.js';
import type { LedgerReader } from './reader.js';

export interface EntryViewsOptions {
  readonly database: Database;
  readonly reader: LedgerReader;
  readonly hasher: Hasher;
  readonly schemas: SchemaRegistry;
  readonly vault: Pick<Vault, 'keysOf'> & { readonly blobs: Pick<Vault['blobs'], 'get'> };
}

export interface ViewOptions {
  /** Whether the reader may see persons, and what else is sealed. */
  readonly personal: boolean;
  /** Whether with an inclusion proof and the signed checkpoint it leads to. */
  readonly proof: boolean;
}

/** Where an entry stands. */
export interface EntryPlace {
  /** The log's path. */
  readonly path: string;
  readonly index: bigint;
}

interface Found {
  readonly log: Log;
  readonly index: bigint;
  readonly bytes: Uint8Array;
  readonly entry: Entry;
  /** Undefined for what the sequencer refused. */
  readonly record: DecodedRecord | undefined;
}

/** Entries as JSON: coordinates, envelope, and the event put together again as far as the reader may see it. */
export class EntryViews {
  constructor(private readonly options: EntryViewsOptions) {}

  /**
   * The JSON text of each entry, in order. Text, because numbers in an event are exact and JavaScript's are not. Without
   * `personal`, or once erased, persons are pseudonyms and other sealed fields are left out and listed under `withheld`.
   * @throws KeelsonError `not_found`, `out_of_range`, `not_ready` (no checkpoint covers the entry yet), `tampered`.
   */
  async viewHits(places: readonly EntryPlace[], { personal, proof }: ViewOptions): Promise<string[]> {
    const found = await Promise.all(places.map((place) => this.#find(place)));
    const opened = personal ? await this.#open(found) : undefined;
    return Promise.all(
      found.map(async (one) => {
        const view = this.#view(one, opened);
        if (proof) Object.assign(view, { proof: await this.#prove(one) });
        return stringifyJson(view);
      }),
    );
  }

  async #find({ path, index }: EntryPlace): Promise<Found> {
    const log = await this.options.reader.log(path);
    const bytes = await this.options.reader.entry(log, index);
    const entry = parseEntry(bytes);
    return {
      log,
      index,
      bytes,
      entry,
      record: entry.kind === 'record' ? await this.#decode(log, entry.record) : undefined,
    };
  }

  /** Decodes a record; a schema this program does not come with is learned from the log. */
  async #decode(log: Log, record: Uint8Array): Promise<DecodedRecord> {
    const { schemas, database, reader } = this.options;
    const fingerprint = recordFingerprint(record);
    if (!schemas.find(fingerprint)) {
      const { rows } = await database.query<{ index: bigint }>(
        'select index from keelson.log_schema where log = $1 and fingerprint = $2',
        [log.id, Buffer.from(fingerprint)],
      );
      const told = rows[0] && parseEntry(await reader.entry(log, rows[0].index));
      if (told?.kind !== 'record') throw new KeelsonError('unknown_schema', `${log.path} does not hold this schema`);
      const { text } = decodeRecord(told.record, schemas).body;
      if (typeof text !== 'string')
        throw new KeelsonError('unknown_schema', `${log.path} holds no text of this schema`);
      schemas.learn(text);
    }
    return decodeRecord(record, schemas);
  }

  /** Everything sealed in these records that is not erased, read with two statements. */
  async #open(found: readonly Found[]): Promise<Map<DecodedRecord, SealedField[]>> {
    const records = found.flatMap(({ record }) => (record ? [record] : []));
    const blocks = records.flatMap(({ sealed }) => sealed);
    const [keys, blobs] = await Promise.all([
      this.options.vault.keysOf(blocks.map(({ subject }) => subject)),
      this.options.vault.blobs.get(blocks.flatMap(({ blob }) => (blob ? [blob.sha256] : []))),
    ]);
    return new Map(records.map((record) => [record, openEvent(record, keys, blobs)]));
  }

  #view(
    { log, index, bytes, entry, record }: Found,
    opened: Map<DecodedRecord, SealedField[]> | undefined,
  ): JsonObject {
    const coordinates: JsonObject = {
      log: log.path,
      index: Number(index),
      kind: entry.kind,
      appendedAt: formatTimestamp(entry.appendedAtUs),
      offset: Number(entry.offset),
      place: entry.place,
      leafHash: formatBase64(hashLeaf(this.options.hasher, bytes)),
    };
    if (entry.kind === 'refused') {
      const { reason, sha256, dedupe } = entry;
      return { ...coordinates, reason, sha256: formatHex(sha256), dedupe: formatHex(dedupe) };
    }
    if (!record) throw new Error('a record entry without its record');
    const { event, missing } = reassemble(record, opened?.get(record) ?? []);
    return { ...coordinates, ...envelopeOf(record), event, withheld: [...missing] };
  }

  async #prove({ log, index, bytes }: Found): Promise<JsonObject> {
    const { size, proof, note } = await this.options.reader.inclusion(log, index, bytes);
    return { size: Number(size), hashes: proof.map(formatBase64), checkpoint: note };
  }
}

function envelopeOf(record: DecodedRecord): JsonObject {
  return {
    id: record.id,
    type: record.type,
    occurredAt: formatTimestamp(record.occurredAtUs),
    acceptedAt: formatTimestamp(record.acceptedAtUs),
    producer: record.producer,
    producerVerified: record.producerVerified,
    source: record.source,
    protocol: record.protocol,
    schema: formatHex(record.schema.fingerprint),
    masked: record.masked.map(({ pointer, rule, digest }) => ({ pointer, rule, digest: formatHex(digest) })),
  };
}
