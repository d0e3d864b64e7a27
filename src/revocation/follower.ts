/** Lifecycle folded in memory, as far as it is committed: what the processor decides on, warm in every process. */
import type { SchemaRegistry } from '../events/index.js';
import { Hints, readFoldBatch } from '../ledger/fold-batch.js';
import type { Log } from '../ledger/log.js';
import { learnSchemas } from '../ledger/schemas.js';
import type { LedgerWatch } from '../ledger/watch.js';
import type { Database } from '../platform/database.js';
import { FACT_BYTES } from '../protocol/fact.js';
import { foldEvent } from './fold.js';
import { LIFECYCLE, readLifecycle } from './lifecycle.js';
import { findLifecycle } from './projection.js';
import type { Snapshots } from './snapshot.js';
import { RevocationState } from './state.js';

const READ_ENTRIES = 4096n;

/** Facts of the table that follow on `from`, 25 bytes each; what they were folded from is committed. */
export interface FoldedFacts {
  readonly from: number;
  readonly facts: Uint8Array;
}

export class Follower {
  #state: RevocationState;
  #size = 0n;
  #log: Log | undefined;
  #schemas: SchemaRegistry | undefined;
  #behind = true;
  readonly #hints = new Hints();
  readonly #listeners = new Set<(folded: FoldedFacts) => void>();
  #wake: (() => void) | undefined;
  /** Whoever asks meanwhile goes on behind it: two that read would fold the same entries twice. */
  #caughtUp: Promise<void> = Promise.resolve();
  readonly #unsubscribe: () => void;

  constructor(
    private readonly database: Database,
    watch: LedgerWatch,
    private readonly snapshots: Snapshots,
  ) {
    this.#state = new RevocationState(snapshots.material);
    this.#unsubscribe = watch.onCommitted((batch) => {
      if (batch.log.path !== LIFECYCLE) return;
      this.#hints.add(batch);
      this.#behind = true;
      this.#wake?.();
    });
  }

  /** Another one once a snapshot is taken up, which may be whenever nothing was folded before: nobody keeps it. */
  get state(): RevocationState {
    return this.#state;
  }

  /** Entries folded. */
  get size(): bigint {
    return this.#size;
  }

  close(): void {
    this.#unsubscribe();
  }

  /**
   * Folds everything that is committed by now, as far as this process can know without asking: where it was told of batches that continue
   * what is folded, those; else, or where that is less than `atLeast` entries, the ledger is read.
   * @throws KeelsonError `database_unavailable`, `tampered`
   */
  catchUp(atLeast = 0n): Promise<void> {
    const caughtUp = this.#caughtUp.then(() => this.#catchUp(atLeast));
    this.#caughtUp = caughtUp.catch(() => undefined);
    return caughtUp;
  }

  async #catchUp(atLeast: bigint): Promise<void> {
    this.#behind = false;
    const log = (this.#log ??= await findLifecycle(this.database.pool));
    if (log === undefined) return;
    const schemas = (this.#schemas ??= await this.database.transaction(learnSchemas));
    if (this.#takeHints(log, schemas) && this.#size >= atLeast) return;
    const { rows } = await this.database.query<{ size: bigint }>('select size from keelson.head where log = $1', [
      log.id,
    ]);
    const size = rows[0]?.size ?? 0n;
    if (this.#size === 0n && size > 0n) await this.#begin(log, size);
    while (this.#size < size) {
      const to = this.#size + READ_ENTRIES < size ? this.#size + READ_ENTRIES : size;
      const { pages } = await readFoldBatch(this.database.pool, log, this.#size, to);
      for (const event of readLifecycle(this.#size, pages, schemas)) foldEvent(this.state, event);
      this.#size = to;
    }
    this.#tell();
  }

  /** From a snapshot, where there is one. */
  async #begin(log: Log, size: bigint): Promise<void> {
    const folded = await this.snapshots.load(this.database.pool, log, size);
    if (folded.size === 0n) return;
    this.#state = folded.state;
    this.#size = folded.size;
  }

  /** False where there was nothing that goes on from here. */
  #takeHints(log: Log, schemas: SchemaRegistry): boolean {
    let folded = false;
    for (
      let batch = this.#hints.take(log, this.#size);
      batch !== undefined;
      batch = this.#hints.take(log, this.#size)
    ) {
      for (const event of readLifecycle(batch.from, batch.pages, schemas)) foldEvent(this.state, event);
      this.#size = batch.to;
      folded = true;
    }
    if (folded) this.#tell();
    return folded;
  }

  /** Hears of facts as soon as they are folded here, before any table has them. Returns how to stop. */
  onFacts(listener: (folded: FoldedFacts) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const { seq, facts } of this.state.tableChanges) {
      for (const listener of this.#listeners) listener({ from: seq - facts.length / FACT_BYTES, facts });
    }
    this.state.forgetChanges();
  }

  /** Resolves when this process commits to lifecycle, or did since the last `catchUp`; after `timeoutMs`; or when `signal` aborts. */
  changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#behind || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      signal.addEventListener('abort', end);
      this.#wake = end;
    });
  }
}
