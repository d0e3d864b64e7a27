/**
 * Bounded memory: every body held on behalf of a request is counted here before it is read, and a request that would take
 * the count past the limit is refused with `overloaded` (503 and Retry-After) instead of being queued.
 */
import { KeelsonError } from '../core/error.js';

export class MemoryGate {
  #heldBytes = 0;

  constructor(readonly limitBytes: number) {}

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** An empty hold; grow it as bytes arrive, release it once when the work is over. */
  open(): Hold {
    return new Hold((bytes) => this.#take(bytes));
  }

  #take(bytes: number): void {
    if (this.#heldBytes + bytes > this.limitBytes) {
      throw new KeelsonError('overloaded', `more than ${this.limitBytes} bytes of requests are in flight`, {
        retryAfterS: 1,
      });
    }
    this.#heldBytes += bytes;
  }
}

/** What one request holds of a gate. */
export class Hold {
  #bytes = 0;

  constructor(private readonly take: (bytes: number) => void) {}

  /** @throws KeelsonError `overloaded`; what was held before stays held. */
  grow(bytes: number): void {
    this.take(bytes);
    this.#bytes += bytes;
  }

  /** Gives everything back; harmless when called again. */
  release(): void {
    this.take(-this.#bytes);
    this.#bytes = 0;
  }
}
