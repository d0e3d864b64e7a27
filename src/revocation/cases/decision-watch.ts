/**
 * Holds decisions against orders: an allow of what an order forbids is an incident by itself, and reopens its case. It follows the logs of
 * decisions, in one process at a time, from where it was left; a log that it has not seen before, from the first decision that came after the
 * oldest order in force. What it finds has an id that follows from order, seq and who allowed, so that it is written once. While no order
 * is in force it reads nothing.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import { parseEntryHeader } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import { formatTimestamp } from '../../events/time.js';
import type { JsonObject } from '../../events/index.js';
import type { Intake } from '../../intake/intake.js';
import { readFoldBatch } from '../../ledger/fold-batch.js';
import type { Log } from '../../ledger/log.js';
import { splitPage } from '../../ledger/page.js';
import type { LedgerReader } from '../../ledger/reader.js';
import { learnSchemas } from '../../ledger/schemas.js';
import type { Database } from '../../platform/database.js';
import type { Logger } from '../../platform/logger.js';
import type { Named } from '../../protocol/token-keys.js';
import { LIFECYCLE } from '../lifecycle.js';
import type { KeyMaterial } from '../state.js';
import { contradictionsOf, keysOfAllowed, type Allowed, type Contradicted, type Forbidden } from './allowed.js';
import { DecisionReader } from './decision-reader.js';

export interface DecisionWatchOptions {
  readonly database: Database;
  readonly reader: Pick<LedgerReader, 'logs' | 'head' | 'entries'>;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly material: KeyMaterial;
  /** Who is behind pseudonyms, by pseudonym in hex. */
  readonly identify: (pseudonyms: readonly Uint8Array[]) => Promise<ReadonlyMap<string, Named>>;
  readonly logger: Logger;
  readonly metrics: Registry;
}

const LOOK_MS = 500;
const FAILED_MS = 1_000;
const UNSEEN_S = 10;
const SETTLE_MS = 10_000;
/** Entries at once. */
const BATCH = 1_000n;
/** Ids that were written lately. */
const MAX_WRITTEN = 10_000;

export class DecisionWatch {
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  readonly #written = new Set<string>();
  /** By log, up to where this process has read. */
  readonly #done = new Map<string, bigint>();
  readonly #contradictions: Counter;
  #reader: DecisionReader | undefined;
  /** What is read next, and how far orders have to be in the tables before: a decision is held against all that were committed by then. */
  #due:
    { readonly logs: readonly { readonly log: Log; readonly size: bigint }[]; readonly lifecycle: bigint } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly options: DecisionWatchOptions) {
    this.#contradictions = new Counter({
      name: 'keelson_case_contradictions_total',
      help: 'Decisions that allowed what an order forbids, as this process saw them',
      registers: [options.metrics],
    });
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let ms = LOOK_MS;
      try {
        if (await this.#round()) ms = 0;
      } catch (error) {
        ms = FAILED_MS;
        if (!signal.aborted) this.options.logger.warn({ err: error }, 'revocation: decisions are read again');
      }
      await sleep(ms, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Reads some of each log; true where there is more. */
  async #round(): Promise<boolean> {
    const { reader } = this.options;
    if (this.#due === undefined) {
      const logs = (await reader.logs()).filter(({ at }) => at.topic === 'decisions');
      const sizes = await Promise.all(logs.map(async (log) => ({ log, size: (await reader.head(log)).size })));
      this.#due = { logs: sizes, lifecycle: await this.#lifecycleSize() };
    }
    if ((await this.#foldedSize()) < this.#due.lifecycle) return false;
    const isNothing = await this.#isNothingForbidden();
    let more = false;
    for (const { log, size } of this.#due.logs) {
      if (this.#done.get(log.path) === size) continue;
      const from = await this.#take(log, size);
      if (from === undefined || from >= size || this.#stopping.signal.aborted) continue;
      const to = isNothing || from + BATCH > size ? size : from + BATCH;
      if (!isNothing) await this.#judge(log, from, to);
      await this.#advance(log, to);
      this.#done.set(log.path, to);
      more ||= to < size;
    }
    if (!more) this.#due = undefined;
    return more;
  }

  /** Where to go on; undefined while another process does. */
  async #take(log: Log, size: bigint): Promise<bigint | undefined> {
    const { path } = log;
    const { rowCount: known } = await this.options.database.query(
      'select from keelson.case_decision_cursor where log = $1',
      [path],
    );
    const begin = known === 1 ? size : await this.#beginOf(log, size);
    const { rows } = await this.options.database.query<{ next_index: bigint }>(
      `insert into keelson.case_decision_cursor as c (log, from_index, next_index, holder, seen_at) values ($1, $2, $2, $3, clock_timestamp())
       on conflict (log) do update set holder = excluded.holder, seen_at = excluded.seen_at
         where c.holder = excluded.holder or c.seen_at < clock_timestamp() - make_interval(secs => $4)
       returning next_index`,
      [path, begin, this.#holder, UNSEEN_S],
    );
    return rows[0]?.next_index;
  }

  /** The first entry that the event log took after the last part of the oldest order in force: what came before contradicts none. */
  async #beginOf(log: Log, size: bigint): Promise<bigint> {
    const { rows } = await this.options.database.query<{ since_us: bigint | null }>(
      `select min((doc->>'lastPartUs')::bigint) as since_us from keelson.revocation_cause where state = 'ordered' and doc ? 'lastPartUs'`,
    );
    const sinceUs = rows[0]!.since_us;
    if (sinceUs === null) return size;
    let [begin, end] = [0n, size];
    while (begin < end) {
      const middle = (begin + end) / 2n;
      const [entry] = await this.options.reader.entries(log, middle, middle + 1n);
      if (parseEntryHeader(entry!).appendedAtUs < sinceUs) begin = middle + 1n;
      else end = middle;
    }
    return begin;
  }

  async #advance({ path }: Log, to: bigint): Promise<void> {
    await this.options.database.query(
      'update keelson.case_decision_cursor set next_index = greatest(next_index, $2), seen_at = clock_timestamp() where log = $1 and holder = $3',
      [path, to, this.#holder],
    );
  }

  async #isNothingForbidden(): Promise<boolean> {
    const { rows } = await this.options.database.query<{ some: boolean }>(
      'select exists (select from keelson.revocation_key) as some',
    );
    return !rows[0]!.some;
  }

  async #lifecycleSize(): Promise<bigint> {
    const { rows } = await this.options.database.query<{ size: bigint }>(
      'select h.size from keelson.head h join keelson.log l on l.id = h.log where l.path = $1',
      [LIFECYCLE],
    );
    return rows[0]?.size ?? 0n;
  }

  /** How many entries of lifecycle are in revocation's tables. */
  async #foldedSize(): Promise<bigint> {
    const { rows } = await this.options.database.query<{ size: bigint }>(
      `select p.next_index as size from keelson.projection_position p join keelson.log l on l.id = p.log
       where p.projection = 'revocation' and l.path = $1`,
      [LIFECYCLE],
    );
    return rows[0]?.size ?? 0n;
  }

  async #judge(log: Log, from: bigint, to: bigint): Promise<void> {
    const { database, intake, logger } = this.options;
    const reader = (this.#reader ??= new DecisionReader(await database.transaction(learnSchemas)));
    const { pages } = await readFoldBatch(database.pool, log, from, to);
    const allowed: Allowed[] = [];
    let index = from;
    for (const page of pages) {
      for (const bytes of splitPage(page)) {
        const one = reader.read(log.path, index++, bytes);
        if (one !== undefined) allowed.push(one);
      }
    }
    const found = await this.#judgeAllowed(allowed);
    if (found.length === 0) return;
    this.#contradictions.inc(found.length);
    // Of those with one id the first one counts.
    const events = new Map(
      found
        .map((one) => describeReopened(one))
        .map((event) => [event.id, event] as const)
        .reverse(),
    );
    for (const id of this.#written) events.delete(id);
    for (const { id } of await this.#told([...events.values()])) events.delete(id);
    if (events.size === 0) return;
    for (const { event } of events.values())
      logger.error(event, 'revocation: something was allowed that an order forbids');
    // Whoever reads how far decisions were looked through finds what was found in the ledger.
    const settled = await intake.publishOwn([...events.values()], SETTLE_MS);
    if (settled.some((one) => one === undefined))
      throw new KeelsonError('timeout', 'what was found is not in the ledger yet');
    if (this.#written.size > MAX_WRITTEN) this.#written.clear();
    for (const id of events.keys()) this.#written.add(id);
  }

  /** Those of these that are in the tables: an id is known to the ledger for days only. */
  async #told(events: readonly ReopenedEvent[]): Promise<ReopenedEvent[]> {
    if (events.length === 0) return [];
    const { rows } = await this.options.database.query<{ order_name: string; seq: bigint; decision: ReopenedDecision }>(
      `select order_name, (doc->>'seq')::bigint as seq, doc->'decision' as decision from keelson.case_reopened where order_name = any($1)`,
      [events.map(({ event }) => event.order)],
    );
    const told = new Set(rows.map(({ order_name, seq, decision }) => reopenedId(order_name, Number(seq), decision)));
    return events.filter(({ id }) => told.has(id));
  }

  async #judgeAllowed(allowed: readonly Allowed[]): Promise<Contradicted[]> {
    if (allowed.length === 0) return [];
    const { material } = this.options;
    const persons = await this.#identify(allowed);
    const keys = allowed.map((one) => keysOfAllowed(material, one, persons));
    const forbidden = await this.#forbidden(new Set(keys.flatMap((some) => [...some.keys()])));
    if (forbidden.size === 0) return [];
    return allowed.flatMap((one, i) => contradictionsOf(one, keys[i]!, forbidden));
  }

  /** Those persons of decisions whom an order is about. */
  async #identify(allowed: readonly Allowed[]): Promise<ReadonlyMap<string, Named>> {
    const pseudonyms = [...new Set(allowed.flatMap(({ persons }) => persons))];
    if (pseudonyms.length === 0) return new Map();
    const { rows } = await this.options.database.query<{ subject: string }>(
      `select distinct subject from keelson.revocation_cause c, unnest(c.subjects) as subject
       where c.subjects && $1::text[] and c.state = 'ordered' and subject = any($1::text[])`,
      [pseudonyms],
    );
    if (rows.length === 0) return new Map();
    return this.options.identify(rows.map(({ subject }) => Buffer.from(subject, 'hex')));
  }

  async #forbidden(keys: ReadonlySet<string>): Promise<Map<string, Forbidden[]>> {
    const { rows } = await this.options.database.query<{
      key: string;
      order_name: string;
      seq: bigint;
      last_us: bigint;
      cutoff_us: bigint | null;
    }>(
      `select encode(k.key, 'hex') as key, k.order_name, (c.doc->>'seq')::bigint as seq, (c.doc->>'lastPartUs')::bigint as last_us,
         case when k.change = 'cutoff' then f.cutoff_us end as cutoff_us
       from keelson.revocation_key k join keelson.revocation_cause c using (order_name) join keelson.revocation_fact f on f.key = k.key
       where k.key = any($1::bytea[]) and c.state = 'ordered' and c.doc ? 'seq' and c.doc ? 'lastPartUs'
         and (k.change = 'cutoff' and f.cutoff_us is not null or k.change = 'block' and f.blocked)`,
      [[...keys].map((key) => Buffer.from(key, 'hex'))],
    );
    const forbidden = new Map<string, Forbidden[]>();
    for (const { key, order_name, seq, last_us, cutoff_us } of rows) {
      const cutoffUs = cutoff_us === null ? undefined : Number(cutoff_us);
      const one = { order: order_name, seq: Number(seq), lastPartUs: Number(last_us), cutoffUs };
      forbidden.set(key, [...(forbidden.get(key) ?? []), one]);
    }
    return forbidden;
  }
}

interface ReopenedEvent {
  readonly type: 'case.reopened';
  readonly id: string;
  readonly event: JsonObject;
}

interface ReopenedDecision {
  readonly producer: string;
  readonly point?: string | null | undefined;
  readonly instance?: string | null | undefined;
}

function reopenedId(order: string, seq: number, { producer, point, instance }: ReopenedDecision): string {
  const who = createHash('sha256')
    .update(JSON.stringify([producer, point ?? null, instance ?? null]))
    .digest('hex')
    .slice(0, 32);
  return `case/${order}/${seq}/reopened/${who}`;
}

/** Of each who allows one: the first counts, the others are decisions like it. */
function describeReopened({ allowed, forbidden, keyType }: Contradicted): ReopenedEvent {
  const { log, index, producer, point, instance, seq, decidedUs, appendedUs } = allowed;
  return {
    type: 'case.reopened',
    id: reopenedId(forbidden.order, forbidden.seq, { producer, point, instance }),
    event: {
      order: forbidden.order,
      seq: forbidden.seq,
      result: 'incomplete',
      reason_code: 'allowed_after',
      decision: {
        log,
        index: Number(index),
        producer,
        ...(point === undefined ? {} : { point }),
        ...(instance === undefined ? {} : { instance }),
        decided_at: formatTimestamp(BigInt(decidedUs)),
        recorded_at: formatTimestamp(BigInt(appendedUs)),
        ...(seq === undefined ? {} : { seq }),
        key_type: keyType,
      },
    },
  };
}
