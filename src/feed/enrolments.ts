/** Enrolment tokens: with one, so many processes of a point may join for so long. Their text is shown once, and kept as SHA-256. */
import { KeelsonError } from '../core/error.js';
import { hashToken, isTokenText, makeToken, makeTokenId } from '../access/token.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { Lookup } from './lookup.js';

export interface EnrolmentRequest {
  readonly point: string;
  readonly uses: number;
  readonly expiresInS: number;
  /** Id of the API token that asked. */
  readonly madeBy: string;
}

/** Times in microseconds since 1970. */
export interface EnrolmentRow {
  /** 16 digits of hex: names it, and lets nobody in. */
  readonly id: string;
  readonly point: string;
  readonly uses: number;
  readonly usesLeft: number;
  readonly madeAtUs: bigint;
  readonly madeBy: string;
  readonly expiresAtUs: bigint;
  readonly revokedAtUs: bigint | null;
}

const COLUMNS = `e.id, e.point, e.uses, e.uses_left as "usesLeft", e.made_at_us as "madeAtUs", e.made_by as "madeBy",
  e.expires_at_us as "expiresAtUs", e.revoked_at_us as "revokedAtUs"`;
/** Tokens of a point that are listed, the newest ones. */
const MAX_LISTED = 1_000;
const FRESH_MS = 1_000;
const MAX_KNOWN = 10_000;

export class Enrolments {
  readonly #lookup: Lookup<EnrolmentRow>;

  constructor(private readonly options: { readonly database: Database; readonly clock: Clock }) {
    this.#lookup = new Lookup({
      clock: options.clock,
      load: (hashes) => this.#load(hashes),
      freshMs: FRESH_MS,
      maxKnown: MAX_KNOWN,
    });
  }

  /** @throws KeelsonError `not_found`: there is no such point, or it was retired */
  async issue({ point, uses, expiresInS, madeBy }: EnrolmentRequest): Promise<{ token: string; row: EnrolmentRow }> {
    const { database, clock } = this.options;
    const token = makeToken('kle_');
    const nowUs = clock.nowUs();
    const { rows } = await database.query<EnrolmentRow>(
      `insert into keelson.feed_enrolment as e (hash, id, point, uses, uses_left, made_at_us, made_by, expires_at_us)
       select $1, $2, point, $4, $4, $5, $6, $7 from keelson.feed_point where point = $3 and retired_at_us is null and not signalled
       returning ${COLUMNS}`,
      [hashToken(token), makeTokenId(), point, uses, nowUs, madeBy, nowUs + BigInt(expiresInS) * 1_000_000n],
    );
    if (rows[0] === undefined)
      throw new KeelsonError('not_found', 'there is no such point that can be joined: enrol it first');
    return { token, row: rows[0] };
  }

  /** Of a point, newest first. */
  async of(point: string): Promise<EnrolmentRow[]> {
    const { rows } = await this.options.database.query<EnrolmentRow>(
      `select ${COLUMNS} from keelson.feed_enrolment e where e.point = $1 order by e.made_at_us desc, e.id limit ${MAX_LISTED}`,
      [point],
    );
    return rows;
  }

  /** Nobody joins by it from now on; who has joined stays. Doing it twice keeps the first time. @throws KeelsonError `not_found` */
  async revoke(id: string): Promise<void> {
    const { database, clock } = this.options;
    const { rows } = await database.query<{ hash: Buffer }>(
      'update keelson.feed_enrolment set revoked_at_us = coalesce(revoked_at_us, $2) where id = $1 returning hash',
      [id, clock.nowUs()],
    );
    if (rows[0] === undefined) throw new KeelsonError('not_found', 'there is no such enrolment token');
    this.#lookup.forget(rows[0].hash.toString('hex'));
  }

  /** The enrolment of a token that is good, used up or not, as of the last second. */
  async find(token: string): Promise<EnrolmentRow | undefined> {
    if (!isTokenText(token, 'kle_')) return undefined;
    const row = await this.#lookup.get(hashToken(token).toString('hex'));
    return row?.revokedAtUs === null && row.expiresAtUs > this.options.clock.nowUs() ? row : undefined;
  }

  async #load(hashes: readonly string[]): Promise<Map<string, EnrolmentRow>> {
    const { rows } = await this.options.database.query<EnrolmentRow & { hash: Buffer }>(
      `select e.hash, ${COLUMNS} from keelson.feed_enrolment e join keelson.feed_point p using (point)
       where e.hash = any($1) and p.retired_at_us is null`,
      [hashes.map((hash) => Buffer.from(hash, 'hex'))],
    );
    return new Map(rows.map(({ hash, ...row }) => [hash.toString('hex'), row]));
  }
}
