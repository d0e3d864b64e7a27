/** One attempt to deliver a message (Standard Webhooks 1.0, "Operational considerations"), and what follows from its answer. Pure but for `send`. */
import type { Endpoint } from './endpoints.js';
import { ID_HEADER, SIGNATURE_HEADER, signWebhook, TIMESTAMP_HEADER } from './signature.js';

export type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | undefined }
  | { readonly kind: 'unreachable'; readonly why: 'timeout' | 'network' };

/**
 * Sends it, signed as of now. No redirect is followed, and nothing is read of the answer but its head.
 * @param nowS seconds since 1970 UTC
 */
export async function send(
  { url, keys }: Endpoint,
  { id, body }: { readonly id: string; readonly body: string },
  nowS: number,
  timeoutMs: number,
  stopping: AbortSignal,
): Promise<Outcome> {
  const bytes = Buffer.from(body);
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'keelson',
        [ID_HEADER]: id,
        [TIMESTAMP_HEADER]: String(nowS),
        [SIGNATURE_HEADER]: signWebhook(keys, { id, timestampS: nowS }, bytes),
      },
      body: bytes,
      signal: AbortSignal.any([timeout, stopping]),
    });
    await response.body?.cancel();
    return {
      kind: 'answered',
      status: response.status,
      retryAfter: response.headers.get('retry-after') ?? undefined,
    };
  } catch {
    return { kind: 'unreachable', why: timeout.aborted ? 'timeout' : 'network' };
  }
}

/** Statuses after which an endpoint as a whole is left alone for a time. */
const THROTTLES = new Set([429, 502, 503, 504]);
const HOUR_MS = 3_600_000;
/** The longest that a `Retry-After` is heeded. */
const RETRY_AFTER_MAX_MS = 24 * HOUR_MS;

export interface Verdict {
  readonly delivered: boolean;
  readonly disable: boolean;
  /** Until the message is tried again. */
  readonly againMs: number;
  /** Until anything is sent to this endpoint again. */
  readonly pauseMs: number;
}

/**
 * @param attempts of this message, this one included
 * @param dice from [0, 1)
 * @param nowMs milliseconds since 1970, for a `Retry-After` that is a date
 */
export function judge(outcome: Outcome, attempts: number, retryMs: number, nowMs: number, dice: number): Verdict {
  const backOffMs = Math.min(retryMs * 2 ** Math.min(attempts - 1, 40), HOUR_MS) * (1 - dice / 2);
  if (outcome.kind === 'unreachable') return { delivered: false, disable: false, againMs: backOffMs, pauseMs: 0 };
  const { status } = outcome;
  if (status >= 200 && status < 300) return { delivered: true, disable: false, againMs: 0, pauseMs: 0 };
  const askedMs = readRetryAfter(outcome.retryAfter, nowMs);
  const againMs = Math.max(backOffMs, Math.min(askedMs ?? 0, RETRY_AFTER_MAX_MS));
  const pauseMs = THROTTLES.has(status) ? againMs : 0;
  return { delivered: false, disable: status === 410, againMs, pauseMs };
}

/** Milliseconds of a `Retry-After` (RFC 9110, section 10.2.3); undefined for none, or one that can't be read. */
function readRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
