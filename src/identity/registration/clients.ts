/** Clients against the allow-list: ids as they are, and HTTPS URLs whose documents say the same. */
import type { Clock } from '../../platform/clock.js';
import { isClientUrl } from './client-url.js';
import type { ClientRules } from './configuration.js';
import { Busy, Failure, type Known } from './finding.js';
import { matches } from './manifest.js';
import { fetchMetadata } from './metadata-document.js';

const CACHED_MAX = 1_000;
const CACHED_MS = 300_000;
/** Documents that are asked for at the same time: those that do not come keep nobody waiting but others of their kind. */
const ASKED_AT_ONCE = 8;

export class Clients {
  /** Documents that held, and until when they need not be asked again; oldest first. */
  readonly #held = new Map<string, number>();
  #rules: ClientRules | undefined;
  #asked = 0;

  constructor(private readonly clock: Pick<Clock, 'monotonicMs'>) {}

  /** @throws Failure; `Unavailable` where the document has to be asked for again; `Busy` where it was not asked for */
  async verify(client: string, rules: ClientRules, known: Known): Promise<void> {
    if (rules !== this.#rules) {
      this.#held.clear();
      this.#rules = rules;
    }
    if (rules.ids.has(client)) return;
    if (!isClientUrl(client) || !rules.documents.some((pattern) => matches(pattern, client))) {
      throw new Failure('client_not_approved', 'not on the list of approved clients');
    }
    known.method = 'metadata_document';
    const nowMs = this.clock.monotonicMs();
    const until = this.#held.get(client);
    if (until !== undefined && until > nowMs) return;
    await this.#ask(client, rules);
    this.#held.delete(client);
    this.#held.set(client, nowMs + CACHED_MS);
    if (this.#held.size > CACHED_MAX) this.#held.delete(this.#held.keys().next().value!);
  }

  async #ask(client: string, rules: ClientRules): Promise<void> {
    if (this.#asked >= ASKED_AT_ONCE) throw new Busy('too many documents are asked for');
    this.#asked++;
    try {
      await fetchMetadata(client, rules);
    } finally {
      this.#asked--;
    }
  }
}
