/** Registrations that have no verdict yet, out of lifecycle: what is registered is entered, what has its verdict is struck out. */
import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import { decodeRecord, SELF, type Body, type SchemaRegistry } from '../../events/index.js';
import { PartialReader } from '../../events/partial-reader.js';
import { readFoldBatch } from '../../ledger/fold-batch.js';
import type { Log } from '../../ledger/log.js';
import { splitPage } from '../../ledger/page.js';
import { learnFrom } from '../../ledger/schemas.js';
import type { Database } from '../../platform/database.js';
import type { Judged } from './cursor.js';
import { JUDGED, type Registration } from './judge.js';

const READ_ENTRIES = 4096n;
/** Registrations without a verdict that are remembered one by one. */
const WAITING_MAX = 10_000;

interface Part {
  readonly type: string;
  readonly producer: string;
  readonly body: Body;
}

export class Docket {
  /** Places in lifecycle, ascending. */
  readonly #open: Set<bigint>;
  #next: bigint;
  readonly #reader: PartialReader<Part>;

  /** @param judged where reading begins, and what is open before that */
  constructor(
    private readonly log: Log,
    private readonly schemas: SchemaRegistry,
    judged: Judged,
  ) {
    this.#next = judged.next;
    this.#open = new Set(judged.waiting);
    this.#reader = new PartialReader(schemas, { type: true, producer: true, body: { index: true, text: true } });
  }

  get open(): ReadonlySet<bigint> {
    return this.#open;
  }

  /** What another process needs to go on. Where too much is open, everything since the first of it is looked at again. */
  get judged(): Judged {
    if (this.#open.size <= WAITING_MAX) return { next: this.#next, waiting: [...this.#open] };
    return { next: this.#open.values().next().value!, waiting: [] };
  }

  /** Takes note of everything before `size`. @throws KeelsonError `database_unavailable`, `tampered` */
  async readTo(database: Database, size: bigint): Promise<void> {
    while (this.#next < size) {
      const to = this.#next + READ_ENTRIES < size ? this.#next + READ_ENTRIES : size;
      const { pages } = await readFoldBatch(database.pool, this.log, this.#next, to);
      let index = this.#next;
      for (const page of pages) for (const bytes of splitPage(page)) this.#enter(index++, bytes);
      this.#next = to;
    }
  }

  /** It needs no verdict. */
  strike(index: bigint): void {
    this.#open.delete(index);
  }

  #enter(index: bigint, bytes: Uint8Array): void {
    const entry = parseEntry(bytes);
    if (entry.kind !== 'record') return;
    let part;
    try {
      part = this.#reader.read(entry.record);
    } catch (error) {
      // Of a schema that this program can't read: what it is, another one judges.
      if (error instanceof KeelsonError) return;
      throw error;
    }
    if (part.type === 'log.schema') learnFrom(entry.record, this.schemas);
    else if (JUDGED.has(part.type)) this.#open.add(index);
    else if (part.type.startsWith('registration.') && part.producer === SELF && typeof part.body.index === 'bigint') {
      this.#open.delete(part.body.index);
    }
  }

  /** @throws KeelsonError `malformed_record`, `unknown_schema` */
  decode(index: bigint, bytes: Uint8Array): Registration {
    const entry = parseEntry(bytes);
    if (entry.kind !== 'record') throw new Error('a registration that is no record');
    return { index, appendedUs: entry.appendedAtUs, record: decodeRecord(entry.record, this.schemas) };
  }
}
