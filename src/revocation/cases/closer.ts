/** Looks every second which cases are over, in every process: the entry's id follows from order and seq, so that one of them counts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../events/index.js';
import { formatTimestamp } from '../../events/time.js';
import type { Intake } from '../../intake/intake.js';
import type { Clock } from '../../platform/clock.js';
import type { Logger } from '../../platform/logger.js';
import type { Cases } from './cases.js';
import { closeCase, type CaseInstance, type CaseOutcome, type OpenCase } from './step.js';

export interface CloserOptions {
  readonly cases: Cases;
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const LOOK_MS = 500;
const SETTLE_MS = 5_000;
/** Cases that go on, at most; and entries written at once. */
const MAX_OPEN = 10_000;
const AT_ONCE = 100;
/** What fits into an entry beside the rest; all of them are in the ledger by themselves. */
const MAX_INSTANCES = 200;

export class Closer {
  readonly #stopping = new AbortController();
  /** Since when cases are known to be committed, by their names: milliseconds, monotonic. */
  #seen = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly options: CloserOptions) {}

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
      } catch (error) {
        if (!signal.aborted) this.options.logger.warn({ err: error }, 'revocation: cases are looked at again');
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { cases, intake, clock } = this.options;
    const open = await cases.open(MAX_OPEN);
    if (open.length === 0) return;
    const instances = await cases.instances();
    // Nobody enforces anything here: there is nothing to follow.
    if (instances.length === 0) return;
    const nowMs = clock.monotonicMs();
    const seen = new Map<string, number>();
    const events = open.flatMap((one) => {
      const id = `case/${one.order}/${one.seq}`;
      const sinceMs = this.#seen.get(id) ?? nowMs;
      seen.set(id, sinceMs);
      const outcome = closeCase(one, instances, (nowMs - sinceMs) * 1000);
      return outcome === undefined ? [] : [{ type: 'case.closed', id, event: describe(one, outcome, clock.nowUs()) }];
    });
    this.#seen = seen;
    for (let i = 0; i < events.length; i += AT_ONCE) await intake.publishOwn(events.slice(i, i + AT_ONCE), SETTLE_MS);
  }
}

function describe(
  { order, seq, orderedUs }: OpenCase,
  { result, acked, fenced, incomplete }: CaseOutcome,
  nowUs: bigint,
): JsonObject {
  const points = new Map<string, { acked: number; fenced: number }>();
  const count = (status: 'acked' | 'fenced', { point }: CaseInstance): void => {
    const counts = points.get(point) ?? { acked: 0, fenced: 0 };
    counts[status]++;
    points.set(point, counts);
  };
  for (const one of acked) count('acked', one);
  for (const one of fenced) count('fenced', one);
  const instances = [
    ...fenced.map(({ instance, point }) => ({ instance, point, status: 'fenced' })),
    ...acked.map(({ instance, point, ack }) => ({
      instance,
      point,
      status: 'acked',
      log: ack!.log,
      index: Number(ack!.index),
    })),
  ];
  return {
    order,
    seq,
    result,
    ordered_at: formatTimestamp(BigInt(orderedUs)),
    closed_at: formatTimestamp(nowUs),
    points: [...points].map(([point, counts]) => ({ point, ...counts })),
    instances: instances.slice(0, MAX_INSTANCES),
    incomplete: incomplete.map((one) => ({ ...one })),
  };
}
