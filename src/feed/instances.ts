/**
 * Instances: processes of points, each by a key of its own. That one has joined is an entry, and so is it when a tool of it fails open; the
 * rows here are what a request is held against.
 */
import { formatBase64, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp } from '../events/time.js';
import type { Intake } from '../intake/intake.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { nodeHasher } from '../platform/hasher.js';
import { MAX_FAIL_OPEN_TOOLS, sortTools, type FailOpen } from '../protocol/fail-open.js';
import { instanceOf } from '../protocol/join.js';
import { REQUEST_SKEW_US } from '../protocol/request.js';
import { Lookup } from './lookup.js';
import { publishLifecycle } from './publish.js';

export interface InstancesOptions {
  readonly database: Database;
  /** Connections that hold locks: others must not wait behind them. */
  readonly locks: Database;
  readonly clock: Clock;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly ledger: string;
  readonly generation: number;
}

export interface Instance {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly point: string;
  /** 32 bytes. */
  readonly publicKey: Buffer;
  readonly retired: boolean;
  /** Its point is out of service: it gets no lease. */
  readonly quarantined: boolean;
}

/** As it is listed. Times in microseconds since 1970. */
export interface InstanceRow extends Instance {
  readonly joinedAtUs: bigint;
  readonly joinedBy: string | null;
  readonly retiredAtUs: bigint | null;
  readonly failOpen: readonly string[];
}

/** What lets a process in. */
export interface Admission {
  readonly point: string;
  /** As entries say it. */
  readonly by: string;
  /** The enrolment of which a use is taken, where there is one. */
  readonly enrolment?: string;
}

interface Joining {
  readonly publicKey: Uint8Array;
  /** Tools that fail open. */
  readonly failOpen: readonly string[];
}

/** How long a row may be believed. */
const FRESH_MS = 5_000;
const MAX_KNOWN = 100_000;
/** Statements of tools that fail open, of one instance, that add nothing. */
const SAID_EVERY_US = 10_000_000;
/** How long a statement may take to be in the ledger, and a little. Whoever is frozen for longer holds its lock no more. */
const SAYING_MS = 15_000;
const COLUMNS = `i.id, i.point, i.public_key as "publicKey", i.retired_at_us is not null or p.retired_at_us is not null as retired,
  p.quarantined_at_us is not null as quarantined`;

export class Instances {
  readonly #lookup: Lookup<Instance>;

  constructor(private readonly options: InstancesOptions) {
    this.#lookup = new Lookup({
      clock: options.clock,
      load: (ids) => this.#load(ids),
      freshMs: FRESH_MS,
      maxKnown: MAX_KNOWN,
    });
  }

  /**
   * Takes in a process by its key. One that is already in stays who it is, and uses nothing up.
   *
   * First its row takes a use, then comes the entry, then the row counts. After a crash between them whoever holds the key joins again and
   * goes on there; nobody else gets its use.
   * @throws KeelsonError `forbidden`: no use is left, or the key is that of another point or of an instance that was retired
   */
  async join(admission: Admission, { publicKey, failOpen }: Joining): Promise<Instance> {
    const { database, clock, ledger, generation, intake } = this.options;
    const id = Buffer.from(instanceOf(nodeHasher, ledger, publicKey));
    const [name, nowUs, tools] = [formatHex(id), clock.nowUs(), sortTools(failOpen)];
    const before = await this.#find(id);
    if (before === undefined) await this.#take(admission, id, publicKey, nowUs);
    const instance = before ?? (await this.#find(id));
    if (instance === undefined || instance.retired || instance.point !== admission.point) throw refused();
    if (!instance.announced) {
      await publishLifecycle(intake, {
        type: 'point.enrolled',
        id: `instance/${name}`,
        event: {
          point: instance.point,
          instance: name,
          public_key: formatBase64(publicKey),
          generation,
          joined_by: instance.joinedBy ?? admission.by,
        },
      });
    }
    // Who joins again takes nothing back: this may be a request of before, and a signed statement says it.
    if (tools.length > 0) await this.#say(instance, tools, nowUs);
    if (!instance.announced) {
      await database.query('update keelson.feed_instance set announced = true where id = $1', [id]);
      this.#lookup.forget(id.toString('latin1'));
    }
    return instance;
  }

  /** Who has joined under an id, as of the last seconds. @throws KeelsonError `unauthenticated` */
  async find(id: Uint8Array): Promise<Instance> {
    const instance = await this.get(id);
    if (instance === undefined) throw new KeelsonError('unauthenticated', 'no instance of this name has joined');
    requireInService(instance);
    return instance;
  }

  /** As `find`; also who was retired. Undefined: nobody. */
  async get(id: Uint8Array): Promise<Instance | undefined> {
    return this.#lookup.get(Buffer.from(id).toString('latin1'));
  }

  /** What is believed of some is asked anew. */
  forget(isMeant: (instance: Instance) => boolean): void {
    this.#lookup.forgetWhere(isMeant);
  }

  /** Of a point, in the order in which they joined, those behind `after`. */
  async of(point: string, after: { atUs: bigint; id: Buffer }, limit: number): Promise<InstanceRow[]> {
    const { rows } = await this.options.database.query<InstanceRow>(
      `select ${COLUMNS}, i.joined_at_us as "joinedAtUs", i.joined_by as "joinedBy", i.retired_at_us as "retiredAtUs",
         i.fail_open as "failOpen"
       from keelson.feed_instance i join keelson.feed_point p using (point)
       where i.point = $1 and i.announced and (i.joined_at_us, i.id) > ($2, $3) order by i.joined_at_us, i.id limit $4`,
      [point, after.atUs, after.id, limit],
    );
    return rows;
  }

  /**
   * Writes down which tools of an instance fail open. Whether that is news is not asked: what it said before may be on its way into the
   * ledger, and the last word there counts. The same statement is written once.
   *
   * What a statement adds is written at once, always. One that adds nothing waits until `SAID_EVERY_US` after the one before, by the times
   * that they say: so whoever says one thing and then the other writes no more than that. Until then what it takes back holds.
   *
   * Of an instance one is worked on at a time, over all processes, until it is in the ledger: so the last word there is what was taken last.
   * @throws KeelsonError `out_of_range`: its clock is too far from ours; `replayed`: it has said something later; `overloaded`: too soon
   *   after the one before, what it adds is written; `database_unavailable`: another one is being worked on for long
   */
  async declare({ id }: Instance, { atUs, tools }: FailOpen): Promise<void> {
    const { clock } = this.options;
    if (Math.abs(Number(clock.nowUs()) - atUs) > REQUEST_SKEW_US) {
      throw new KeelsonError('out_of_range', 'the clock of this instance is more than 5 minutes from the server’s');
    }
    await this.#alone(id, () => this.#declare(id, tools, atUs));
  }

  /** While this runs nothing else is said of this instance. */
  async #alone(id: Buffer, work: () => Promise<void>): Promise<void> {
    await this.options.locks.transaction(async (tx) => {
      await tx.query(`select set_config('idle_in_transaction_session_timeout', $1, true)`, [String(SAYING_MS)]);
      const name = `keelson.feed/fail-open/${formatHex(id)}`;
      await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
      await work();
    });
  }

  async #declare(id: Buffer, tools: readonly string[], atUs: number): Promise<void> {
    const { database } = this.options;
    const row = await this.#find(id);
    if (row === undefined) return;
    const sinceUs = row.failOpenAtUs === null ? Infinity : atUs - Number(row.failOpenAtUs);
    if (sinceUs > 0 && sinceUs < SAID_EVERY_US) return this.#addNow(row, tools, atUs, sinceUs);
    const { rowCount } = await database.query(
      'update keelson.feed_instance set fail_open_at_us = $2 where id = $1 and coalesce(fail_open_at_us, 0) <= $2',
      [id, atUs],
    );
    if (rowCount !== 1) throw new KeelsonError('replayed', 'this instance has said later which tools fail open');
    const isFirst = row.failOpenAtUs === null;
    if (isFirst && tools.join('\n') === row.failOpen.join('\n')) return;
    await this.#write(row, tools, BigInt(atUs));
    await database.query('update keelson.feed_instance set fail_open = $2 where id = $1 and fail_open_at_us = $3', [
      id,
      tools,
      atUs,
    ]);
  }

  /** Of a statement that comes too soon: what it adds, beside what was said before. */
  async #addNow(row: JoinedRow, tools: readonly string[], atUs: number, sinceUs: number): Promise<void> {
    const { database } = this.options;
    const both = uniteTools(row.failOpen, tools);
    const isSame = both.join('\n') === row.failOpen.join('\n');
    if (!isSame) {
      await this.#write(row, both, BigInt(atUs));
      const isWhole = both.join('\n') === tools.join('\n');
      await database.query(
        `update keelson.feed_instance set fail_open = $2, fail_open_at_us = case when $4 then $3 else fail_open_at_us end
         where id = $1 and fail_open_at_us < $3`,
        [row.id, both, atUs, isWhole],
      );
      if (isWhole) return;
    }
    throw new KeelsonError('overloaded', 'this instance has just said which tools fail open', {
      retryAfterS: Math.ceil((SAID_EVERY_US - sinceUs) / 1e6),
    });
  }

  /** What it says with joining: beside what it has said. */
  async #say({ id }: JoinedRow, tools: readonly string[], atUs: bigint): Promise<void> {
    await this.#alone(id, async () => {
      const row = await this.#find(id);
      if (row === undefined) return;
      const both = uniteTools(row.failOpen, tools);
      if (both.join('\n') === row.failOpen.join('\n')) return;
      await this.#write(row, both, atUs);
      await this.options.database.query('update keelson.feed_instance set fail_open = $2 where id = $1', [id, both]);
    });
  }

  async #write({ id, point }: JoinedRow, tools: readonly string[], atUs: bigint): Promise<void> {
    const { intake } = this.options;
    const name = formatHex(id);
    const type = tools.length === 0 ? 'point.fenced' : 'point.unfenced';
    const said = tools.length === 0 ? {} : { fail_open: [...tools] };
    const event = { point, instance: name, effective_at: formatTimestamp(atUs), ...said };
    await publishLifecycle(intake, { type, id: `${type}/${name}/${atUs}`, event });
  }

  /** Makes the row, and takes the use that it needs; a row that is there already stays as it is. @throws KeelsonError `forbidden` */
  async #take({ point, by, enrolment }: Admission, id: Buffer, publicKey: Uint8Array, nowUs: bigint): Promise<void> {
    const { database, generation } = this.options;
    await database.transaction(async (tx) => {
      const { rowCount: made } = await tx.query(
        `insert into keelson.feed_instance (id, point, public_key, generation, joined_at_us, joined_by, announced)
         select $1, point, $3, $4, $5, $6, false from keelson.feed_point where point = $2 and retired_at_us is null and not signalled
         on conflict do nothing`,
        [id, point, Buffer.from(publicKey), generation, nowUs, by],
      );
      if (made !== 1 || enrolment === undefined) return;
      const { rowCount: taken } = await tx.query(
        `update keelson.feed_enrolment set uses_left = uses_left - 1
         where id = $1 and uses_left > 0 and revoked_at_us is null and expires_at_us > $2`,
        [enrolment, nowUs],
      );
      if (taken !== 1) throw refused();
    });
  }

  async #find(id: Buffer): Promise<JoinedRow | undefined> {
    const { rows } = await this.options.database.query<JoinedRow>(
      `select ${COLUMNS}, i.announced, i.joined_by as "joinedBy", i.fail_open as "failOpen", i.fail_open_at_us as "failOpenAtUs"
       from keelson.feed_instance i join keelson.feed_point p using (point) where i.id = $1`,
      [id],
    );
    return rows[0];
  }

  async #load(ids: readonly string[]): Promise<Map<string, Instance>> {
    const { rows } = await this.options.database.query<Instance>(
      `select ${COLUMNS} from keelson.feed_instance i join keelson.feed_point p using (point)
       where i.id = any($1) and i.announced`,
      [ids.map((id) => Buffer.from(id, 'latin1'))],
    );
    return new Map(rows.map((row) => [row.id.toString('latin1'), row]));
  }
}

interface JoinedRow extends Instance {
  readonly announced: boolean;
  readonly joinedBy: string | null;
  readonly failOpen: readonly string[];
  readonly failOpenAtUs: bigint | null;
}

/** Tools of either; all, where they are too many for one statement. */
function uniteTools(some: readonly string[], more: readonly string[]): readonly string[] {
  const all = new Set([...some, ...more]);
  return all.has('*') || all.size > MAX_FAIL_OPEN_TOOLS ? ['*'] : sortTools([...all]);
}

/** @throws KeelsonError `unauthenticated`: it was retired */
export function requireInService({ retired }: Instance): void {
  if (retired) throw new KeelsonError('unauthenticated', 'this instance was retired');
}

/** Says no more: whoever is told why learns what is there. */
export const refused = (): KeelsonError =>
  new KeelsonError('forbidden', 'this token does not let you in: it is unknown, used up, past its time or for others');
