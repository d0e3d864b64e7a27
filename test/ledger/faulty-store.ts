import { KeelsonError } from '../../src/core/error.js';
import type { CheckpointMemory, EventLog } from '../../src/eventlog/port.js';
import type { SlotRow } from '../../src/ledger/slots.js';
import type { Lane, LedgerStore } from '../../src/ledger/store.js';

/** `lost`: the write did not happen and was reported failed. `unreported`: it happened, and was reported failed. */
export type Fault = 'lost' | 'unreported';

/** Every write the sequencer awaits, and every read it recovers with. */
export const STEPS = [
  'openLog',
  'loadState',
  'loadSlots',
  'ensurePartitions',
  'openLane',
  'written',
  'seal',
  'commit',
  'publish',
  'newestPublication',
  'readSlots',
  'rootAt',
  'recall',
  'remember',
  'trim',
] as const;
export type Step = (typeof STEPS)[number];

/** A store, and an event log's memory, in which chosen calls fail, before or after they did their work. */
export class FaultyStore {
  readonly calls = new Map<Step, number>();
  /** Whether the nth call (from 1) of a step fails, and how. */
  fault: (step: Step, call: number) => Fault | undefined = () => undefined;

  wrap(store: LedgerStore): LedgerStore {
    return this.#wrap(store, {
      openLane: async (log: Parameters<LedgerStore['openLane']>[0]) =>
        this.#run('openLane', async () => this.#wrap(await store.openLane(log), {})),
      loadSlots: (...args: Parameters<LedgerStore['loadSlots']>) => this.#loadSlots(store.loadSlots(...args)),
    });
  }

  /** The event log with its memory of checkpoints, and what trims it. */
  wrapEventLog(eventLog: EventLog): EventLog {
    return this.#wrap(eventLog, { checkpoints: this.#wrap(eventLog.checkpoints, {}) });
  }

  async *#loadSlots(rows: AsyncIterable<SlotRow>): AsyncGenerator<SlotRow> {
    const loaded: SlotRow[] = [];
    await this.#run('loadSlots', async () => {
      for await (const row of rows) loaded.push(row);
    });
    yield* loaded;
  }

  #wrap<T extends LedgerStore | Lane | EventLog | CheckpointMemory>(target: T, own: Record<string, unknown>): T {
    return new Proxy(target, {
      get: (_, name) => {
        if (typeof name === 'string' && name in own) return own[name];
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        const method = value as (...args: unknown[]) => unknown;
        const step = STEPS.find((one) => one === name);
        if (step === undefined) return method.bind(target);
        return (...args: unknown[]) => this.#run(step, async () => method.apply(target, args));
      },
    });
  }

  async #run<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const call = (this.calls.get(step) ?? 0) + 1;
    this.calls.set(step, call);
    const fault = this.fault(step, call);
    if (fault === 'lost') throw new KeelsonError('database_unavailable', `${step} was lost`);
    const result = await work();
    if (fault === 'unreported') throw new KeelsonError('database_unavailable', `${step} was done, and not reported`);
    return result;
  }
}
