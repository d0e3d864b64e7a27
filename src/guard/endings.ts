/** Ends what stands on tokens in this process as soon as it is refused, or nobody can vouch for it, and tells the host. */
import { distrustOf, failsOpen, type KnownTool, type KnownToken, type Refused } from './check.js';
import type { GuardCore } from './core.js';
import { Holdings, type Revoked, type Session } from './holdings.js';

export interface EndingsOptions {
  /** So many sessions were aborted. */
  readonly onAborted: (count: number) => void;
  /** A listener threw. */
  readonly onProblem: (error: unknown) => void;
}

export class Endings {
  readonly holdings = new Holdings();
  readonly #listeners = new Set<(revoked: Revoked) => void>();

  constructor(
    private readonly core: GuardCore,
    private readonly options: EndingsOptions,
  ) {}

  /** @see Guard.session */
  open(token: KnownToken, tool: KnownTool | undefined): Session {
    const session = this.holdings.open(token, tool);
    // It may have been revoked since it was checked; no change would tell of that.
    if (this.#refusalOf(token, tool) !== undefined) this.end([...token.names, ...(tool?.names ?? [])]);
    return session;
  }

  /** @see Guard.keep */
  keep(token: KnownToken): () => void {
    const forget = this.holdings.keep(token);
    if (this.#refusalOf(token, undefined) !== undefined) queueMicrotask(() => this.end(token.names));
    return forget;
  }

  /** @see Guard.onRevoked */
  onRevoked(listener: (revoked: Revoked) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ends what stands on these keys (hex; undefined: any), and the table refuses now. */
  end(names: readonly string[] | undefined): void {
    if (this.core.table === undefined) return;
    this.#drop(this.holdings.end(names, (token, tool) => this.#refusalOf(token, tool)));
  }

  /** Ends sessions that nobody can vouch for, by the clocks as they were read last. */
  endStale(): void {
    const { core, holdings } = this;
    // Where nothing is too old for the shortest lease in use, nothing is looked through.
    if (holdings.sessions === 0 || core.isFresh) return;
    const sessions = holdings.abort((_, tool) => (failsOpen(core, tool) ? undefined : distrustOf(core, tool)));
    this.#drop({ tokens: [], sessions });
  }

  /** What the table says against a token, or else against it for a tool. */
  #refusalOf(token: KnownToken, tool: KnownTool | undefined): Refused | undefined {
    const { table, skewUs } = this.core;
    if (table === undefined) return undefined;
    // Looked at whatever the token's verdict: a tool that is in use tells how fresh the table has to be.
    const ofTool = tool?.verdict(table, token.issuedAtUs, skewUs);
    return token.verdict(table, skewUs) ?? ofTool;
  }

  #drop(revoked: Revoked): void {
    const count = revoked.sessions.length;
    if (count > 0) this.options.onAborted(count);
    if (count === 0 && revoked.tokens.length === 0) return;
    for (const listener of this.#listeners) {
      try {
        listener(revoked);
      } catch (error) {
        this.options.onProblem(error);
      }
    }
  }
}
