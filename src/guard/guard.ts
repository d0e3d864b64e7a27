/** What an enforcement point imports: it holds the table, keeps it in step with the feed, and says whether a call may go on. */
import { createHash, randomBytes } from 'node:crypto';
import { formatHex } from '../core/bytes.js';
import type { ErrorCode } from '../core/error.js';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import type { TokenFacts } from '../protocol/token-keys.js';
import { check, KnownTool, KnownToken, type Decision } from './check.js';
import { Connection } from './connection.js';
import { GuardCore, type Floor, type Membership } from './core.js';
import { readClaims, STANDARD, summarize, type ClaimSet, type Mapping } from './mapping.js';
import { nodeClock } from './node-clock.js';
import { step, type Effect, type Input } from './step.js';

export interface GuardConfig {
  /** `https://keelson.example` */
  readonly url: string;
  readonly membership: Membership;
  /** From claims to what is asked of the table; `STANDARD` where absent. */
  readonly mapping?: Mapping;
  /** How far the instance had come before. */
  readonly floor?: Floor;
  /** Milliseconds; only ever lowers what is committed for a tool. */
  readonly maxStalenessMs?: number;
  /** How far issuers' clocks may differ, milliseconds. */
  readonly skewMs?: number;
  /** Told of what went wrong, for logs: codes and errors, no secrets. */
  readonly onProblem?: (problem: ErrorCode | Error) => void;
}

/**
 * Shows the host's own middleware a canary: resolves with whether it was refused by the table. It must not be let in by what the probe does
 * besides, and nothing must happen if it is let in.
 */
export type Probe = (canary: KnownToken) => boolean | Promise<boolean>;

/** Something that ends when what it stands on is revoked. */
export interface Session {
  /** Aborts then, with the refusal as its reason. */
  readonly signal: AbortSignal;
  close(): void;
}

interface OpenSession {
  readonly token: KnownToken;
  readonly tool: KnownTool | undefined;
  readonly controller: AbortController;
}

const TICK_MS = 250;
const MAX_TOOLS = 10_000;

export class Guard {
  readonly core: GuardCore;
  readonly #config: GuardConfig;
  readonly #mapping: Mapping;
  readonly #connection: Connection;
  readonly #tools = new Map<string, KnownTool>();
  readonly #sessions = new Map<string, Set<OpenSession>>();
  readonly #probes = new Map<string, Probe>();
  #timer: NodeJS.Timeout | undefined;

  constructor(config: GuardConfig) {
    this.#config = config;
    const { membership, mapping = STANDARD, floor, maxStalenessMs, skewMs } = config;
    this.#mapping = mapping;
    this.core = new GuardCore({
      hasher: nodeHasher,
      verifier: nodeVerifier,
      membership,
      mapping: summarize(nodeHasher, mapping),
      clock: nodeClock,
      ...(floor === undefined ? {} : { floor }),
      ...(maxStalenessMs === undefined ? {} : { maxStalenessUs: maxStalenessMs * 1000 }),
      ...(skewMs === undefined ? {} : { skewUs: skewMs * 1000 }),
    });
    this.#connection = new Connection({
      url: config.url,
      membership,
      seq: () => this.core.table?.seq ?? this.core.seq,
      hear: (bytes) => this.hear(bytes),
      onOpen: () => this.#step({ kind: 'connected' }),
      onProblem: (error) => this.#tell(error instanceof Error ? error : new Error(String(error))),
    });
  }

  /** Connects, and stays so. Everything is refused until the table is there and a grant for it. */
  start(): void {
    this.#connection.open();
    this.#timer = setInterval(() => this.#step({ kind: 'tick', random: randomBytes(16) }), TICK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#connection.close();
    this.core.lease = undefined;
  }

  /**
   * A token by the claims that the host has verified, its keys derived once: keep it as long as the token is cached.
   * @param token the token itself, so that it can be revoked by its digest, too; it is not kept.
   */
  token(claims: ClaimSet, token?: string): KnownToken {
    const digest = token === undefined ? undefined : createHash('sha256').update(token).digest('hex');
    return this.tokenOf(readClaims(this.#mapping, claims, digest));
  }

  /** A token by what is known of it: an opaque one, say. */
  tokenOf(facts: TokenFacts): KnownToken {
    return KnownToken.of(this.core, facts);
  }

  /** Whether revocation speaks against a call. Synchronous, and without I/O. @param tool that it calls */
  check(token: KnownToken, tool?: string): Decision {
    return check(this.core, token, tool === undefined ? undefined : this.#tool(tool));
  }

  /** Follows something that goes on under a token: it ends as soon as the token would be refused by the table. */
  session(token: KnownToken, tool?: string): Session {
    const session: OpenSession = {
      token,
      tool: tool === undefined ? undefined : this.#tool(tool),
      controller: new AbortController(),
    };
    const names = token.keys.map(formatHex);
    for (const name of names) {
      const open = this.#sessions.get(name);
      if (open === undefined) this.#sessions.set(name, new Set([session]));
      else open.add(session);
    }
    const close = (): void => {
      for (const name of names) {
        const open = this.#sessions.get(name);
        open?.delete(session);
        if (open?.size === 0) this.#sessions.delete(name);
      }
    };
    session.controller.signal.addEventListener('abort', close);
    return { signal: session.controller.signal, close };
  }

  /** A message of the feed, by whatever way it came. */
  hear(bytes: Uint8Array): void {
    this.#step({ kind: 'message', bytes });
  }

  /**
   * A way through the host's middleware. What the guard attests was refused by all of them; without any it asks itself, which proves less.
   * Returns how to take it away. @param name another probe of it is replaced.
   */
  addProbe(probe: Probe, name = `probe ${this.#probes.size}`): () => void {
    this.#probes.set(name, probe);
    return () => {
      if (this.#probes.get(name) === probe) this.#probes.delete(name);
    };
  }

  #tool(name: string): KnownTool {
    let tool = this.#tools.get(name);
    if (tool === undefined) {
      if (this.#tools.size >= MAX_TOOLS) this.#tools.clear();
      tool = new KnownTool(this.core, name);
      this.#tools.set(name, tool);
    }
    return tool;
  }

  /** A host that can't take it keeps the guard from nothing. */
  #tell(problem: ErrorCode | Error): void {
    try {
      this.#config.onProblem?.(problem);
    } catch {
      // It was told.
    }
  }

  #step(input: Input): void {
    for (const effect of step(this.core, input)) this.#act(effect);
  }

  #act(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#connection.send(effect.bytes);
      case 'fetch':
        if (effect.what === 'snapshot') void this.#connection.fetchSnapshot();
        else this.#connection.reopen();
        return;
      case 'changed':
        return this.#end(effect.keys.map(formatHex));
      case 'replaced':
        return this.#end([...this.#sessions.keys()]);
      case 'probe':
        return void this.#probe(effect.seq, effect.issuedAtUs);
      case 'rejected':
        return this.#tell(effect.code);
    }
  }

  /** Ends the sessions on these keys that the table refuses now. */
  #end(names: readonly string[]): void {
    const { table, skewUs } = this.core;
    if (table === undefined) return;
    let count = 0;
    for (const name of names) {
      for (const { token, tool, controller } of this.#sessions.get(name) ?? []) {
        const refusal = token.verdict(table, skewUs) ?? tool?.verdict(table, token.issuedAtUs, skewUs);
        if (refusal === undefined || controller.signal.aborted) continue;
        count++;
        controller.abort(refusal);
      }
    }
    if (count > 0) this.#step({ kind: 'aborted', count });
  }

  async #probe(seq: number, issuedAtUs: number): Promise<void> {
    const canary = KnownToken.ofKeys([this.core.canaryKey], issuedAtUs);
    try {
      const { table } = this.core;
      let refused = table !== undefined && canary.verdict(table, this.core.skewUs) !== undefined;
      for (const probe of this.#probes.values()) refused &&= await probe(canary);
      if (refused) this.#step({ kind: 'canary_refused', seq });
      else this.#tell(new Error(`the canary of ${seq} was not refused by the table`));
    } catch (error) {
      this.#tell(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
