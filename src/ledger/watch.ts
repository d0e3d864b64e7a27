import { EventEmitter } from 'node:events';
import type { Log } from './log.js';
import type { CommittedBatch } from './pipeline.js';
import { Precedence } from './precedence.js';

/**
 * What happens to the ledger in this process, as it happens: a hint that saves asking the database. Who needs to know for
 * certain, or of other processes' doing, reads the database.
 */
export class LedgerWatch {
  readonly #events = new EventEmitter().setMaxListeners(0);
  /** Lifecycle before everything else. */
  readonly precedence = new Precedence();

  committed(batch: CommittedBatch): void {
    if (batch.log.at.topic === 'lifecycle') this.precedence.urgent();
    this.#events.emit('committed', batch);
    this.#events.emit('change');
  }

  published(log: Log, size: bigint): void {
    this.#events.emit('published', log, size);
    this.#events.emit('change');
  }

  /** Every committed batch, in order within a log. Returns how to stop. */
  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    this.#events.on('committed', listener);
    return () => void this.#events.off('committed', listener);
  }

  /** Every stored note, by log and size. Returns how to stop. */
  onPublished(listener: (log: Log, size: bigint) => void): () => void {
    this.#events.on('published', listener);
    return () => void this.#events.off('published', listener);
  }

  /** Resolves at the next commit or publication, after `timeoutMs`, or when `signal` aborts, whichever is first. */
  changed(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return this.#next('change', timeoutMs, signal);
  }

  /** The same at the next commit alone. */
  grown(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return this.#next('committed', timeoutMs, signal);
  }

  #next(event: 'change' | 'committed', timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#events.off(event, end);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      this.#events.on(event, end);
      signal?.addEventListener('abort', end);
      if (signal?.aborted) end();
    });
  }
}
