/**
 * Points: deployments that apply decisions. An administrator enrols them, and their processes join as instances (instances.ts); they and
 * their points are retired, and put out of service for a while. All of it are entries.
 */
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Intake } from '../intake/intake.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { Instance, Instances } from './instances.js';
import { SILENT_US } from './leases.js';
import { publishLifecycle } from './publish.js';

export interface PointsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly instances: Pick<Instances, 'forget'>;
}

/** Times in microseconds since 1970. */
export interface PointRow {
  readonly point: string;
  readonly enrolledAtUs: bigint;
  readonly retiredAtUs: bigint | null;
  readonly quarantinedAtUs: bigint | null;
  /** It has no guard and holds no lease: it is told of orders, and attests nothing. */
  readonly signalled: boolean;
  /** Instances that are not retired. */
  readonly instances: bigint;
  /** Those of them of which a tool fails open. */
  readonly unfenced: bigint;
}

/** Who is to have no connection: for good, or so that they connect again. */
export type OutListener = (isOut: (instance: Instance) => boolean, why: 'retired' | 'again') => void;

/** Told when a point or an instance is taken out, put out of service or let go on: `retired instance <id>`, `changed point <name>`. */
export const POINTS_CHANNEL = 'keelson_points';

const SELECT = `select p.point, p.enrolled_at_us as "enrolledAtUs", p.retired_at_us as "retiredAtUs",
    p.quarantined_at_us as "quarantinedAtUs", p.signalled, count(i.id) as instances,
    count(i.id) filter (where i.fail_open <> '{}') as unfenced
  from keelson.feed_point p
  left join keelson.feed_instance i on i.point = p.point and i.retired_at_us is null and i.announced`;

export class Points {
  readonly #listeners = new Set<OutListener>();

  constructor(private readonly options: PointsOptions) {}

  /**
   * Makes a point known. Doing it twice changes nothing.
   * @param signalled it can only be signalled: nobody joins it
   * @throws KeelsonError `conflict`: it was retired, or is a point of the other kind
   */
  async enrol(point: string, signalled = false): Promise<void> {
    const { database, clock } = this.options;
    const { rows } = await database.query<{ retired: boolean; signalled: boolean }>(
      'select retired_at_us is not null as retired, signalled from keelson.feed_point where point = $1',
      [point],
    );
    if (rows[0]?.retired === true) throw new KeelsonError('conflict', 'this point was retired: take another name');
    // The row came after the entry.
    if (rows[0]?.signalled === signalled) return;
    if (rows[0] !== undefined) throw otherKind();
    const [id, kind] = [`point/${point}`, signalled ? 'signalled' : undefined];
    const event = { point, ...(kind === undefined ? {} : { kind }) };
    // Somebody else asked at once, or was given up before its row was there: the entry counts.
    const { outcome } = await publishLifecycle(this.options.intake, { type: 'point.enrolled', id, event, kind });
    if (outcome === 'refused') throw otherKind();
    await database.query(
      'insert into keelson.feed_point (point, enrolled_at_us, signalled) values ($1, $2, $3) on conflict do nothing',
      [point, clock.nowUs(), signalled],
    );
  }

  /** By name, those behind `after`. */
  async list(after: string, limit: number): Promise<PointRow[]> {
    const { rows } = await this.options.database.query<PointRow>(
      `${SELECT} where p.point > $1 group by p.point order by p.point limit $2`,
      [after, limit],
    );
    return rows;
  }

  /** @throws KeelsonError `not_found` */
  async find(point: string): Promise<PointRow> {
    const { rows } = await this.options.database.query<PointRow>(`${SELECT} where p.point = $1 group by p.point`, [
      point,
    ]);
    if (rows[0] === undefined) throw new KeelsonError('not_found', 'there is no such point');
    return rows[0];
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
    // Apart from an administrator's word, which may still come.
    await this.#publish('point.retired', `instance/${instance}/retired/silent`, {
      point,
      instance,
      reason_code: 'silent',
    });
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
    this.options.instances.forget(isMeant);
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

  async #publish(type: string, id: string, event: Record<string, string>): Promise<void> {
    await publishLifecycle(this.options.intake, { type, id, event });
  }
}

const otherKind = (): KeelsonError =>
  new KeelsonError('conflict', 'this point is enrolled, and of the other kind: take another name');
