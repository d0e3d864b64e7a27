/** Looks four times a second at the cases that go on, in every process: the entry's id follows from order and seq, so that one of them counts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import { KeelsonError } from '../../core/error.js';
import type { Intake } from '../../intake/intake.js';
import type { Clock } from '../../platform/clock.js';
import type { Logger } from '../../platform/logger.js';
import type { Message, Webhooks } from '../../webhooks/webhooks.js';
import type { CaseRow, Cases } from './cases.js';
import { describeClosed, describeLate } from './entry.js';
import type { CaseNews } from './news.js';
import type { PointsPort } from './points-port.js';
import { withLeases, type CaseInstance } from './standing.js';
import { caseId, CasesState, putOff, stepCases, type CasesEffect, type CasesInput, type CaseTimers } from './step.js';

export interface CaseFollowerOptions {
  readonly cases: Pick<Cases, 'isAnyOpen' | 'progress' | 'open' | 'instances'>;
  readonly points: PointsPort;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly webhooks: Pick<Webhooks, 'publish'>;
  readonly news: Pick<CaseNews, 'tell'>;
  readonly timers: CaseTimers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
}

const LOOK_MS = 250;
const FOLDED_MS = 50;
const SETTLE_MS = 5_000;
/** How often it is looked for who has gone for good. */
const SILENCE_MS = 60_000;
/** Cases that go on, at most; and entries written at once. */
const MAX_OPEN = 10_000;
const AT_ONCE = 100;
/** Names in a log line or a webhook. */
const MAX_NAMED = 100;

export class CaseFollower {
  readonly #state: CasesState;
  readonly #stopping = new AbortController();
  readonly #contradicted: Counter;
  #silenceMs = -Infinity;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly options: CaseFollowerOptions) {
    const state = (this.#state = new CasesState(options.timers));
    const registers = [options.metrics];
    new Gauge({
      name: 'keelson_cases_late',
      help: 'Cases that go on for longer than KEELSON_CASE_WARN_S',
      registers,
      collect() {
        this.set(state.late);
      },
    });
    this.#contradicted = new Counter({
      name: 'keelson_case_contradicting_acks_total',
      help: 'Acks of a table that there is not, as this process saw them',
      registers,
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
      try {
        await this.#look();
        await this.#lookForSilence();
        await this.options.news.tell();
      } catch (error) {
        if (!signal.aborted) this.options.logger.warn({ err: error }, 'revocation: cases are looked at again');
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { cases } = this.options;
    if (this.#state.followed.size === 0 && !(await cases.isAnyOpen())) return;
    const folded = await this.#folded();
    const open = (await cases.open(MAX_OPEN)).filter(({ index }) => index < folded);
    await this.#step({ kind: 'looked', open, instances: await this.#instances(open) });
  }

  /**
   * Waits until the tables of instances hold all that is committed by now; how far they are then. They are folded apart from those of
   * orders, and anew now and then: who is not there yet would not be waited for.
   */
  async #folded(): Promise<bigint> {
    const { cases } = this.options;
    const { committed } = await cases.progress();
    for (;;) {
      const { folded } = await cases.progress();
      if (folded >= committed) return folded;
      await sleep(FOLDED_MS, undefined, { signal: this.#stopping.signal });
    }
  }

  /** All instances; of those that have not attested every case, when their leases end that they have by now. */
  async #instances(open: readonly CaseRow[]): Promise<CaseInstance[]> {
    const { cases, points } = this.options;
    const instances = await cases.instances();
    const seq = open.reduce((greatest, one) => Math.max(greatest, one.seq), 0);
    const behind = instances.filter(({ ack }) => ack === undefined || ack.seq < seq || ack.isTrue !== true);
    return withLeases(instances, await points.leasesEndUs(behind.map(({ instance }) => instance)));
  }

  async #lookForSilence(): Promise<void> {
    const { cases, points, clock } = this.options;
    if (clock.monotonicMs() - this.#silenceMs < SILENCE_MS) return;
    this.#silenceMs = clock.monotonicMs();
    const instances = await cases.instances();
    const there = instances.flatMap(({ retired, instance }) => (retired === undefined ? [instance] : []));
    await this.#step({ kind: 'silence', instances, silentUs: await points.silentUs(there) });
  }

  async #step(input: CasesInput): Promise<void> {
    const { clock } = this.options;
    const effects = stepCases(this.#state, input, Math.floor(clock.monotonicMs() * 1000));
    const left = effects.filter((effect) => effect.kind !== 'close');
    try {
      await this.#close(effects.filter((effect) => effect.kind === 'close'));
      for (let effect = left[0]; effect !== undefined; effect = left[0]) {
        await this.#act(effect);
        left.shift();
      }
    } catch (error) {
      putOff(this.#state, left);
      throw error;
    }
  }

  async #close(closes: readonly Close[]): Promise<void> {
    const { clock, intake } = this.options;
    const closed = closes.map(({ order, outcome }) => ({
      type: 'case.closed',
      id: caseId(order),
      event: describeClosed(order, outcome, clock.nowUs()),
    }));
    for (let i = 0; i < closed.length; i += AT_ONCE) await intake.publishOwn(closed.slice(i, i + AT_ONCE), SETTLE_MS);
  }

  async #act(effect: Exclude<CasesEffect, Close>): Promise<void> {
    const { points, logger, webhooks, clock, intake } = this.options;
    switch (effect.kind) {
      case 'warn': {
        const { order, waitedUs, stragglers } = effect;
        const event = describeLate(order, waitedUs, stragglers);
        logger.warn(sayLate(effect), 'revocation: a case goes on for long');
        await intake.publishOwn([{ type: 'case.late', id: `${caseId(order)}/late`, event }]);
        return;
      }
      case 'call':
        return webhooks.publish({
          type: 'case.late',
          timestampUs: clock.nowUs(),
          data: sayLate(effect),
          key: caseId(effect.order),
        });
      case 'retry':
        return points.reconnect(effect.instances);
      case 'quarantine':
        for (const point of effect.points) {
          logger.error({ point, order: effect.order.order }, 'revocation: a point is put out of service');
          // One that was retired meanwhile is out of service.
          await points.quarantine(point, effect.order.order).catch((error: unknown) => {
            if (!(error instanceof KeelsonError) || error.code !== 'not_found') throw error;
          });
        }
        return;
      case 'contradicted':
        this.#contradicted.inc();
        logger.error(sayContradicted(effect.instance), 'revocation: an instance attests a table that there is not');
        return webhooks.publish(tellContradicted(effect.instance, clock.nowUs()));
      case 'retire':
        logger.info({ instance: effect.instance }, 'revocation: an instance that has been silent is retired');
        return points.retireSilent(effect.instance, effect.silentUs);
    }
  }
}

type Close = Extract<CasesEffect, { kind: 'close' }>;
type Late = Extract<CasesEffect, { kind: 'warn' | 'call' }>;

function sayLate({ order, waitedUs, stragglers }: Late): Message['data'] {
  return {
    order: order.order,
    seq: order.seq,
    waited_s: Math.floor(waitedUs / 1e6),
    count: stragglers.length,
    stragglers: stragglers
      .slice(0, MAX_NAMED)
      .map(({ instance, point, standing }) => ({ instance, point, status: standing })),
  };
}

const sayContradicted = ({ instance, point, ack }: CaseInstance): Message['data'] => ({
  instance,
  point,
  seq: ack!.seq,
  log: ack!.log,
  index: Number(ack!.index),
});

const tellContradicted = (one: CaseInstance, nowUs: bigint): Message => ({
  type: 'case.contradicted',
  timestampUs: nowUs,
  data: sayContradicted(one),
  key: `${one.instance}/${one.ack!.seq}`,
});
