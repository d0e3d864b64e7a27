/**
 * Decisions on their way to the ledger: taken at once, sent in batches, again until they are there. Each carries an id, an epoch (of this
 * process) and a contiguous number in it; one that could not be kept leaves its number out, so that the ledger shows a gap.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardCore } from './core.js';
import { Spool } from './spool.js';

export interface PublisherOptions {
  /** `https://keelson.example` */
  readonly url: string;
  /** An API token with the scope `publish:decisions`. */
  readonly token: string;
  /** The point that this process belongs to. */
  readonly point: string;
  /** For this process alone. */
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

export interface PublisherCounts {
  readonly taken: number;
  readonly sent: number;
  /** Not kept: the spool was full, or the disk. */
  readonly lost: number;
  /** Kept by the server as what it can't read. */
  readonly quarantined: number;
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

  /** Takes a decision; never waits and never throws. False where it could not be kept. */
  publish(decision: PublishedDecision): boolean {
    const { lease, time, table, options } = this.#core;
    const { instance, generation } = options.membership;
    const sequence = this.#sequence++;
    const name = Buffer.from(instance).toString('hex');
    const event = {
      timestamp: new Date().toISOString(),
      point: this.#options.point,
      ...decision,
      id: `${name}/${this.#epoch}/${sequence}`,
      epoch: this.#epoch,
      sequence,
      enforcement: {
        instance: name,
        generation,
        seq: table?.seq ?? 0,
        ...(lease === undefined ? {} : { leaseAgeMs: Math.round((time.sinceUs(lease.sent) + lease.readAgeUs) / 1000) }),
      },
    };
    const kept = this.#spool.add(format(event));
    if (!kept) this.#lost++;
    return kept;
  }

  get counts(): PublisherCounts {
    return {
      taken: this.#sequence,
      sent: this.#sent,
      lost: this.#lost,
      quarantined: this.#quarantined,
      waitingBytes: this.#spool.bytes,
    };
  }

  /** Stops sending; what waits is sent by the next process with this folder. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#spool.close();
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

/** What JSON can't hold is told as text: a decision is never lost for a member of it. */
const format = (event: object): string =>
  JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).then(
    () => undefined,
    () => undefined,
  );
