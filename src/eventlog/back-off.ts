/** Waiting times after failures: doubling from 20 ms to 5 s, each drawn from its upper half so that crowds spread. */
export class BackOff {
  #failures = 0;

  constructor(
    private readonly firstMs = 20,
    private readonly maxMs = 5_000,
  ) {}

  reset(): void {
    this.#failures = 0;
  }

  nextMs(): number {
    const wholeMs = Math.min(this.firstMs * 2 ** this.#failures++, this.maxMs);
    return wholeMs * (0.5 + Math.random() / 2);
  }
}

/** Resolves after `ms`, or as soon as `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
