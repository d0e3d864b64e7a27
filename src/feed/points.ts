/**
 * Who may read the feed: points (deployments) that an administrator enrols, and their instances (processes), which join with a key of
 * their own. Every enrolment is an entry; the rows here are what a request is held against.
 */
import { createHash, randomBytes } from 'node:crypto';
import { formatBase64, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Intake } from '../intake/intake.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { nodeHasher } from '../platform/hasher.js';
import { instanceOf } from '../protocol/join.js';
import { SILENT_US } from './leases.js';

export interface PointsOptions {
  readonly database: Database;
  /** A few connections that wait for the ledger: others must not wait behind them. */
  readonly joins: Database;
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

/** Who is to have no connection: for good, or so that they connect again. */
export type OutListener = (isOut: (instance: Instance) => boolean, why: 'retired' | 'again') => void;

export interface EnrolmentRequest {
  readonly point: string;
  readonly uses: number;
  readonly expiresInS: number;
  /** Id of the token that asked. */
  readonly madeBy: string;
}

/** Told when a point or an instance is taken out, put out of service or let go on: `retired instance <id>`, `changed point <name>`. */
export const POINTS_CHANNEL = 'keelson_points';

const PREFIX = 'kle_';
const SETTLE_MS = 10_000;
/** How long a row may be believed. */
const FRESH_MS = 5_000;
const MAX_KNOWN = 100_000;

export class Points {
  readonly #listeners = new Set<OutListener>();
  readonly #known = new Map<string, { readonly instance: Instance; readonly untilMs: number }>();

  constructor(private readonly options: PointsOptions) {}

  /** Makes a point known. Doing it twice changes nothing. @throws KeelsonError `conflict`: it was retired */
  async enrol(point: string): Promise<void> {
    const { database, clock } = this.options;
    const { rows } = await database.query(
      'select 1 from keelson.feed_point where point = $1 and retired_at_us is not null',
      [point],
    );
    if (rows.length > 0) throw new KeelsonError('conflict', 'this point was retired: take another name');
    await this.#publish('point.enrolled', `point/${point}`, { point });
    await database.query(
      'insert into keelson.feed_point (point, enrolled_at_us) values ($1, $2) on conflict do nothing',
      [point, clock.nowUs()],
    );
  }

  /** A token with which processes of a point may join; its text is in the answer and nowhere else. @throws KeelsonError `not_found` */
  async issueEnrolment({ point, uses, expiresInS, madeBy }: EnrolmentRequest): Promise<string> {
    const { database, clock } = this.options;
    const token = PREFIX + randomBytes(32).toString('base64url');
    const { rowCount } = await database.query(
      `insert into keelson.feed_enrolment (hash, point, uses_left, expires_at_us, made_by)
       select $1, point, $3, $4, $5 from keelson.feed_point where point = $2 and retired_at_us is null`,
      [hashOf(token), point, uses, clock.nowUs() + BigInt(expiresInS) * 1_000_000n, madeBy],
    );
    if (rowCount !== 1) throw new KeelsonError('not_found', 'there is no such point: enrol it first');
    return token;
  }

  /**
   * Takes in a process by its key. One that is already in stays who it is, and uses nothing up.
   * @throws KeelsonError `forbidden`: an enrolment that is not there, used up or past its time; an instance that was retired
   */
  async join(token: string, publicKey: Uint8Array): Promise<Instance> {
    const { database, clock, ledger, generation } = this.options;
    const hash = hashOf(token);
    const { rows } = await database.query<{ point: string; uses_left: number }>(
      `select e.point, e.uses_left from keelson.feed_enrolment e join keelson.feed_point p using (point)
       where e.hash = $1 and e.expires_at_us > $2 and p.retired_at_us is null`,
      [hash, clock.nowUs()],
    );
    const enrolment = rows[0];
    if (enrolment === undefined) throw refused();
    const id = Buffer.from(instanceOf(nodeHasher, ledger, publicKey));
    const known = await this.#find(id);
    if (known !== undefined) {
      if (known.retired || known.point !== enrolment.point) throw refused();
      return known;
    }
    if (enrolment.uses_left === 0) throw refused();
    const { point } = enrolment;
    // The entry is written while the use is taken: who finds none left writes none, and a crash leaves an entry that a retry repeats.
    await this.options.joins.transaction(async (tx) => {
      const { rowCount: taken } = await tx.query(
        'update keelson.feed_enrolment set uses_left = uses_left - 1 where hash = $1 and uses_left > 0',
        [hash],
      );
      const { rowCount: joined } = await tx.query(
        `insert into keelson.feed_instance (id, point, public_key, generation, joined_at_us) values ($1, $2, $3, $4, $5)
         on conflict do nothing`,
        [id, point, Buffer.from(publicKey), generation, clock.nowUs()],
      );
      if (taken !== 1 || joined !== 1) throw refused();
      await this.#publish('point.enrolled', `instance/${formatHex(id)}`, {
        point,
        instance: formatHex(id),
        public_key: formatBase64(publicKey),
        generation,
      });
    });
    return (await this.#find(id))!;
  }

  /** Who has joined under an id, as of the last seconds. @throws KeelsonError `unauthenticated` */
  async instance(id: Uint8Array): Promise<Instance> {
    const name = Buffer.from(id).toString('latin1');
    const nowMs = this.options.clock.monotonicMs();
    let known = this.#known.get(name);
    if (known === undefined || known.untilMs < nowMs) {
      const instance = await this.#find(Buffer.from(id));
      if (instance === undefined) throw new KeelsonError('unauthenticated', 'no instance of this name has joined');
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      known = { instance, untilMs: nowMs + FRESH_MS };
      this.#known.set(name, known);
    }
    if (known.instance.retired) throw new KeelsonError('unauthenticated', 'this instance was retired');
    return known.instance;
  }

  /**
   * Takes out a point with all its instances, or one instance, for good. From now on they are refused, here at once and in every process as
   * soon as it hears of it, in seconds at most; then it is written.
   * @throws KeelsonError `not_found`; `timeout`: it is out, and not written yet: once more does no harm
   */
  async retire(point: string, instance: string | undefined, why: Record<string, string>): Promise<void> {
    const { database, clock } = this.options;
    const { rowCount } =
      instance === undefined
        ? await database.query(
            'update keelson.feed_point set retired_at_us = coalesce(retired_at_us, $2) where point = $1',
            [point, clock.nowUs()],
          )
        : await database.query(
            'update keelson.feed_instance set retired_at_us = coalesce(retired_at_us, $3) where point = $1 and id = $2',
            [point, Buffer.from(instance, 'hex'), clock.nowUs()],
          );
    if (rowCount !== 1) throw new KeelsonError('not_found', 'there is no such point or instance');
    await this.#tell(instance === undefined ? `retired point ${point}` : `retired instance ${instance}`);
    await this.#writeRetired(point, instance, why);
  }

  /** Takes out an instance if it has asked for no lease for so long; and writes that, where it is out. */
  async retireSilent(instance: string, silentUs: number): Promise<void> {
    const { database, clock } = this.options;
    const { rows } = await database.query<{ point: string }>(
      `update keelson.feed_instance set retired_at_us = coalesce(retired_at_us, $3)
       where id = $1 and (retired_at_us is not null or ${SILENT_US} >= $2) returning point`,
      [Buffer.from(instance, 'hex'), silentUs, clock.nowUs()],
    );
    const point = rows[0]?.point;
    if (point === undefined) return;
    await this.#tell(`retired instance ${instance}`);
    await this.#writeRetired(point, instance, { reason_code: 'silent' });
  }

  /** Gives a point no leases until it is released; twice is once. @throws KeelsonError `not_found`, `timeout` as `retire` */
  async quarantine(point: string, why: Record<string, string>): Promise<void> {
    const { database, clock } = this.options;
    const { rows } = await database.query<{ at_us: bigint }>(
      `update keelson.feed_point set quarantined_at_us = coalesce(quarantined_at_us, $2)
       where point = $1 and retired_at_us is null returning quarantined_at_us as at_us`,
      [point, clock.nowUs()],
    );
    if (rows[0] === undefined) throw new KeelsonError('not_found', 'there is no such point');
    await this.#tell(`changed point ${point}`);
    await this.#publish('point.quarantined', `point/${point}/quarantined/${rows[0].at_us}`, { point, ...why });
  }

  /** Gives a point leases again. @throws KeelsonError `not_found`: it is not in quarantine; `timeout`: nothing is changed yet */
  async release(point: string, why: Record<string, string>): Promise<void> {
    const { database } = this.options;
    const { rows } = await database.query<{ at_us: bigint }>(
      'select quarantined_at_us as at_us from keelson.feed_point where point = $1 and quarantined_at_us is not null',
      [point],
    );
    if (rows[0] === undefined) throw new KeelsonError('not_found', 'there is no such point in quarantine');
    const { at_us: atUs } = rows[0];
    await this.#publish('point.released', `point/${point}/released/${atUs}`, { point, ...why });
    await database.query(
      'update keelson.feed_point set quarantined_at_us = null where point = $1 and quarantined_at_us = $2',
      [point, atUs],
    );
    await this.#tell(`changed point ${point}`);
  }

  /** Hears who is to have no connection any more. Returns how to stop. */
  onOut(listener: OutListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** These are to connect again, where they are connected to this process. */
  reconnect(instances: readonly string[]): void {
    const some = new Set(instances);
    for (const listener of this.#listeners) listener(({ id }) => some.has(formatHex(id)), 'again');
  }

  /** Something was said on `POINTS_CHANNEL`: what is believed of it is asked anew, and who is out has no connection any more. */
  changed(what: string): void {
    const [verb, kind, name] = what.split(' ');
    const isMeant = ({ id, point }: Instance): boolean => (kind === 'point' ? point : formatHex(id)) === name;
    for (const [key, { instance }] of this.#known) if (isMeant(instance)) this.#known.delete(key);
    if (verb === 'retired') for (const listener of this.#listeners) listener(isMeant, 'retired');
  }

  async #tell(what: string): Promise<void> {
    this.changed(what);
    await this.options.database.query('select pg_notify($1, $2)', [POINTS_CHANNEL, what]);
  }

  #writeRetired(point: string, instance: string | undefined, why: Record<string, string>): Promise<void> {
    return instance === undefined
      ? this.#publish('point.retired', `point/${point}/retired`, { point, ...why })
      : this.#publish('point.retired', `instance/${instance}/retired`, { point, instance, ...why });
  }

  async #find(id: Buffer): Promise<Instance | undefined> {
    const { rows } = await this.options.database.query<Instance>(
      `select i.id, i.point, i.public_key as "publicKey", i.retired_at_us is not null or p.retired_at_us is not null as retired,
         p.quarantined_at_us is not null as quarantined
       from keelson.feed_instance i join keelson.feed_point p using (point) where i.id = $1`,
      [id],
    );
    return rows[0];
  }

  async #publish(type: string, id: string, event: Record<string, string | number>): Promise<void> {
    const [settled] = await this.options.intake.publishOwn([{ type, id, event }], SETTLE_MS);
    if (settled === undefined) throw new KeelsonError('timeout', 'the ledger has not got it yet', { retryAfterS: 1 });
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

const refused = (): KeelsonError =>
  new KeelsonError(
    'forbidden',
    'this enrolment token does not let anybody in: it is unknown, used up or past its time',
  );
