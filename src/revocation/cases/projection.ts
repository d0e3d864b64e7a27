/** Instances, what they attested, and cases that are closed, as a projection of lifecycle and activity. */
import type { PoolClient } from 'pg';
import { formatHex } from '../../core/bytes.js';
import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import { decodeRecord, SELF, type DecodedRecord, type SchemaRegistry } from '../../events/index.js';
import { splitPage } from '../../ledger/page.js';
import type { Fold, FoldBatch, Projection, ProjectionDifference } from '../../ledger/projection.js';
import { learnFrom, learnSchemas } from '../../ledger/schemas.js';
import { ACK_BYTES, parseAck } from '../../protocol/ack.js';
import { numberOf, textOf, textsOf } from '../body.js';

export const CASES = 'cases';
/** What a point is that can only be signalled. */
const SIGNALLED = 'signalled';
const TABLES = ['case_instance', 'case_ack', 'case_closed', 'case_point', 'case_reopened', 'case_late'] as const;
const TYPES = new Set([
  'point.enrolled',
  'point.retired',
  'point.quarantined',
  'point.released',
  'point.unfenced',
  'point.fenced',
  'ack.collected',
  'case.closed',
  'case.late',
  'case.reopened',
  'log.schema',
]);
/** `C3 01`, then the schema's fingerprint. */
const FINGERPRINT_AT = 2;
const FINGERPRINT_BYTES = 8;

interface At {
  readonly log: string;
  readonly index: bigint;
  readonly appendedUs: bigint;
}

export function casesProjection(): Projection {
  return {
    name: CASES,
    topics: ['lifecycle', 'activity'],
    open: async (tx, schema) => new CasesFold(schema, await learnSchemas(tx)),
    async clear(tx, schema) {
      for (const table of TABLES) await tx.query(`delete from ${schema}.${table}`);
    },
    async createScratch(tx, schema) {
      for (const table of TABLES) {
        await tx.query(`create table ${schema}.${table} (like keelson.${table} including all)`);
      }
    },
    compare,
  };
}

class CasesFold implements Fold {
  constructor(
    private readonly schema: string,
    private readonly schemas: SchemaRegistry,
  ) {}

  async fold(tx: PoolClient, { log, from, pages }: FoldBatch): Promise<void> {
    let index = from;
    for (const page of pages) {
      for (const bytes of splitPage(page)) {
        const at = { log: log.path, index: index++, appendedUs: 0n };
        const entry = parseEntry(bytes);
        if (entry.kind !== 'record') continue;
        const record = this.#read(entry.record);
        if (record === undefined) continue;
        if (record.type === 'log.schema') learnFrom(entry.record, this.schemas);
        else await this.#foldRecord(tx, record, { ...at, appendedUs: entry.appendedAtUs });
      }
    }
  }

  /** A record of Keelson's own that matters here; most of activity does not, and is not decoded. */
  #read(record: Uint8Array): DecodedRecord | undefined {
    const schema = this.schemas.find(record.subarray(FINGERPRINT_AT, FINGERPRINT_AT + FINGERPRINT_BYTES));
    if (schema?.types.some((type) => TYPES.has(type)) !== true) return undefined;
    try {
      const decoded = decodeRecord(record, this.schemas);
      return decoded.producer === SELF && decoded.protocol === 'internal' ? decoded : undefined;
    } catch (error) {
      if (error instanceof KeelsonError) return undefined;
      throw error;
    }
  }

  async #foldRecord(tx: PoolClient, record: DecodedRecord, at: At): Promise<void> {
    switch (record.type) {
      case 'point.enrolled':
        return this.#enrol(tx, record, at);
      case 'point.retired':
        return this.#retire(tx, record, at);
      case 'point.quarantined':
      case 'point.released':
        return this.#quarantine(tx, record, at);
      case 'point.unfenced':
      case 'point.fenced':
        return this.#failOpen(tx, record);
      case 'ack.collected':
        return this.#ack(tx, record, at);
      case 'case.closed':
        return this.#close(tx, record, at);
      case 'case.late':
        return this.#late(tx, record, at);
      case 'case.reopened':
        return this.#reopen(tx, record, at);
    }
  }

  async #enrol(tx: PoolClient, { body }: DecodedRecord, { index, appendedUs }: At): Promise<void> {
    const instance = textOf(body, 'instance');
    if (instance === undefined) {
      if (textOf(body, 'kind') !== SIGNALLED) return;
      await tx.query(
        `insert into ${this.schema}.case_point (point, quarantined, index, signalled_index) values ($1, false, $2, $2)
         on conflict (point) do nothing`,
        [textOf(body, 'point') ?? '', index],
      );
      return;
    }
    await tx.query(
      `insert into ${this.schema}.case_instance (instance, point, joined_index, joined_at_us, fail_open)
       values ($1, $2, $3, $4, '{}') on conflict (instance) do nothing`,
      [instance, textOf(body, 'point') ?? '', index, appendedUs],
    );
  }

  async #retire(tx: PoolClient, { body }: DecodedRecord, { index }: At): Promise<void> {
    if (textOf(body, 'instance') === undefined) {
      await tx.query(
        `update ${this.schema}.case_point set signalled_until = $2
         where point = $1 and signalled_index is not null and signalled_until is null`,
        [textOf(body, 'point') ?? '', index],
      );
    }
    await tx.query(
      `update ${this.schema}.case_instance set retired_as = case when retired_as = 'asked' then retired_as else $3 end
       where point = $1 and ($2::text is null or instance = $2)`,
      [
        textOf(body, 'point') ?? '',
        textOf(body, 'instance') ?? null,
        textOf(body, 'reason_code') === 'silent' ? 'silent' : 'asked',
      ],
    );
  }

  async #failOpen(tx: PoolClient, { type, body }: DecodedRecord): Promise<void> {
    const tools = type === 'point.unfenced' ? textsOf(body, 'fail_open') : [];
    await tx.query(`update ${this.schema}.case_instance set fail_open = $2 where instance = $1`, [
      textOf(body, 'instance') ?? '',
      tools,
    ]);
  }

  async #quarantine(tx: PoolClient, { type, body }: DecodedRecord, { index }: At): Promise<void> {
    const point = textOf(body, 'point');
    if (point === undefined) return;
    await tx.query(
      `insert into ${this.schema}.case_point (point, quarantined, index) values ($1, $2, $3)
       on conflict (point) do update set quarantined = excluded.quarantined, index = excluded.index`,
      [point, type === 'point.quarantined', index],
    );
  }

  async #ack(tx: PoolClient, { body }: DecodedRecord, { log, index, appendedUs }: At): Promise<void> {
    const bytes = body.acks;
    if (!Buffer.isBuffer(bytes)) return;
    for (let from = 0; from + ACK_BYTES <= bytes.length; from += ACK_BYTES) {
      const { instance, seq, stateHash, mappingHash, keyTypes } = parseAck(bytes.subarray(from, from + ACK_BYTES));
      // Of acks of one seq in several logs always the same, in whatever order they come.
      await tx.query(
        `insert into ${this.schema}.case_ack as a (instance, seq, state_hash, mapping_hash, key_types, log, index, appended_at_us)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (instance) do update
           set seq = excluded.seq, state_hash = excluded.state_hash, mapping_hash = excluded.mapping_hash,
             key_types = excluded.key_types, log = excluded.log, index = excluded.index, appended_at_us = excluded.appended_at_us
           where excluded.seq > a.seq or (excluded.seq = a.seq and (excluded.log, excluded.index) < (a.log, a.index))`,
        [formatHex(instance), seq, Buffer.from(stateHash), Buffer.from(mappingHash), keyTypes, log, index, appendedUs],
      );
    }
  }

  async #reopen(tx: PoolClient, { body }: DecodedRecord, { log, index, appendedUs }: At): Promise<void> {
    const order = textOf(body, 'order');
    if (order === undefined) return;
    await tx.query(
      `insert into ${this.schema}.case_reopened (order_name, log, index, appended_at_us, doc) values ($1, $2, $3, $4, $5)`,
      [order, log, index, appendedUs, jsonOf(body)],
    );
  }

  async #late(tx: PoolClient, { body }: DecodedRecord, { log, index, appendedUs }: At): Promise<void> {
    const [order, seq] = [textOf(body, 'order'), numberOf(body, 'seq')];
    if (order === undefined || seq === undefined) return;
    await tx.query(
      `insert into ${this.schema}.case_late as w (order_name, seq, log, index, appended_at_us) values ($1, $2, $3, $4, $5)
       on conflict (order_name, seq) do update
         set log = excluded.log, index = excluded.index, appended_at_us = excluded.appended_at_us
         where (excluded.log, excluded.index) < (w.log, w.index)`,
      [order, seq, log, index, appendedUs],
    );
  }

  async #close(tx: PoolClient, { body }: DecodedRecord, { log, index, appendedUs }: At): Promise<void> {
    const [order, result] = [textOf(body, 'order'), textOf(body, 'result')];
    const seq = numberOf(body, 'seq');
    if (order === undefined || result === undefined || seq === undefined) return;
    await tx.query(
      `insert into ${this.schema}.case_closed as c (order_name, seq, result, log, index, appended_at_us, doc)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict (order_name, seq) do update
         set result = excluded.result, log = excluded.log, index = excluded.index, appended_at_us = excluded.appended_at_us,
           doc = excluded.doc
         where (excluded.log, excluded.index) < (c.log, c.index)`,
      [order, seq, result, log, index, appendedUs, jsonOf(body)],
    );
  }
}

const jsonOf = (body: DecodedRecord['body']): string =>
  JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));

const TOLD_MAX = 20;

async function* compare(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  for (const table of TABLES) {
    const { rows } = await tx.query<{ row: string }>(
      `select row from (
         (select t::text as row from ${live}.${table} t except select t::text from ${scratch}.${table} t)
         union all (select t::text from ${scratch}.${table} t except select t::text from ${live}.${table} t)) as other
       order by row limit ${TOLD_MAX}`,
    );
    for (const { row } of rows) yield { reason: `${table}: ${row.slice(0, 200)} is not what follows from the ledger` };
  }
}
