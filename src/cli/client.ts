/** HTTP to a Keelson server: the caller's token, problem documents turned back into coded errors. */
import { parse } from 'lossless-json';
import { KeelsonError, type ErrorCode } from '../core/error.js';
import { CommandError, EXIT } from './exit.js';

export interface Target {
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly token?: string;
}

export type Query = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 60_000;
/** Of one server-sent event. */
const MAX_EVENT_CHARS = 16 << 20;

export class Client {
  constructor(readonly target: Target) {}

  /**
   * The JSON answer, its numbers as `LosslessNumber`, so that none is rounded on its way to the reader.
   * @throws KeelsonError with the server's code; CommandError `unreachable`.
   */
  async getJson(path: string, query: Query = {}): Promise<unknown> {
    return parseAnswer(await this.#send('GET', path, { query }));
  }

  async sendJson(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<unknown> {
    return parseAnswer(await this.#send(method, path, { body, headers }));
  }

  async getText(path: string): Promise<string> {
    return (await this.#send('GET', path, {})).text();
  }

  /**
   * The JSON documents of server-sent events, as they come, until the server ends.
   * @throws as `getJson`; CommandError `unreachable` where the connection breaks
   */
  async *events(path: string, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const response = await this.#send('GET', path, { headers: { accept: 'text/event-stream' }, signal });
    let waiting = '';
    try {
      for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        const events = (waiting + chunk).split('\n\n');
        waiting = events.pop()!;
        if (waiting.length > MAX_EVENT_CHARS) throw new Error('an event without an end');
        for (const event of events) {
          const data = event.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []));
          if (data.length > 0) yield parse(data.join('\n'));
        }
      }
    } catch (cause) {
      if (!signal.aborted) throw new CommandError(EXIT.unreachable, `${this.target.url} broke off`, { cause });
    }
  }

  async #send(
    method: string,
    path: string,
    {
      query = {},
      body,
      headers = {},
      signal = AbortSignal.timeout(TIMEOUT_MS),
    }: { query?: Query; body?: string | undefined; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response> {
    const { url, token } = this.target;
    const address = readAddress(url, path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, value);
    let response: Response;
    try {
      response = await fetch(address, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
        // A token must not follow a redirect to wherever it points.
        redirect: 'error',
        signal,
      });
    } catch (cause) {
      throw new CommandError(EXIT.unreachable, `${url} can't be reached: ${describeCause(cause)}`, { cause });
    }
    if (!response.ok) throw await readProblem(response, url);
    return response;
  }
}

/** @throws CommandError `usage`. */
function readAddress(url: string, path: string): URL {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url + path)) {
    throw new CommandError(
      EXIT.usage,
      `${JSON.stringify(url)} is not the address of a server, like https://keelson.company.com`,
    );
  }
  return new URL(url + path);
}

async function parseAnswer(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return parse(text);
  } catch (cause) {
    throw new CommandError(EXIT.unreachable, `${response.url} does not answer like a Keelson server`, { cause });
  }
}

async function readProblem(response: Response, url: string): Promise<Error> {
  const text = await response.text().catch(() => '');
  let problem: { code?: unknown; detail?: unknown; pointer?: unknown } = {};
  try {
    problem = (JSON.parse(text) ?? {}) as typeof problem;
  } catch {
    // Not ours: a proxy, another server. The status is all we have.
  }
  const retryAfterS = Number(response.headers.get('retry-after') ?? Number.NaN);
  if (typeof problem.code !== 'string') {
    const exit = response.status >= 500 ? EXIT.unreachable : response.status === 404 ? EXIT.notFound : EXIT.refused;
    return new CommandError(exit, `${url} answered ${response.status}`);
  }
  const detail = typeof problem.detail === 'string' ? problem.detail : problem.code;
  return new KeelsonError(problem.code as ErrorCode, detail, {
    ...(typeof problem.pointer === 'string' ? { pointer: problem.pointer } : {}),
    ...(Number.isFinite(retryAfterS) ? { retryAfterS } : {}),
  });
}

function describeCause(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  if (!(inner instanceof Error)) return String(inner);
  return inner.message || String((inner as NodeJS.ErrnoException).code ?? inner.name);
}
