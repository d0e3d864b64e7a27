/**
 * By which order a key is refused. Frames and snapshots say what is so, not why, so the feed is asked: once for a key and a change of it, for
 * several at once, and nobody waits for the answer.
 */
import { equalBytes, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Refused } from './check.js';
import { request, type FeedAddress } from './transport.js';

/** Keys asked for in one request. */
const AT_ONCE = 32;
const COLLECT_MS = 20;
/** Between one request and the next: the feed answers so many of one instance (docs/feed.md). */
const APART_MS = 200;
const TIMEOUT_MS = 10_000;
/** Keys whose orders are remembered. */
const MAX_KNOWN = 10_000;
/** After the feed did not answer, or did not know, nobody asks for so long. */
const PAUSE_MS = 1_000;
/** A frame comes before the tables know by which order it is; after a cutoff of an order that was lifted they never do. */
const MAX_TRIES = 3;

export class Orders {
  /** By key: the change that was asked about, how often, and the order. */
  readonly #known = new Map<
    string,
    { readonly seq: number; readonly tries: number; readonly order: string | undefined }
  >();
  readonly #wanted = new Map<string, number>();
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  /** @param canaryKey that no order holds: it moves with every part, and nobody asks why. */
  constructor(
    private readonly address: FeedAddress,
    private readonly canaryKey: Uint8Array,
    private readonly onProblem: (error: unknown) => void,
  ) {}

  /** The refusal with its order, where that is known; else it is asked for. */
  name(refused: Refused): Refused {
    if (refused.key === undefined || equalBytes(refused.key, this.canaryKey)) return refused;
    const key = formatHex(refused.key);
    const known = this.#known.get(key);
    if (known?.seq === refused.seq) {
      if (known.order !== undefined) return { ...refused, order: known.order };
      if (known.tries >= MAX_TRIES) return refused;
    }
    if (this.#wanted.size < MAX_KNOWN) this.#wanted.set(key, refused.seq);
    this.#askIn(COLLECT_MS);
    return refused;
  }

  close(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
  }

  #askIn(ms: number): void {
    if (this.#stopping.signal.aborted || this.#wanted.size === 0) return;
    this.#timer ??= setTimeout(() => void this.#ask(), ms).unref();
  }

  async #ask(): Promise<void> {
    const some = [...this.#wanted].slice(0, AT_ONCE);
    let pauseMs = APART_MS;
    try {
      const path = `/v1/feed/orders?keys=${some.map(([key]) => key).join(',')}`;
      const bytes = await request(this.address, path, { signal: this.#stopping.signal, timeoutMs: TIMEOUT_MS });
      const orders = readOrders(bytes);
      if (this.#known.size + some.length > MAX_KNOWN) this.#known.clear();
      for (const [key, seq] of some) {
        const before = this.#known.get(key);
        const tries = before?.seq === seq ? before.tries + 1 : 1;
        const order = orders.get(key);
        if (order === undefined) pauseMs = PAUSE_MS;
        this.#known.set(key, { seq, tries, order });
        if (this.#wanted.get(key) === seq) this.#wanted.delete(key);
      }
    } catch (error) {
      // Whoever refuses by these keys again asks again.
      this.#wanted.clear();
      const askedS = error instanceof KeelsonError ? (error.retryAfterS ?? 0) : 0;
      pauseMs = Math.max(PAUSE_MS, askedS * 1000);
      if (!this.#stopping.signal.aborted) this.onProblem(error);
    }
    this.#timer = setTimeout(() => this.#resume(), pauseMs).unref();
  }

  #resume(): void {
    this.#timer = undefined;
    this.#askIn(0);
  }
}

/** Of each key the order whose cause is the oldest. @throws KeelsonError `not_ready`: not what a feed answers */
function readOrders(bytes: Uint8Array): Map<string, string> {
  try {
    const { orders } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { orders: Record<string, string[]> };
    return new Map(
      Object.entries(orders).flatMap(([key, [first]]) =>
        typeof first === 'string' && /^[0-9a-f]{32}$/.test(first) ? [[key, first] as const] : [],
      ),
    );
  } catch (cause) {
    throw new KeelsonError('not_ready', 'no orders, but something else', { cause });
  }
}
