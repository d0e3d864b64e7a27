/** Keys of OpenID providers: inline in the configuration, or fetched, kept, and fetched again for a key that is not among them. */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import type { OpenIdConfig } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';

export interface KeySetsOptions {
  /** What fetches; of the tests another. */
  readonly fetch?: typeof fetch;
}

/** How long fetched keys are good. */
const KEEP_MS = 10 * 60_000;
/** For keys that are not known, keys are fetched so often and no more, whoever makes them up. */
const COOL_DOWN_MS = 5_000;
const TIMEOUT_MS = 3_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;
const MAX_SETS = 1_000;

type RemoteKeySet = ReturnType<typeof createRemoteJWKSet>;

export class KeySets {
  readonly #remote = new Map<string, RemoteKeySet>();
  readonly #local = new WeakMap<OpenIdConfig, JWTVerifyGetKey>();

  constructor(private readonly options: KeySetsOptions = {}) {}

  /** The keys of a provider, as `jwtVerify` asks for them. What it raises, `explainKeyError` tells. */
  of(config: OpenIdConfig): JWTVerifyGetKey {
    if (config.jwksUri !== undefined) return this.#fetched(config.jwksUri);
    let local = this.#local.get(config);
    if (local === undefined) this.#local.set(config, (local = createLocalJWKSet(config.jwks as never)));
    return local;
  }

  #fetched(uri: string): JWTVerifyGetKey {
    let set = this.#remote.get(uri);
    if (set === undefined) {
      set = createRemoteJWKSet(new URL(uri), {
        cacheMaxAge: KEEP_MS,
        cooldownDuration: COOL_DOWN_MS,
        timeoutDuration: TIMEOUT_MS,
        [customFetch]: (url, init) => this.#fetch(url, init),
      });
      if (this.#remote.size >= MAX_SETS) this.#remote.delete(this.#remote.keys().next().value!);
      this.#remote.set(uri, set);
    }
    const keys = set;
    return async (header, token) => {
      try {
        return await keys(header, token);
      } catch (error) {
        // It may be a new key: while nothing is fetched, nobody can tell.
        const isUntold = error instanceof errors.JWKSNoMatchingKey && keys.coolingDown;
        if (
          isUntold ||
          !(error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        )
          throw unreachable(error);
        throw error;
      }
    };
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const response = await (this.options.fetch ?? fetch)(url, { ...init, redirect: 'error' });
    if (response.status !== 200) throw new Error(`the keys were answered with ${response.status}`);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      if ((length += chunk.length) > MAX_BYTES) throw new Error(`the keys have more than ${MAX_BYTES} bytes`);
    }
    const { keys } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { keys?: unknown };
    if (!Array.isArray(keys) || keys.length > MAX_KEYS) throw new Error(`a key set has at most ${MAX_KEYS} keys`);
    return Response.json({ keys });
  }
}

const unreachable = (cause: unknown): KeelsonError =>
  new KeelsonError('not_ready', 'the keys of the OpenID provider can not be had, or not again yet', {
    retryAfterS: Math.ceil(COOL_DOWN_MS / 1000),
    cause,
  });
