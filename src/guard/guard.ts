/** What an enforcement point imports: it holds the table, keeps it in step with the feed, and says whether a call may go on. */
import { createHash, randomBytes } from 'node:crypto';
import { formatHex } from '../core/bytes.js';
import type { ErrorCode } from '../core/error.js';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import type { TokenFacts } from '../protocol/token-keys.js';
import { check, distrustOf, KnownTool, KnownToken, type Decision } from './check.js';
import { Connection, type TransportChoice } from './connection.js';
import { GuardCore, type Membership } from './core.js';
import { Endings } from './endings.js';
import { declareFailOpen } from './fail-open.js';
import type { Revoked, Session } from './holdings.js';
import { readClaims, STANDARD, summarize, type ClaimSet, type Mapping } from './mapping.js';
import { Counters, type GuardMetrics } from './metrics.js';
import { Memory } from './memory.js';
import { nodeClock } from './node-clock.js';
import { Orders } from './orders.js';
import { Publisher, type DecidedOn, type PublishedDecision, type PublisherOptions } from './publisher.js';
import { step, type Effect, type Input } from './step.js';

export interface GuardConfig {
  /** `https://keelson.example` */
  readonly url: string;
  readonly membership: Membership;
  /** From claims to what is asked of the table; `STANDARD` where absent. */
  readonly mapping?: Mapping;
  /** For this process alone: how far it has come, and what the feed said, over a restart. Without one it knows nothing of before. */
  readonly folder?: string;
  /** How the feed is heard; `auto` where absent. */
  readonly transport?: TransportChoice;
  /** Milliseconds; only ever lowers what is committed for a tool. */
  readonly maxStalenessMs?: number;
  /** How far issuers' clocks may differ, milliseconds. */
  readonly skewMs?: number;
  /**
   * Tools that are called although nobody can tell whether they may be (`starting`, `stale`); `*` is all of them. What the table refuses is
   * refused all the same. Such a point is `unfenced`: the ledger is told, and until it is, they don't fail open.
   */
  readonly failOpen?: readonly string[];
  /** Which of them the ledger was told of before, and who remembers that it is. */
  readonly failOpenDeclared?: readonly string[];
  readonly onFailOpenDeclared?: (tools: readonly string[]) => Promise<void> | void;
  /** Where decisions go; without it they go nowhere. */
  readonly publish?: Omit<PublisherOptions, 'url' | 'onProblem'>;
  /** Called last when the guard is closed. */
  readonly onClosed?: () => Promise<void>;
  /** Told of what went wrong, for logs: codes and errors, no secrets. */
  readonly onProblem?: (problem: ErrorCode | Error) => void;
}

/**
 * Shows the host's own middleware a canary: resolves with whether it was refused by the table. It must not be let in by what the probe does
 * besides, and nothing must happen if it is let in.
 */
export type Probe = (canary: KnownToken) => boolean | Promise<boolean>;

const TICK_MS = 250;
const MAX_TOOLS = 10_000;
/** What can't be verified may be signed by newer feed keys; those come with a new connection, which is not made more often. */
const REFRESH_MS = 5_000;

export class Guard {
  readonly core: GuardCore;
  readonly publisher: Publisher | undefined;
  readonly #config: GuardConfig;
  readonly #mapping: Mapping;
  readonly #connection: Connection;
  readonly #orders: Orders;
  readonly #memory: Memory | undefined;
  readonly #endings: Endings;
  readonly #counters = new Counters();
  readonly #tools = new Map<string, KnownTool>();
  readonly #probes = new Map<string, Probe>();
  readonly #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #refreshedMs = -Infinity;
  #starting: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(config: GuardConfig) {
    this.#config = config;
    const { url, membership, mapping = STANDARD, folder, transport = 'auto', maxStalenessMs, skewMs, publish } = config;
    this.#mapping = mapping;
    this.core = new GuardCore({
      hasher: nodeHasher,
      verifier: nodeVerifier,
      membership,
      mapping: summarize(nodeHasher, mapping),
      clock: nodeClock,
      ...(maxStalenessMs === undefined ? {} : { maxStalenessUs: maxStalenessMs * 1000 }),
      ...(skewMs === undefined ? {} : { skewUs: skewMs * 1000 }),
    });
    const onProblem = (error: unknown): void => this.#tell(error instanceof Error ? error : new Error(String(error)));
    this.#endings = new Endings(this.core, {
      onAborted: (count) => {
        this.#counters.aborted += count;
        this.#step({ kind: 'aborted', count });
      },
      onProblem,
    });
    this.#memory = folder === undefined ? undefined : new Memory(folder, this.core, onProblem);
    this.publisher = publish === undefined ? undefined : new Publisher(this.core, { ...publish, url, onProblem });
    this.#orders = new Orders({ url, membership }, this.core.canaryKey, onProblem);
    this.#connection = new Connection({
      url,
      membership,
      transport,
      seq: () => this.core.table?.seq ?? this.core.seq,
      floor: () => this.core.seq,
      hear: (bytes) => this.hear(bytes),
      onSeek: () => this.#step({ kind: 'sought' }),
      onOpen: () => this.#opened(),
      onAlive: () => this.#step({ kind: 'alive' }),
      onProblem,
    });
  }

  /** Reads what is on disk, connects, and stays so. Everything is refused until the table is there and a grant for it. */
  start(): void {
    this.#starting ??= this.#start();
  }

  /** Resolves once calls may be allowed: for whoever starts, and for readiness probes. Never where it is closed before. */
  ready(): Promise<void> {
    if (this.#mayAllow()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Refuses everything from now on; resolves when what it keeps is on disk. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.core.failOpen = new Set();
    clearInterval(this.#timer);
    this.#connection.close();
    this.#orders.close();
    this.core.lease = undefined;
    await this.#starting;
    await Promise.all([this.#memory?.close(), this.publisher?.close()]);
    await this.#config.onClosed?.();
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
    const decision = check(this.core, token, tool === undefined ? undefined : this.#tool(tool));
    this.#counters.count(decision);
    return decision.allowed ? decision : this.#orders.name(decision);
  }

  /**
   * Follows something that goes on under a token: it ends as soon as the table refuses the token or the tool, or the table is too old to say
   * that it does not.
   */
  session(token: KnownToken, tool?: string): Session {
    return this.#endings.open(token, tool === undefined ? undefined : this.#tool(tool));
  }

  /** Follows a token that the host has cached, so that `onRevoked` tells when to drop it. Returns how to forget it. */
  keep(token: KnownToken): () => void {
    return this.#endings.keep(token);
  }

  /** Tells what is to be dropped: cached tokens that were given to `keep`, sessions that were aborted. Returns how to stop. */
  onRevoked(listener: (revoked: Revoked) => void): () => void {
    return this.#endings.onRevoked(listener);
  }

  /** Records a decision, where the guard is told where to; never waits and never throws. False where it could not be kept. */
  publish(decision: PublishedDecision, on?: DecidedOn): boolean {
    return this.publisher?.publish(decision, on) ?? false;
  }

  /** How it is doing, at this moment. `formatMetrics` makes Prometheus text of it. */
  metrics(): GuardMetrics {
    return this.#counters.metrics(this.core, this.#connection.state, this.#endings.holdings, this.publisher?.counts);
  }

  /** A message of the feed, by whatever way it came. */
  hear(bytes: Uint8Array): void {
    this.#step({ kind: 'message', bytes });
  }

  /** Time went on: asks for a grant when it is time to, and ends what nobody can vouch for. Happens by itself once it is started. */
  tick(): void {
    this.#step({ kind: 'tick', random: randomBytes(16) });
    this.#endings.endStale();
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

  async #start(): Promise<void> {
    await this.#memory?.load();
    if (this.#stopping.signal.aborted) return;
    void this.#failOpen();
    this.#connection.open();
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  /** A host that can't take it keeps the guard from nothing. */
  #tell(problem: ErrorCode | Error): void {
    try {
      this.#config.onProblem?.(problem);
    } catch {
      // It was told.
    }
  }

  #opened(): void {
    this.#step({ kind: 'connected' });
    this.tick();
  }

  #step(input: Input): void {
    const effects = step(this.core, input);
    this.#memory?.remember(input, effects);
    for (const effect of effects) this.#act(effect);
    if (this.#waiting.length === 0 || !this.#mayAllow()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #mayAllow(): boolean {
    this.core.time.read();
    return distrustOf(this.core, undefined) === undefined;
  }

  #act(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#connection.send(effect.bytes);
      case 'ping':
        return this.#connection.ping();
      case 'reconnect':
        return this.#connection.giveUp();
      case 'fetch':
        if (effect.what === 'snapshot') void this.#connection.fetchSnapshot();
        else this.#connection.refresh();
        return;
      case 'changed':
        return this.#endings.end(effect.keys.map(formatHex));
      case 'replaced':
        return this.#endings.end(undefined);
      case 'probe':
        return void this.#probe(effect.seq, effect.issuedAtUs);
      case 'rejected':
        return this.#reject(effect.code);
    }
  }

  #reject(code: ErrorCode): void {
    this.#counters.reject(code);
    this.#tell(code);
    const nowMs = performance.now();
    if (code !== 'bad_signature' || nowMs - this.#refreshedMs < REFRESH_MS) return;
    this.#refreshedMs = nowMs;
    this.#connection.refresh();
  }

  async #failOpen(): Promise<void> {
    const { url, membership, failOpen = [], failOpenDeclared = [], onFailOpenDeclared } = this.#config;
    const { signal } = this.#stopping;
    const options = {
      address: { url, membership },
      wanted: failOpen,
      declared: failOpenDeclared,
      onChange: (tools: ReadonlySet<string>) => {
        if (!signal.aborted) this.core.failOpen = tools;
      },
      onDeclared: (tools: readonly string[]) => onFailOpenDeclared?.(tools),
      onProblem: (error: unknown) => this.#tell(error instanceof Error ? error : new Error(String(error))),
    };
    await declareFailOpen(options, signal).catch(options.onProblem);
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
