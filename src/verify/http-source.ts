/** Tiles over HTTP, in Node and in a browser: what the ledger serves, or any static copy of it. */
import { KeelsonError, type ErrorCode } from '../core/error.js';
import type { TileSource } from './source.js';

const REFUSALS: Partial<Record<number, ErrorCode>> = { 401: 'unauthenticated', 403: 'forbidden' };
const ABSENT = new Set([404, 410]);
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;
const TIMEOUT_MS = 30_000;
const MAX_PROBLEM_BYTES = 65_536;

export interface HttpSourceOptions {
  /** API token with the read scope; hash tiles and checkpoints may be public, entries are not. */
  readonly token?: string;
  /** Instead of the global one. */
  readonly fetch?: typeof fetch;
}

/**
 * Reads below `url`, where the logs are: `https://keelson.example/ledger`. An answer of 429 or 5xx and a broken
 * connection are tried again, four times in all, before `not_ready`.
 */
export function openHttpSource(url: string, options: HttpSourceOptions = {}): TileSource {
  const base = url.replace(/\/+$/, '');
  const request = options.fetch ?? fetch;
  const headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const readOnce = async (path: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    const answer = await request(`${base}/${path}`, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 200) return readBody(answer, path, maxBytes);
    if (ABSENT.has(answer.status) || (await saysTampered(answer))) return undefined;
    throw new KeelsonError(REFUSALS[answer.status] ?? 'not_ready', `${path}: the server answered ${answer.status}`);
  };
  return {
    async read(path, maxBytes) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await readOnce(path, maxBytes);
        } catch (error) {
          if (error instanceof KeelsonError && error.code !== 'not_ready') throw error;
          if (attempt === ATTEMPTS) {
            if (error instanceof KeelsonError) throw error;
            throw new KeelsonError('not_ready', `${path} can't be read from ${base}`, { cause: error });
          }
        }
        await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 4 ** (attempt - 1)));
      }
    },
  };
}

/** A server that finds its own ledger damaged has not got the file, and says why. */
async function saysTampered(answer: Response): Promise<boolean> {
  if (answer.status !== 500) {
    await answer.body?.cancel();
    return false;
  }
  try {
    const problem = JSON.parse(
      new TextDecoder().decode(await readBody(answer, 'problem', MAX_PROBLEM_BYTES)),
    ) as unknown;
    return (problem as { code?: unknown } | null)?.code === 'tampered';
  } catch {
    return false;
  }
}

async function readBody(answer: Response, path: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = (answer.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    length += part.value.length;
    if (length > maxBytes) {
      await reader?.cancel();
      throw new KeelsonError('too_large', `${path} is larger than ${maxBytes} bytes`);
    }
    chunks.push(part.value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
