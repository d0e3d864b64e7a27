/** Those who listen in `bench:fanout`: some processes, with many guards, connections or pollers in each. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { MembershipJson } from '../../src/guard/join.js';
import { startProcess } from '../../test/support/process.js';
import { processCpuUs } from './process-cpu.js';
import { say } from './progress.js';

/**
 * `guards`: whole ones, each with a connection, a table and a lease. `connections`: each with a lease of its own, but the bytes that one has
 * verified are only compared by the others of its process. `bare`: connections that receive bytes. `polling`: asks again and again.
 */
export type Listening = 'guards' | 'connections' | 'bare' | 'polling';

export interface FanOrder {
  readonly kind: Listening;
  readonly url: string;
  /** Numbers of those of this process. */
  readonly from: number;
  readonly to: number;
  /** Number of an instance that the process itself may be. */
  readonly spare: number;
  /** How a point of the feed is known, but for its own name and key. */
  readonly membership?: MembershipJson;
  readonly pollMs?: number;
}

/** All in a process have got as far as `seq`: when its first and its last one had, and when the last one refused. */
export interface Reached {
  readonly seq: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly refusedMs: number;
}

/** All in a process are connected again and in sync: when half were, and all. */
export interface InSync {
  readonly halfMs: number;
  readonly lastMs: number;
}

export type FromListeners =
  | { readonly kind: 'listening' }
  /** So many of a process are connected, on the way to all. */
  | { readonly kind: 'open'; readonly count: number }
  | ({ readonly kind: 'reached' } & Reached)
  | ({ readonly kind: 'in_sync' } & InSync);
export type ToListeners = { readonly kind: 'listen'; readonly order: FanOrder } | { readonly kind: 'watch_reconnect' };

/** However many there are, and however slow the machine. */
const START_MS = 600_000;
const SAY_MS = 15_000;
const LISTENERS = new URL('listeners.ts', import.meta.url);

export class Fan {
  readonly #processes: readonly ChildProcess[];
  /** By process, in the order of their seq. */
  readonly #reached: Reached[][];
  readonly #inSync: (InSync | undefined)[] = [];
  readonly #open: number[];
  #listening = 0;
  #wake: () => void = () => undefined;
  #failure: Error | undefined;

  private constructor(processes: readonly ChildProcess[]) {
    this.#processes = processes;
    this.#reached = processes.map(() => []);
    this.#open = processes.map(() => 0);
    processes.forEach((child, i) => {
      child.on('message', (message: FromListeners) => {
        if (message.kind === 'reached') this.#reached[i]!.push(message);
        if (message.kind === 'in_sync') this.#inSync[i] = message;
        if (message.kind === 'open') this.#open[i] = message.count;
        if (message.kind === 'listening') this.#listening++;
        this.#wake();
      });
      child.once('exit', (code) => {
        this.#failure ??= new Error(`listeners ${i} ended with ${code}`);
        this.#wake();
      });
    });
  }

  /** Resolves once all listen. @throws Error where they don't within ten minutes, or a process ends */
  static async start(count: number, processes: number, order: Omit<FanOrder, 'from' | 'to' | 'spare'>): Promise<Fan> {
    const children = Array.from({ length: processes }, () => startProcess(LISTENERS));
    const fan = new Fan(children);
    // The ledger knows of number 0 alone, so whole guards come first: cases tell whoever attests nothing to connect again.
    const first = order.kind === 'connections' ? processes : 0;
    children.forEach((child, i) => {
      const [from, to] = [i, i + 1].map((n) => first + Math.floor((n * count) / processes)) as [number, number];
      child.send({ kind: 'listen', order: { ...order, from, to, spare: i } } satisfies ToListeners);
    });
    const telling = setInterval(() => say(`${fan.#open.reduce((a, b) => a + b)} of ${count} ${order.kind}`), SAY_MS);
    try {
      await fan.#until(() => fan.#listening === processes, START_MS);
    } catch (error) {
      await fan.stop();
      throw error;
    } finally {
      clearInterval(telling);
    }
    return fan;
  }

  /** Of all processes together, once all in all of them are at `seq` or beyond. @throws Error after `timeoutMs` */
  async reached(seq: number, timeoutMs: number): Promise<Reached> {
    const find = (told: readonly Reached[]): Reached | undefined => told.find((one) => one.seq >= seq);
    await this.#until(() => this.#reached.every((told) => find(told) !== undefined), timeoutMs);
    const all = this.#reached.map((told) => find(told)!);
    for (const told of this.#reached) told.splice(0, told.length - 1);
    return {
      seq,
      firstMs: Math.min(...all.map(({ firstMs }) => firstMs)),
      lastMs: Math.max(...all.map(({ lastMs }) => lastMs)),
      refusedMs: Math.max(...all.map(({ refusedMs }) => refusedMs)),
    };
  }

  /** From now on counts who is in sync again. */
  watchReconnect(): void {
    this.#inSync.length = 0;
    for (const child of this.#processes) child.send({ kind: 'watch_reconnect' } satisfies ToListeners);
  }

  /** Once all are connected again; `halfMs` is the latest of the processes'. */
  async inSync(timeoutMs: number): Promise<InSync> {
    await this.#until(() => this.#processes.every((_, i) => this.#inSync[i] !== undefined), timeoutMs);
    const all = this.#inSync as readonly InSync[];
    return {
      halfMs: Math.max(...all.map(({ halfMs }) => halfMs)),
      lastMs: Math.max(...all.map(({ lastMs }) => lastMs)),
    };
  }

  /** User and system time of all processes, microseconds. */
  cpuUs(): number {
    return this.#processes.reduce((sum, child) => sum + processCpuUs(child.pid!), 0);
  }

  async stop(): Promise<void> {
    this.#failure = undefined;
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  async #until(isSo: () => boolean, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`not all listeners were as far within ${timeoutMs / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }
}
