/** The feed by plain requests, for networks that let no WebSocket through: a long poll for changes, a POST for each grant and ack. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../core/error.js';
import { request, type Ending, type FeedAddress, type Listener, type Transport } from './transport.js';

/** How long one poll waits for a change. */
const WAIT_S = 25;
const TIMEOUT_MS = 15_000;
/** Feed keys are asked for so often: nobody tells of new ones. */
const KEYS_MS = 30_000;
/** Requests under way, beside the poll. */
const MAX_SENDING = 4;
/** An answer that leads nowhere is not asked for again sooner. */
const IDLE_MS = 1_000;
/** Polls begin no closer to each other: where changes follow on one another, a frame has all that came meanwhile. */
const APART_MS = 100;

export function openPoll(address: FeedAddress, listener: Listener, onEnd: (ending: Ending) => void): Transport {
  const closing = new AbortController();
  let polling = new AbortController();
  let heard = false;
  let sending = 0;
  let keysMs = -Infinity;
  const hear = (bytes: Uint8Array): void => {
    heard = true;
    listener.hear(bytes);
  };
  const end = (snapshotNeeded: boolean): void => {
    if (closing.signal.aborted) return;
    closing.abort();
    onEnd({ heard, snapshotNeeded });
  };
  const fetchKeys = async (): Promise<void> => {
    keysMs = performance.now();
    hear(await request(address, '/v1/feed/keys', { signal: closing.signal, timeoutMs: TIMEOUT_MS }));
  };
  const poll = async (): Promise<void> => {
    polling = new AbortController();
    const path = `/v1/feed/changes?from=${listener.seq()}&waitS=${WAIT_S}`;
    const signal = AbortSignal.any([closing.signal, polling.signal]);
    hear(await request(address, path, { signal, timeoutMs: WAIT_S * 1000 + TIMEOUT_MS }));
  };
  const run = async (): Promise<void> => {
    await fetchKeys();
    listener.onOpen();
    while (!closing.signal.aborted) {
      if (performance.now() - keysMs >= KEYS_MS) await fetchKeys();
      const [from, beganMs] = [listener.seq(), performance.now()];
      try {
        await poll();
      } catch (error) {
        if (!polling.signal.aborted) throw error;
      }
      const tookMs = performance.now() - beganMs;
      if (listener.seq() !== from || tookMs >= IDLE_MS) {
        if (tookMs < APART_MS) await sleep(APART_MS - tookMs, undefined, { signal: closing.signal });
        continue;
      }
      await sleep(IDLE_MS, undefined, { signal: closing.signal });
      keysMs = -Infinity;
    }
  };
  const fail = (error: unknown): void => {
    if (closing.signal.aborted) return;
    const snapshotNeeded = error instanceof KeelsonError && error.code === 'erased';
    if (!snapshotNeeded) listener.onProblem(error);
    end(snapshotNeeded);
  };
  void run().catch(fail);
  return {
    send: (bytes) => {
      const isAck = String.fromCharCode(...bytes.subarray(0, 4)) === 'KAC1';
      if ((sending >= MAX_SENDING && !isAck) || closing.signal.aborted) return;
      sending++;
      const path = isAck ? '/v1/feed/acks' : '/v1/feed/lease';
      request(address, path, { body: bytes, signal: closing.signal, timeoutMs: TIMEOUT_MS })
        .then((answer) => {
          if (!isAck) hear(answer);
        })
        .catch((error: unknown) => {
          if (closing.signal.aborted) return;
          listener.onProblem(error);
          // An ack is said again over the next connection, and never else. A lease is asked for anew anyway.
          if (isAck) end(false);
        })
        .finally(() => sending--);
    },
    refresh: () => polling.abort(),
    // What comes is heard.
    ping: () => void fetchKeys().catch(() => undefined),
    giveUp: () => end(false),
    close: () => closing.abort(),
  };
}
