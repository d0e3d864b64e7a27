/**
 * What stands on tokens in this process: tokens that are cached, sessions and calls that go on. Each is found by the keys it
 * stands on.
 */
import type { KnownTool, KnownToken, Refused } from './check.js';

/** Something that ends when what it stands on is revoked. */
export interface Session {
  readonly token: KnownToken;
  /** Aborts then, with the refusal as its reason. */
  readonly signal: AbortSignal;
  close(): void;
}

/** What is refused from now on, by one change of the table, or because the table is too old. */
export interface Revoked {
  /** Drop these where they are cached: the table refuses them whatever they are used for. Each once. */
  readonly tokens: readonly KnownToken[];
  /** Sessions that were aborted: the reason of a signal is the refusal. */
  readonly sessions: readonly Session[];
}

interface Held {
  readonly token: KnownToken;
  readonly tool: KnownTool | undefined;
  /** Of a session; a token that is merely cached has none. */
  readonly controller: AbortController | undefined;
  session: Session | undefined;
}

export class Holdings {
  readonly #byKey = new Map<string, Set<Held>>();
  readonly #all = new Set<Held>();
  #sessions = 0;

  /** Sessions that are open. */
  get sessions(): number {
    return this.#sessions;
  }

  /** Tokens that are kept. */
  get tokens(): number {
    return this.#all.size - this.#sessions;
  }

  /** Opens a session. */
  open(token: KnownToken, tool: KnownTool | undefined): Session {
    const controller = new AbortController();
    const held: Held = { token, tool, controller, session: undefined };
    const close = this.#add(held);
    this.#sessions++;
    const session: Session = {
      token,
      signal: controller.signal,
      close: () => {
        if (close()) this.#sessions--;
      },
    };
    controller.signal.addEventListener('abort', () => session.close(), { once: true });
    held.session = session;
    return session;
  }

  /** Follows a token that is cached. Returns how to forget it. */
  keep(token: KnownToken): () => void {
    const forget = this.#add({ token, tool: undefined, controller: undefined, session: undefined });
    return () => void forget();
  }

  /**
   * Ends what is refused: sessions are aborted, and tokens forgotten.
   * @param keys that changed, in hex; undefined: any.
   * @param refusalOf what speaks against a token, and against it for a tool.
   */
  end(
    keys: readonly string[] | undefined,
    refusalOf: (token: KnownToken, tool: KnownTool | undefined) => Refused | undefined,
  ): Revoked {
    const tokens = new Set<KnownToken>();
    const sessions: Session[] = [];
    const concerned = keys === undefined ? [this.#all] : keys.map((key) => this.#byKey.get(key) ?? []);
    for (const some of concerned) {
      for (const held of [...some]) {
        if (!this.#all.has(held)) continue;
        const { token, tool, controller, session } = held;
        const own = refusalOf(token, undefined);
        const refusal = tool === undefined ? own : refusalOf(token, tool);
        if (own !== undefined) tokens.add(token);
        if (refusal === undefined) continue;
        if (controller === undefined) this.#remove(held);
        else {
          sessions.push(session!);
          controller.abort(refusal);
        }
      }
    }
    return { tokens: [...tokens], sessions };
  }

  /** Aborts the sessions that are refused for another reason than the table's. */
  abort(refusalOf: (token: KnownToken, tool: KnownTool | undefined) => Refused | undefined): readonly Session[] {
    const sessions: Session[] = [];
    for (const { token, tool, controller, session } of [...this.#all]) {
      const refusal = controller === undefined ? undefined : refusalOf(token, tool);
      if (refusal === undefined) continue;
      sessions.push(session!);
      controller!.abort(refusal);
    }
    return sessions;
  }

  #add(held: Held): () => boolean {
    this.#all.add(held);
    for (const key of keysOf(held)) {
      const some = this.#byKey.get(key);
      if (some === undefined) this.#byKey.set(key, new Set([held]));
      else some.add(held);
    }
    return () => this.#remove(held);
  }

  /** False where it was not there any more. */
  #remove(held: Held): boolean {
    if (!this.#all.delete(held)) return false;
    for (const key of keysOf(held)) {
      const some = this.#byKey.get(key);
      some?.delete(held);
      if (some?.size === 0) this.#byKey.delete(key);
    }
    return true;
  }
}

const keysOf = ({ token, tool }: Held): readonly string[] =>
  tool === undefined ? token.names : [...token.names, ...tool.names];
