/**
 * Telling others: signed calls that are repeated until they are taken. `publish` resolves when a message is durable; from then on it is
 * delivered at least once to every endpoint that wants its type, always under the same `webhook-id`, whichever process makes the
 * attempt. Of several processes one at a time sends to an endpoint: it holds a claim, which runs out where it dies.
 */
import { createHash, randomUUID } from 'node:crypto';
import { Counter, Gauge, type Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp, stringifyJson, type JsonObject } from '../events/index.js';
import { pause } from '../eventlog/back-off.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import { lengthPrefixed } from '../vault/bytes.js';
import { judge, send, type Outcome } from './attempt.js';
import type { Endpoint } from './endpoints.js';
import { Queue, type EndpointRow, type Waiting } from './queue.js';
import type { WebhookSettings } from './settings.js';

/** What is told. */
export interface Message {
  /** `revocation.overdue`: words joined by dots. */
  readonly type: string;
  /** When it happened, microseconds since 1970 UTC. */
  readonly timestampUs: bigint;
  readonly data: JsonObject;
  /** What it is about: a second message of the same type and key is the first one again, and is not sent. */
  readonly key: string;
}

export interface WebhooksOptions {
  readonly endpoints: readonly Endpoint[];
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly settings: WebhookSettings;
}

const BODY_BYTES = 256 * 1024;
/** How often a process looks whether something is due. */
const LOOK_MS = 1_000;
/** A claim outlives an attempt by this. */
const CLAIM_MORE_MS = 10_000;
/** What has ended is remembered for so long, so that it is not told again. */
const REMEMBER_US = 30n * 86_400_000_000n;

export class Webhooks {
  readonly #queue: Queue;
  readonly #process = randomUUID();
  readonly #stopping = new AbortController();
  readonly #registered = new Set<Endpoint>();
  readonly #attempts: Counter<'endpoint' | 'outcome'>;
  readonly #lost: Counter<'endpoint' | 'why'>;
  #wake = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: WebhooksOptions) {
    const { metrics, endpoints } = options;
    this.#queue = new Queue(options.database);
    this.#attempts = new Counter({
      name: 'keelson_webhooks_attempts_total',
      help: 'Attempts to deliver webhooks: delivered, refused, unreachable',
      labelNames: ['endpoint', 'outcome'] as const,
      registers: [metrics],
    });
    this.#lost = new Counter({
      name: 'keelson_webhooks_undelivered_total',
      help: 'Webhooks that were given up (attempts, age), or not kept (full)',
      labelNames: ['endpoint', 'why'] as const,
      registers: [metrics],
    });
    const queue = this.#queue;
    new Gauge({
      name: 'keelson_webhooks_waiting',
      help: 'Webhooks that are not delivered yet',
      labelNames: ['endpoint'] as const,
      registers: [metrics],
      async collect() {
        if (endpoints.length === 0) return;
        const rows = await queue.list().catch(() => []);
        for (const { id, waiting } of rows) this.set({ endpoint: id }, Number(waiting));
      },
    });
  }

  /** The configured endpoints and how each is doing, as every process sees it. */
  async list(): Promise<readonly { readonly endpoint: Endpoint; readonly row: EndpointRow }[]> {
    const rows = new Map((await this.#queue.list()).map((row) => [row.id, row]));
    return this.options.endpoints.flatMap((endpoint) => {
      const row = rows.get(endpoint.id);
      return row === undefined ? [] : [{ endpoint, row }];
    });
  }

  /** Sends to an endpoint again that was disabled. @throws KeelsonError `not_found` */
  async enable(id: string): Promise<void> {
    if (!this.options.endpoints.some((one) => one.id === id) || !(await this.#queue.enable(id))) {
      throw new KeelsonError('not_found', 'there is no such endpoint');
    }
    this.#wake.abort();
  }

  /** @throws KeelsonError `database_unavailable`: it may be queued; publishing it again does no harm. */
  async publish({ type, timestampUs, data, key }: Message): Promise<void> {
    const { endpoints, clock, logger, settings } = this.options;
    const told = endpoints.filter(({ types }) => types === undefined || types.has(type));
    if (told.length === 0) return;
    for (const endpoint of told) await this.#register(endpoint);
    const body = stringifyJson({ type, timestamp: formatTimestamp(timestampUs), data });
    if (Buffer.byteLength(body) > BODY_BYTES) throw new Error(`a webhook may have ${BODY_BYTES} bytes`);
    const digest = createHash('sha256').update(lengthPrefixed(type, key)).digest('hex');
    const message = { id: `msg_${digest.slice(0, 32)}`, type, body, atUs: clock.nowUs() };
    const ids = told.map(({ id }) => id);
    for (const endpoint of await this.#queue.put(ids, message, settings.KEELSON_WEBHOOKS_QUEUE)) {
      this.#lost.inc({ endpoint, why: 'full' });
      logger.error({ endpoint, type }, 'webhooks: the queue is full; this one is not kept');
    }
    this.#wake.abort();
  }

  /** Begins to send. */
  start(): void {
    this.#running = Promise.all(this.options.endpoints.map((endpoint) => this.#serve(endpoint)));
  }

  /** Ends the attempts that are under way; what was not answered is tried again by somebody else. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    await this.#running;
    await this.#queue.release(this.#process).catch(() => undefined);
  }

  /** Gives up what nobody took in time, and forgets what ended long ago. Answers how many were given up. */
  async tidy(): Promise<number> {
    const nowUs = this.options.clock.nowUs();
    const ageUs = BigInt(this.options.settings.KEELSON_WEBHOOKS_AGE_S) * 1_000_000n;
    return this.#queue.tidy(nowUs, nowUs - ageUs, nowUs - REMEMBER_US);
  }

  async #register(endpoint: Endpoint): Promise<void> {
    if (this.#registered.has(endpoint)) return;
    await this.#queue.register(endpoint);
    this.#registered.add(endpoint);
  }

  async #serve(endpoint: Endpoint): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      const wake = this.#wake.signal;
      try {
        await this.#register(endpoint);
        while (!signal.aborted && (await this.#round(endpoint))) continue;
      } catch (error) {
        this.options.logger.warn({ err: error, endpoint: endpoint.id }, 'webhooks: tried again');
      }
      await pause(LOOK_MS, wake);
    }
  }

  /** Makes one attempt; false where nothing is due, or another process sends. */
  async #round(endpoint: Endpoint): Promise<boolean> {
    const { clock, settings } = this.options;
    const timeoutMs = settings.KEELSON_WEBHOOKS_TIMEOUT_MS;
    const claimMs = timeoutMs + CLAIM_MORE_MS;
    const nowUs = clock.nowUs();
    const message = await this.#queue.claim(
      endpoint.id,
      this.#process,
      claimMs,
      nowUs,
      nowUs + BigInt(claimMs) * 1000n,
    );
    if (message === undefined) return false;
    const outcome = await send(endpoint, message, Number(nowUs / 1_000_000n), timeoutMs, this.#stopping.signal);
    // An attempt that was cut off because we stop says nothing of the endpoint.
    if (outcome.kind === 'unreachable' && this.#stopping.signal.aborted) return false;
    await this.#settle(endpoint.id, message, outcome);
    return true;
  }

  async #settle(endpoint: string, { id, attempts, madeAtUs }: Waiting, outcome: Outcome): Promise<void> {
    const { clock, logger, settings } = this.options;
    const atUs = clock.nowUs();
    const retryMs = settings.KEELSON_WEBHOOKS_RETRY_MS;
    const verdict = judge(outcome, attempts, retryMs, Number(atUs / 1000n), Math.random());
    const text = outcome.kind === 'answered' ? String(outcome.status) : outcome.why;
    const after = (ms: number): bigint => atUs + BigInt(Math.ceil(ms)) * 1000n;
    const isOld = after(verdict.againMs) > madeAtUs + BigInt(settings.KEELSON_WEBHOOKS_AGE_S) * 1_000_000n;
    const why = attempts >= settings.KEELSON_WEBHOOKS_ATTEMPTS ? 'attempts' : isOld ? 'age' : undefined;
    const state = verdict.delivered ? 'delivered' : why === undefined ? 'waiting' : 'failed';
    await this.#queue.settle(endpoint, id, {
      state,
      outcome: text,
      atUs,
      nextAtUs: after(verdict.againMs),
      pausedUntilUs: verdict.pauseMs === 0 ? 0n : after(verdict.pauseMs),
      disable: verdict.disable,
    });
    const kind = verdict.delivered ? 'delivered' : outcome.kind === 'answered' ? 'refused' : 'unreachable';
    this.#attempts.inc({ endpoint, outcome: kind });
    if (verdict.disable) logger.error({ endpoint }, 'webhooks: the endpoint says it is gone; it is disabled');
    if (state === 'failed' && why !== undefined) {
      this.#lost.inc({ endpoint, why });
      logger.error({ endpoint, id, attempts, outcome: text }, 'webhooks: given up');
    } else if (!verdict.delivered) logger.warn({ endpoint, id, attempts, outcome: text }, 'webhooks: not taken');
  }
}
