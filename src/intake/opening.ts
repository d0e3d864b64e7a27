/**
 * What a log must hold before anything else: `log.opened` first of all, and the text of a schema (`log.schema`) before the first
 * record that uses it. Each is appended once per process and partition, and awaited; several processes do the same, and the
 * ledger drops the repeats.
 */
import type { EventSchema } from '../events/schema.js';
import type { Partition } from '../eventlog/port.js';

/** Makes one of these records durable in a partition. */
export interface Announcer {
  announceOpening(at: Partition): Promise<void>;
  announceSchema(at: Partition, schema: EventSchema): Promise<void>;
}

interface State {
  opening: Promise<void> | undefined;
  opened: boolean;
  readonly announcing: Map<EventSchema, Promise<void>>;
  readonly announced: Set<EventSchema>;
}

export class Openings {
  readonly #states = new Map<Partition, State>();

  constructor(private readonly announcer: Announcer) {}

  /** Whether this process has opened this log. */
  isOpen(at: Partition): boolean {
    return this.#state(at).opened;
  }

  /**
   * Resolves when a record of this schema may be appended; undefined where that is so already.
   * @throws KeelsonError as `append`; the next call tries again.
   */
  ensureSchema(at: Partition, schema: EventSchema): Promise<void> | undefined {
    const state = this.#state(at);
    if (state.announced.has(schema)) return undefined;
    let announcing = state.announcing.get(schema);
    if (announcing === undefined) {
      announcing = this.#announce(at, state, schema).finally(() => state.announcing.delete(schema));
      state.announcing.set(schema, announcing);
    }
    return announcing;
  }

  /** @throws KeelsonError as `append`; the next call tries again. */
  open(at: Partition): Promise<void> {
    const state = this.#state(at);
    if (state.opened) return Promise.resolve();
    state.opening ??= this.announcer
      .announceOpening(at)
      .then(() => {
        state.opened = true;
      })
      .finally(() => {
        state.opening = undefined;
      });
    return state.opening;
  }

  async #announce(at: Partition, state: State, schema: EventSchema): Promise<void> {
    await this.open(at);
    await this.announcer.announceSchema(at, schema);
    state.announced.add(schema);
  }

  #state(at: Partition): State {
    let state = this.#states.get(at);
    if (state === undefined) {
      state = { opening: undefined, opened: false, announcing: new Map(), announced: new Set() };
      this.#states.set(at, state);
    }
    return state;
  }
}
