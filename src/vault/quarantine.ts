import { hash, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import type { Database } from '../platform/database.js';
import { decrypt, encrypt } from './wrap.js';

/** What could not become an event. */
export interface Refusal {
  /** A UUID; the same for the same refusal, which is then kept once, however often it is put. Absent: a fresh one. */
  readonly id?: string | undefined;
  /** The bytes as they came in. */
  readonly original: Uint8Array;
  /** Error code: why. */
  readonly reason: string;
  readonly pointer?: string | undefined;
  /** The authenticated producer. */
  readonly producer: string;
  readonly protocol: string;
  readonly eventId?: string | undefined;
  readonly eventType?: string | undefined;
  readonly receivedAtUs: bigint;
}

/** What is known of a quarantined original without opening it. */
export interface Quarantined extends Omit<Refusal, 'id' | 'original'> {
  /** A UUID. */
  readonly id: string;
  /** SHA-256 of the original, as its `record.quarantined` entry has it. */
  readonly digest: Buffer;
  /** Bytes of the original. */
  readonly size: bigint;
  readonly expiresAtUs: bigint;
}

export interface QuarantineQuery {
  readonly producer?: string | undefined;
  readonly reason?: string | undefined;
  /** Where the page before ended: newest first. */
  readonly after?: { readonly receivedAtUs: bigint; readonly id: string } | undefined;
  readonly limit: number;
}

interface QuarantineRow {
  id: string;
  digest: Buffer;
  reason: string;
  pointer: string | null;
  producer: string;
  protocol: string;
  event_id: string | null;
  event_type: string | null;
  size: bigint;
  received_at_us: bigint;
  expires_at_us: bigint;
  wrapped_key: Buffer;
  original: Buffer;
}

const COLUMNS = `id, digest, reason, pointer, producer, protocol, event_id, event_type, size, received_at_us, expires_at_us`;
const DAY_US = 86_400_000_000n;

/** Originals of what could not become an event, each encrypted under a key of its own, until they expire. */
export class Quarantine {
  constructor(
    private readonly database: Database,
    private readonly encryptionKey: KeyObject,
    private readonly days: number,
  ) {}

  /**
   * Keeps originals, in one statement: durable when it resolves. Answers what is known of each, in their order.
   * @throws KeelsonError `database_unavailable`
   */
  async put(refusals: readonly Refusal[]): Promise<Quarantined[]> {
    if (refusals.length === 0) return [];
    const kept = refusals.map((refusal) => this.seal(refusal));
    const column = (pick: (row: (typeof kept)[number]) => unknown): unknown[] => kept.map(pick);
    await this.database.query(
      `insert into keelson.quarantine (${COLUMNS}, wrapped_key, original)
       select * from unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
         $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[], $13::bytea[])
       on conflict (id) do nothing`,
      [
        column(({ known }) => known.id),
        column(({ known }) => known.digest),
        column(({ known }) => known.reason),
        column(({ known }) => storable(known.pointer)),
        column(({ known }) => known.producer),
        column(({ known }) => known.protocol),
        column(({ known }) => storable(known.eventId)),
        column(({ known }) => storable(known.eventType)),
        column(({ known }) => known.size),
        column(({ known }) => known.receivedAtUs),
        column(({ known }) => known.expiresAtUs),
        column(({ wrappedKey }) => wrappedKey),
        column(({ sealed }) => sealed),
      ],
    );
    return kept.map(({ known }) => known);
  }

  private seal({ id = randomUUID(), original, ...rest }: Refusal): {
    known: Quarantined;
    wrappedKey: Buffer;
    sealed: Buffer;
  } {
    const key = randomBytes(32);
    return {
      known: {
        ...rest,
        id,
        digest: hash('sha256', original, 'buffer'),
        size: BigInt(original.length),
        expiresAtUs: rest.receivedAtUs + BigInt(this.days) * DAY_US,
      },
      wrappedKey: encrypt(this.encryptionKey, key, Buffer.from(id)),
      sealed: encrypt(key, original, Buffer.from(id)),
    };
  }

  /** One, with its original. @throws KeelsonError `not_found` (expired ones too), `database_unavailable`, `tampered` */
  async get(id: string): Promise<Quarantined & { readonly original: Buffer }> {
    const { rows } = await this.database.query<QuarantineRow>(
      `select ${COLUMNS}, wrapped_key, original from keelson.quarantine where id::text = $1`,
      [id],
    );
    const row = rows[0];
    if (!row) throw new KeelsonError('not_found', 'nothing by this id is in quarantine');
    const about = Buffer.from(row.id);
    const original = decrypt(decrypt(this.encryptionKey, row.wrapped_key, about), row.original, about);
    return { ...describe(row), original };
  }

  /** Newest first, without originals. @throws KeelsonError `database_unavailable` */
  async list({ producer, reason, after, limit }: QuarantineQuery): Promise<Quarantined[]> {
    const { rows } = await this.database.query<QuarantineRow>(
      `select ${COLUMNS} from keelson.quarantine
       where ($1::text is null or producer = $1) and ($2::text is null or reason = $2)
         and ($3::bigint is null or (received_at_us, id) < ($3, $4::uuid))
       order by received_at_us desc, id desc limit $5`,
      [producer ?? null, reason ?? null, after?.receivedAtUs ?? null, after?.id ?? null, limit],
    );
    return rows.map(describe);
  }

  /** Deletes what expired before `nowUs`; answers how many. @throws KeelsonError `database_unavailable` */
  async purge(nowUs: bigint): Promise<number> {
    const { rowCount } = await this.database.query('delete from keelson.quarantine where expires_at_us <= $1', [nowUs]);
    return rowCount ?? 0;
  }
}

/** Text out of bytes that were refused may hold NUL, which Postgres can't store. */
const storable = (text: string | undefined): string | null => text?.replaceAll('\0', '\ufffd') ?? null;

function describe(row: QuarantineRow): Quarantined {
  return {
    id: row.id,
    digest: row.digest,
    reason: row.reason,
    producer: row.producer,
    protocol: row.protocol,
    size: row.size,
    receivedAtUs: row.received_at_us,
    expiresAtUs: row.expires_at_us,
    ...(row.pointer === null ? {} : { pointer: row.pointer }),
    ...(row.event_id === null ? {} : { eventId: row.event_id }),
    ...(row.event_type === null ? {} : { eventType: row.event_type }),
  };
}
