/**
 * The feed as an instance hears it: a WebSocket, or long polls where none gets through; snapshots by GET. It comes back by itself, each
 * time a little later, jittered.
 */
import { KeelsonError } from '../core/error.js';
import { openPoll } from './poll.js';
import { openSocket } from './socket.js';
import { Retry } from './retry.js';
import { fetchSnapshot, type Ending, type FeedAddress, type Listener, type Transport } from './transport.js';

/** `auto`: a WebSocket, and long polls after it failed to open three times on end, while a WebSocket is tried again now and then. */
export type TransportChoice = 'auto' | 'websocket' | 'poll';

export interface ConnectionOptions extends FeedAddress, Listener {
  readonly transport: TransportChoice;
  /** A connection is sought. */
  readonly onSeek: () => void;
  /** How far this instance ever was: an older table is of no use to it. */
  readonly floor: () => number;
  /** A snapshot of which no byte comes for so long is asked for again at once; each time that it happens on end, twice as long. */
  readonly stallMs?: number;
}

export type ConnectionState = 'connecting' | 'websocket' | 'poll' | 'closed';

const FAILURES_BEFORE_POLL = 3;
const STALL_MS = 5_000;
const LONGEST_STALL_MS = 30_000;
/** How often a WebSocket is tried while polls do. */
const TRY_SOCKET_MS = 300_000;

export class Connection {
  readonly #options: ConnectionOptions;
  #transport: Transport | undefined;
  /** A WebSocket that takes over from polls as soon as something is heard on it. */
  #candidate: Transport | undefined;
  #state: ConnectionState = 'closed';
  /** WebSockets on end that opened to nothing. */
  #failures = 0;
  readonly #retry = new Retry();
  /** The server asked not to be asked sooner (Retry-After, RFC 9110 §10.2.3). */
  #notBeforeMs = 0;
  /** When something was heard first on this connection. */
  #heardMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #candidateTimer: NodeJS.Timeout | undefined;
  #fetching: Promise<void> | undefined;
  #stallMs: number;
  readonly #stopping = new AbortController();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#stallMs = options.stallMs ?? STALL_MS;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  open(): void {
    if (this.#stopping.signal.aborted) return;
    this.#state = 'connecting';
    this.#heardMs = undefined;
    const { transport, onSeek } = this.#options;
    onSeek();
    const polls = transport === 'poll' || (transport === 'auto' && this.#failures >= FAILURES_BEFORE_POLL);
    const listener = this.#listener(polls ? 'poll' : 'websocket');
    this.#transport = (polls ? openPoll : openSocket)(this.#options, listener, (ending) => {
      clearTimeout(this.#candidateTimer);
      this.#candidate?.close();
      this.#ended(polls, ending);
    });
    if (polls && transport === 'auto') {
      this.#candidateTimer = setTimeout(() => this.#trySocket(), TRY_SOCKET_MS).unref();
    }
  }

  send(bytes: Uint8Array): void {
    this.#transport?.send(bytes);
  }

  /** Hears again what is missing. */
  refresh(): void {
    this.#transport?.refresh();
  }

  ping(): void {
    this.#transport?.ping();
  }

  /** Makes another connection in place of this one. */
  giveUp(): void {
    this.#transport?.giveUp();
  }

  /** Fetches the whole table, and hears it; one at a time. */
  fetchSnapshot(): Promise<void> {
    return (this.#fetching ??= this.#fetchSnapshot().finally(() => (this.#fetching = undefined)));
  }

  close(): void {
    this.#state = 'closed';
    this.#stopping.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#candidateTimer);
    this.#candidate?.close();
    this.#transport?.close();
  }

  async #fetchSnapshot(isAgain = false): Promise<void> {
    try {
      const options = { signal: this.#stopping.signal, stallMs: this.#stallMs };
      const bytes = await fetchSnapshot(this.#options, this.#options.floor(), options);
      this.#stallMs = this.#options.stallMs ?? STALL_MS;
      this.#options.hear(bytes);
    } catch (error) {
      this.#tell(error);
      if (!(error instanceof KeelsonError) || error.code !== 'timeout') return;
      this.#stallMs = Math.min(LONGEST_STALL_MS, this.#stallMs * 2);
      if (!isAgain) await this.#fetchSnapshot(true);
    }
  }

  #listener(state: 'websocket' | 'poll'): Listener {
    const { seq, hear, onOpen, onAlive } = this.#options;
    return {
      seq,
      onAlive,
      hear: (bytes) => {
        this.#state = state;
        this.#heardMs ??= performance.now();
        if (state === 'websocket') this.#failures = 0;
        hear(bytes);
      },
      onOpen,
      onProblem: (error) => this.#tell(error),
    };
  }

  #ended(polled: boolean, { heard, snapshotNeeded }: Ending): void {
    if (this.#stopping.signal.aborted) return;
    this.#transport = undefined;
    this.#state = 'connecting';
    // Where nothing answers at all, it is not the WebSocket that is in the way.
    if (polled && !heard) this.#failures = 0;
    else if (!polled && !heard) this.#failures++;
    const waitMs = this.#retry.waitMs(this.#heardMs === undefined ? 0 : performance.now() - this.#heardMs);
    if (snapshotNeeded) void this.fetchSnapshot().finally(() => this.#later(waitMs));
    else this.#later(waitMs);
  }

  #later(waitMs: number): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#timer);
    const askedMs = this.#notBeforeMs - performance.now();
    // Those who were refused at once do not come back at once either.
    const jitteredMs = Math.max(waitMs * (0.5 + Math.random()), askedMs * (1 + Math.random() / 2));
    this.#timer = setTimeout(() => this.open(), jitteredMs);
  }

  #trySocket(): void {
    const listener = this.#listener('websocket');
    const polls = this.#transport;
    let isIn = false;
    this.#candidate = openSocket(
      this.#options,
      {
        ...listener,
        onOpen: () => undefined,
        onProblem: () => undefined,
        hear: (bytes) => {
          if (!isIn) {
            isIn = true;
            polls?.close();
            this.#transport = this.#candidate;
            this.#candidate = undefined;
            listener.onOpen();
          }
          listener.hear(bytes);
        },
      },
      (ending) => {
        if (isIn) return this.#ended(false, ending);
        this.#candidate = undefined;
        if (this.#transport === polls) {
          this.#candidateTimer = setTimeout(() => this.#trySocket(), TRY_SOCKET_MS).unref();
        }
      },
    );
  }

  #tell(error: unknown): void {
    const retryAfterS = error instanceof KeelsonError ? error.retryAfterS : undefined;
    if (retryAfterS !== undefined) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, performance.now() + retryAfterS * 1000);
    }
    if (!this.#stopping.signal.aborted) this.#options.onProblem(error);
  }
}
