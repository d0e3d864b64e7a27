/** What the ways to a feed share: signed requests, and one connection's life. */
import { KeelsonError } from '../core/error.js';
import { signRequest } from '../protocol/request.js';
import type { Membership } from './core.js';

export interface FeedAddress {
  /** `https://keelson.example` */
  readonly url: string;
  readonly membership: Membership;
}

/** Whoever a connection talks to. */
export interface Listener {
  /** From where on changes are missing. */
  readonly seq: () => number;
  readonly hear: (bytes: Uint8Array) => void;
  /** There is a connection: what was said before may have been lost. */
  readonly onOpen: () => void;
  /** A ping was answered. */
  readonly onAlive: () => void;
  readonly onProblem: (error: unknown) => void;
}

/** Why a connection is over. */
export interface Ending {
  /** Whether anything was heard on it. */
  readonly heard: boolean;
  /** What follows on `seq` is not kept: the whole table is needed. */
  readonly snapshotNeeded: boolean;
}

/** One connection, from its opening to its end, which it tells once. */
export interface Transport {
  /** Sends a lease request or an ack; lost where it can't: whoever sends says it again. */
  send(bytes: Uint8Array): void;
  /** Hears again what follows on `seq`. */
  refresh(): void;
  /** Asks whether anybody is there. */
  ping(): void;
  /** Ends as if the connection were lost: the next one may lead elsewhere. */
  giveUp(): void;
  close(): void;
}

export const FEED_TYPE = 'application/vnd.keelson.feed';
const MAX_RETRY_AFTER_S = 30;
const MAX_SNAPSHOT_BYTES = 1 << 30;
/** However long it takes, as long as bytes come. */
const SNAPSHOT_MS = 3_600_000;

export function signedHeader(
  { membership: { signer, ledger, instance } }: FeedAddress,
  method: 'GET' | 'POST',
  path: string,
): { authorization: string } {
  return { authorization: signRequest(signer, ledger, { method, path }, { instance, atUs: Date.now() * 1000 }) };
}

export interface RequestOptions {
  /** With it, it is a POST. */
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Given up where no byte comes for so long. */
  readonly stallMs?: number;
}

/**
 * One request; the bytes of its answer.
 * @throws KeelsonError `erased`: these changes are not kept; `unauthenticated`: whoever asks is no instance, or retired; `timeout`: no
 *   byte came for `stallMs`; `not_ready`: any other answer than a good one, or none.
 */
export async function request(
  address: FeedAddress,
  path: string,
  { body, signal, timeoutMs, stallMs }: RequestOptions,
): Promise<Uint8Array> {
  const method = body === undefined ? 'GET' : 'POST';
  const stalled = new AbortController();
  const stall = stallMs === undefined ? undefined : setTimeout(() => stalled.abort(), stallMs);
  let answer: Response;
  try {
    answer = await fetch(new URL(path, address.url), {
      method,
      headers: {
        ...signedHeader(address, method, path),
        accept: FEED_TYPE,
        ...(body === undefined ? {} : { 'content-type': FEED_TYPE }),
      },
      ...(body === undefined ? {} : { body: Uint8Array.from(body) }),
      signal: AbortSignal.any([signal, stalled.signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (answer.ok) return await readBounded(answer, MAX_SNAPSHOT_BYTES, () => stall?.refresh());
  } catch (error) {
    const code = stalled.signal.aborted ? 'timeout' : 'not_ready';
    throw new KeelsonError(code, `${method} ${path}: no answer`, { cause: error });
  } finally {
    clearTimeout(stall);
  }
  const detail = await answer.text().catch(() => '');
  const retryAfter = answer.headers.get('retry-after');
  throw refusal(answer.status, retryAfter, `${method} ${path}: HTTP ${answer.status} ${detail.slice(0, 300)}`);
}

/**
 * What an answer that is not a good one says.
 * @param retryAfter for how many seconds the server wants no more of this (RFC 9110 §10.2.3); a date is not read, and nobody keeps a guard
 *   away for long
 */
export function refusal(status: number, retryAfter: string | null, message: string): KeelsonError {
  const code = status === 410 ? 'erased' : status === 401 ? 'unauthenticated' : 'not_ready';
  if (retryAfter === null || !/^\d{1,9}$/.test(retryAfter)) return new KeelsonError(code, message);
  return new KeelsonError(code, message, { retryAfterS: Math.min(MAX_RETRY_AFTER_S, Number(retryAfter)) });
}

/** The whole table, no older than `from`, where the feed is that far. @throws KeelsonError as `request` */
export const fetchSnapshot = (
  address: FeedAddress,
  from: number,
  options: Pick<RequestOptions, 'signal' | 'stallMs'>,
): Promise<Uint8Array> => request(address, `/v1/feed/snapshot?from=${from}`, { ...options, timeoutMs: SNAPSHOT_MS });

async function readBounded(answer: Response, maxBytes: number, onChunk: () => void): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Null where the answer has no body.
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    onChunk();
    length += chunk.length;
    if (length > maxBytes) throw new Error('an answer that is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
