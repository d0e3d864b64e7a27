/**
 * Who calls, and what they may: `createAccess` gives the HTTP server its `Authenticate`, and intake the configuration of a
 * producer. Both come out of bounded caches (stale-cache.ts), so that publishing goes on while Postgres is down.
 */
import { KeelsonError } from '../core/error.js';
import type { Authenticate, Caller } from '../http/caller.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { Producer } from './producer.js';
import type { AccessSettings } from './settings.js';
import { StaleCache } from './stale-cache.js';
import { AccessStore, type TokenRow } from './store.js';
import { hashToken, isTokenText } from './token.js';

export interface AccessOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: AccessSettings;
}

const PATIENCE_MS = 500;
/** Uses are noted this often, and no more exactly. */
const TOUCH_MS = 60_000;

interface KnownToken {
  readonly row: TokenRow;
  readonly caller: Caller;
}

export class Access {
  readonly store: AccessStore;
  readonly #clock: Clock;
  readonly #tokens: StaleCache<KnownToken>;
  readonly #producers: StaleCache<Producer>;
  #used = new Map<string, bigint>();
  #touching: NodeJS.Timeout | undefined;

  constructor(options: AccessOptions) {
    this.#clock = options.clock;
    this.store = new AccessStore(options.database);
    const shared = {
      clock: options.clock,
      freshMs: options.settings.KEELSON_TOKEN_FRESH_MS,
      graceMs: options.settings.KEELSON_TOKEN_GRACE_MS,
      patienceMs: PATIENCE_MS,
      maxEntries: options.settings.KEELSON_TOKEN_CACHE_ENTRIES,
    };
    this.#tokens = new StaleCache({ ...shared, load: (hash) => this.#loadToken(hash) });
    this.#producers = new StaleCache({ ...shared, load: (id) => this.store.findProducer(id) });
  }

  /**
   * The port of the HTTP server (RFC 6750 bearer tokens). Looked up by the token's hash, so how long a comparison takes says
   * nothing about the token.
   */
  readonly authenticate: Authenticate = (authorization) => {
    const text = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (text === undefined) throw new KeelsonError('unauthenticated', 'send a token: Authorization: Bearer kls_…');
    if (!isTokenText(text)) throw unknownToken();
    const known = this.#tokens.get(hashToken(text).toString('hex'));
    return known instanceof Promise ? known.then((token) => this.#admit(token)) : this.#admit(known);
  };

  /**
   * A producer's configuration as of the last seconds.
   * @throws KeelsonError `not_found`, `database_unavailable`.
   */
  producer(id: string): Producer | Promise<Producer> {
    const known = this.#producers.get(id);
    return known instanceof Promise ? known.then(requireProducer) : requireProducer(known);
  }

  /** Drops what is remembered of a token or producer that was changed through this process. */
  forget(changed: { tokenHash: Buffer } | { producer: string }): void {
    if ('tokenHash' in changed) this.#tokens.delete(changed.tokenHash.toString('hex'));
    else this.#producers.delete(changed.producer);
  }

  /** Writes down which tokens were used. What can't be written is kept for the next time. */
  async touch(): Promise<void> {
    clearTimeout(this.#touching);
    this.#touching = undefined;
    const used = this.#used;
    if (used.size === 0) return;
    this.#used = new Map();
    try {
      await this.store.touchTokens(used);
    } catch {
      this.#used = new Map([...used, ...this.#used]);
    }
  }

  async #loadToken(hash: string): Promise<KnownToken | undefined> {
    const row = await this.store.findToken(Buffer.from(hash, 'hex'));
    if (row === undefined) return undefined;
    const { id, producer, scopes, holder } = row;
    const caller = { tokenId: id, producer, scopes: new Set(scopes), ...(holder === null ? {} : { holder }) };
    return { row, caller };
  }

  #admit(token: KnownToken | undefined): Caller {
    if (token === undefined) throw unknownToken();
    const nowUs = this.#clock.nowUs();
    const { id, revokedAtUs, expiresAtUs } = token.row;
    if (revokedAtUs !== null) throw new KeelsonError('unauthenticated', 'this token was revoked');
    if (expiresAtUs !== null && expiresAtUs <= nowUs)
      throw new KeelsonError('unauthenticated', 'this token has expired');
    this.#used.set(id, nowUs);
    this.#touching ??= setTimeout(() => void this.touch(), TOUCH_MS).unref();
    return token.caller;
  }
}

const unknownToken = (): KeelsonError => new KeelsonError('unauthenticated', 'this token is not known here');

function requireProducer(producer: Producer | undefined): Producer {
  if (producer === undefined) throw new KeelsonError('not_found', 'there is no such producer');
  return producer;
}
