/**
 * Decisions on their way to the ledger: taken at once, sent in batches, again until they are there. Each carries an id, an epoch (of this
 * process) and a contiguous number in it; one that could not be kept leaves its number out, so that the ledger shows a gap.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHex } from '../core/bytes.js';
import type { KnownToken } from './check.js';
import type { GuardCore } from './core.js';
import { describeToken } from './describe.js';
import { Spool } from './spool.js';

export interface PublisherOptions {
  /** `https://keelson.example` */
  readonly url: string;
  /** An API token with the scope `publish:decisions`. */
  readonly token: string;
  /** The point that this process belongs to. */
  readonly point: string;
  /** For this process alone, on a disk of this machine: a decision is written there before it counts as taken. */
  readonly spoolFolder: string;
  /** What may wait; 64 MiB where absent. */
  readonly maxSpoolBytes?: number;
  readonly onProblem?: (error: Error) => void;
}

/** Members of a `decision.made`: docs/events.md. */
export interface PublishedDecision {
  readonly decision: 'allow' | 'deny';
  readonly [member: string]: unknown;
}

/** What a decision is about, for what is stamped on it. */
export interface DecidedOn {
  readonly token?: KnownToken | undefined;
  /** Of `check`, or why it was not asked. */
  readonly verdict?:
    | { readonly allowed: true; readonly unfenced?: string }
    | { readonly allowed: false; readonly reason: string }
    | undefined;
}

export interface PublisherCounts {
  readonly taken: number;
  readonly sent: number;
  /** Not kept, for the spool was full, or the disk: their numbers are missing in the ledger, which shows the gap. */
  readonly lost: number;
  /** Kept by the server as what it can't read. */
  readonly quarantined: number;
  readonly waiting: number;
  readonly waitingBytes: number;
}

const BATCH = 500;
const LOOK_MS = 50;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 15_000;
const TIMEOUT_MS = 30_000;

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #core: GuardCore;
  readonly #spool: Spool;
  readonly #epoch = Date.now();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #sequence = 0;
  #sent = 0;
  #lost = 0;
  #quarantined = 0;
  #retryMs = FIRST_RETRY_MS;

  constructor(core: GuardCore, options: PublisherOptions) {
    this.#options = options;
    this.#core = core;
    this.#spool = new Spool({ folder: options.spoolFolder, maxBytes: options.maxSpoolBytes ?? 64 << 20 });
    this.#running = this.#run();
  }

  /**
   * Takes a decision; never waits for a network, and never throws. True: it is in a file, and outlives this process however it ends. False:
   * it could not be kept.
   * @param decision what the host knows of it; goes before what the token says
   */
  publish(decision: PublishedDecision, { token, verdict }: DecidedOn = {}): boolean {
    const core = this.#core;
    const { instance, generation } = core.options.membership;
    const sequence = this.#sequence++;
    const name = formatHex(instance);
    const event = {
      timestamp: new Date().toISOString(),
      point: this.#options.point,
      ...(token?.facts === undefined ? {} : describeToken(token.facts)),
      ...(verdict?.allowed === false ? { reason_codes: [verdict.reason] } : {}),
      ...decision,
      id: `${name}/${this.#epoch}/${sequence}`,
      epoch: this.#epoch,
      sequence,
      enforcement: {
        instance: name,
        generation,
        seq: core.table?.seq ?? 0,
        ...(core.lease === undefined ? {} : { leaseAgeMs: Math.round(core.leaseAgeUs / 1000) }),
        ...(verdict === undefined ? {} : { verdict: formatVerdict(verdict) }),
      },
    };
    const kept = this.#keep(event);
    if (!kept) this.#lost++;
    return kept;
  }

  get counts(): PublisherCounts {
    return {
      taken: this.#sequence,
      sent: this.#sent,
      lost: this.#lost,
      quarantined: this.#quarantined,
      waiting: this.#spool.lines,
      waitingBytes: this.#spool.bytes,
    };
  }

  /** Stops sending; what waits is sent by the next process with this folder. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#spool.close();
  }

  #keep(event: object): boolean {
    try {
      return this.#spool.add(format(event));
    } catch {
      // What JSON can't hold: a circle, a member that throws.
      return false;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#sendAll();
        this.#retryMs = FIRST_RETRY_MS;
        await pause(LOOK_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
        await pause(this.#retryMs * (0.5 + Math.random()), signal);
        this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
      }
    }
  }

  async #sendAll(): Promise<void> {
    for (let segment = this.#spool.take(); segment !== undefined; segment = this.#spool.take()) {
      const { lines } = segment;
      for (let at = 0; at < lines.length; at += BATCH) await this.#send(lines.slice(at, at + BATCH));
      segment.done();
    }
  }

  async #send(lines: readonly string[]): Promise<void> {
    const answer = await fetch(new URL('/v1/decisions', this.#options.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#options.token}`, 'content-type': 'application/json' },
      body: `[${lines.join(',')}]`,
      signal: AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    // One alone that is too large will never be taken.
    if (answer.status === 413 && lines.length === 1) return void this.#quarantined++;
    if (answer.status === 413) {
      await this.#send(lines.slice(0, lines.length / 2));
      return this.#send(lines.slice(lines.length / 2));
    }
    if (!answer.ok) throw new Error(`decisions wait: HTTP ${answer.status} ${(await answer.text()).slice(0, 200)}`);
    const { accepted, quarantined } = (await answer.json()) as { accepted: number; quarantined: number };
    this.#sent += accepted;
    this.#quarantined += quarantined;
  }
}

/** `unfenced`: allowed only because the tool fails open. */
const formatVerdict = (verdict: NonNullable<DecidedOn['verdict']>): string =>
  verdict.allowed ? (verdict.unfenced === undefined ? 'allowed' : 'unfenced') : verdict.reason;

/** What JSON can't hold is told as text: a decision is never lost for a member of it. */
const format = (event: object): string =>
  JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).then(
    () => undefined,
    () => undefined,
  );
