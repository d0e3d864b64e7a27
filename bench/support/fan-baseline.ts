/** What fan-out is measured against: bytes sent to everybody by a bare WebSocket server, and everybody asking again and again. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { startProcess } from '../../test/support/process.js';
import { Fan, type FanOrder } from './fan.js';

export interface BaselineOptions {
  readonly count: number;
  readonly processes: number;
  readonly rounds: number;
}

const WARM_UP = 20;

/** From the first send of a message of so many bytes to the last receipt, each time. */
export function runBroadcast(
  options: BaselineOptions & { readonly bytes: number },
): Promise<{ readonly spreadMs: number }[]> {
  return withBroadcaster(async (url) => {
    const spreads: { spreadMs: number }[] = [];
    await withFan(url, options, { kind: 'bare' }, async (fan) => {
      for (let n = 1; n <= WARM_UP + options.rounds; n++) {
        const firstMs = await post(url, n, options.bytes);
        const { lastMs } = await fan.reached(n, 60_000);
        if (n > WARM_UP) spreads.push({ spreadMs: lastMs - firstMs });
      }
    });
    return spreads;
  });
}

/** From a change to the last who has seen it by asking, milliseconds. */
export function runPolling(options: BaselineOptions & { readonly pollS: number }): Promise<number[]> {
  return withBroadcaster(async (url) => {
    const lags: number[] = [];
    await withFan(url, options, { kind: 'polling', pollMs: options.pollS * 1000 }, async (fan) => {
      for (let n = 1; n <= options.rounds; n++) {
        const firstMs = await post(url, n, 4);
        lags.push((await fan.reached(n, options.pollS * 3_000)).lastMs - firstMs);
      }
    });
    return lags;
  });
}

async function withBroadcaster<T>(work: (url: string) => Promise<T>): Promise<T> {
  const child = startProcess(new URL('broadcaster.ts', import.meta.url));
  try {
    const [{ port }] = (await once(child, 'message')) as [AddressInfo];
    return await work(`http://127.0.0.1:${port}`);
  } finally {
    child.kill('SIGKILL');
  }
}

async function withFan(
  url: string,
  { count, processes }: BaselineOptions,
  order: Pick<FanOrder, 'kind' | 'pollMs'>,
  work: (fan: Fan) => Promise<void>,
): Promise<void> {
  const fan = await Fan.start(count, processes, { url, ...order });
  try {
    await work(fan);
  } finally {
    await fan.stop();
  }
}

/** Answers when it began to be sent. */
async function post(url: string, n: number, bytes: number): Promise<number> {
  const body = Buffer.alloc(bytes);
  body.writeUInt32BE(n);
  const answer = await fetch(url, { method: 'POST', body });
  return Number(await answer.text());
}
