/** Talking to a server as its users do. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from './server.js';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export type Json = Record<string, unknown>;

export interface Hit {
  readonly log: string;
  readonly index: string | number;
  readonly event: Json;
}

export class Api {
  constructor(
    readonly url: string,
    readonly token: string,
  ) {}

  static async admin(server: ServerProcess): Promise<Api> {
    return new Api(server.url, await server.adminToken());
  }

  /** The same server, as the holder of a new token. */
  async as(name: string, scopes: readonly string[]): Promise<Api> {
    const { status, body } = await this.post<{ token: string }>('/v1/tokens', { name, producer: name, scopes });
    if (status !== 201) throw new Error(`no token: ${JSON.stringify(body)}`);
    return new Api(this.url, body.token);
  }

  async send<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as T };
  }

  get = <T>(path: string): Promise<Answer<T>> => this.send<T>('GET', path);
  post = <T>(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer<T>> =>
    this.send<T>('POST', path, body, headers);

  /** Asks again until `enough` says so of a 200: projections follow the ledger by milliseconds. */
  async until<T>(path: string, enough: (body: T) => boolean, timeoutMs = 20_000): Promise<T> {
    for (const end = Date.now() + timeoutMs; ;) {
      const { status, body } = await this.get<T>(path);
      if (status === 200 && enough(body)) return body;
      if (Date.now() > end) throw new Error(`never so: ${path}: ${status} ${JSON.stringify(body).slice(0, 2000)}`);
      await sleep(50);
    }
  }

  /** Searches until `enough` says so: the projection follows the ledger by milliseconds. */
  async searchUntil(
    query: Record<string, string>,
    enough: (hits: Hit[]) => boolean,
    timeoutMs = 20_000,
  ): Promise<Hit[]> {
    return this.listUntil(`/v1/search?${new URLSearchParams(query).toString()}`, enough, timeoutMs);
  }

  async listUntil(path: string, enough: (hits: Hit[]) => boolean, timeoutMs = 20_000): Promise<Hit[]> {
    for (const end = Date.now() + timeoutMs; ;) {
      const { status, body } = await this.get<{ hits: Hit[] }>(path);
      if (status === 200 && enough(body.hits)) return body.hits;
      if (Date.now() > end)
        throw new Error(`not found in time: ${path}: ${status} ${JSON.stringify(body).slice(0, 2000)}`);
      await sleep(50);
    }
  }
}
