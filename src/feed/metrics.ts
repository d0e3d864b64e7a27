/** What the feed tells of itself to whoever watches it; docs/feed.md lists it. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';

/** Why the server cut a connection off. */
export type CutOff = 'slow' | 'silent' | 'flood' | 'malformed' | 'retired' | 'replaced';

export class FeedMetrics {
  readonly #grants: Counter;
  readonly #acks: Counter;
  readonly #refusals: Counter<'code'>;
  readonly #cutOff: Counter<'why'>;

  constructor(private readonly registry: Registry) {
    const registers = [registry];
    this.#grants = new Counter({ name: 'keelson_feed_grants_total', help: 'Leases granted', registers });
    this.#acks = new Counter({ name: 'keelson_feed_acks_total', help: 'Acks taken', registers });
    this.#refusals = new Counter({
      name: 'keelson_feed_refusals_total',
      help: 'What instances, or who would be one, asked and did not get, by code',
      labelNames: ['code'],
      registers,
    });
    this.#cutOff = new Counter({
      name: 'keelson_feed_cut_off_total',
      help: 'Connections that this process ended, by why',
      labelNames: ['why'],
      registers,
    });
  }

  granted(): void {
    this.#grants.inc();
  }

  acked(): void {
    this.#acks.inc();
  }

  refused(code: string): void {
    this.#refusals.inc({ code });
  }

  cutOff(why: CutOff): void {
    this.#cutOff.inc({ why });
  }

  /** A figure that is read when it is asked for; undefined: there is none now. */
  gauge(name: string, help: string, read: () => number | undefined): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.registry],
      collect: () => {
        const value = read();
        if (value === undefined) gauge.reset();
        else gauge.set(value);
      },
    });
  }

  /** Counts what the routes of the feed refuse; to be called before they are registered. */
  watch(http: Http): void {
    http.addHook('onError', async ({ routeOptions: { url } }, _reply, error: unknown) => {
      if (url?.startsWith('/v1/feed') === true) this.refused(error instanceof KeelsonError ? error.code : 'other');
    });
  }
}
