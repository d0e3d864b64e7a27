/** What must hold before this process should be sent work. Rooms add checks; /readyz runs them all and names what fails. */
import { KeelsonError } from '../core/error.js';

/** Resolves when fine, with what will not be for long, if anything; rejects with why not. */
export type ReadinessCheck = () => string | undefined | void | Promise<string | undefined | void>;

export interface CheckResult {
  readonly name: string;
  readonly ready: boolean;
  /** It is ready, and somebody should see to it that it stays so. */
  readonly warning?: string;
  /** The error's code and message; never its cause. */
  readonly code?: string;
  readonly detail?: string;
}

export class Readiness {
  readonly #checks = new Map<string, ReadinessCheck>();

  constructor(private readonly timeoutMs = 2_000) {}

  /** Names are unique. */
  add(name: string, check: ReadinessCheck): void {
    if (this.#checks.has(name)) throw new Error(`two readiness checks are named ${name}`);
    this.#checks.set(name, check);
  }

  /** Runs every check at once; one that takes longer than the time-out is not ready. Never rejects. */
  async run(): Promise<CheckResult[]> {
    return Promise.all([...this.#checks].map(([name, check]) => this.#runOne(name, check)));
  }

  async #runOne(name: string, check: ReadinessCheck): Promise<CheckResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new KeelsonError('timeout', `no answer within ${this.timeoutMs} ms`)),
        this.timeoutMs,
      );
    });
    try {
      const warning = await Promise.race([Promise.resolve().then(check), late]);
      return { name, ready: true, ...(typeof warning === 'string' ? { warning } : {}) };
    } catch (error) {
      if (error instanceof KeelsonError) return { name, ready: false, code: error.code, detail: error.message };
      return { name, ready: false, code: 'internal', detail: 'the check failed' };
    } finally {
      clearTimeout(timer);
    }
  }
}
