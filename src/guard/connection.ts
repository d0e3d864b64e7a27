/** The feed as an instance hears it: a WebSocket, snapshots by GET. It comes back by itself, each time a little later, jittered. */
import { WebSocket } from 'ws';
import { signRequest } from '../protocol/request.js';
import type { Membership } from './core.js';

export interface ConnectionOptions {
  /** `https://keelson.example` */
  readonly url: string;
  readonly membership: Membership;
  /** From where on changes are missing. */
  seq(): number;
  hear(bytes: Uint8Array): void;
  /** There is a connection again: what was said may have been lost with the one before. */
  onOpen(): void;
  readonly onProblem: (error: unknown) => void;
}

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;
/** A peer that says nothing for so long is not there any more. Grants alone come more often. */
const SILENCE_MS = 30_000;
const SNAPSHOT_NEEDED = 4410;
const FEED_TYPE = 'application/vnd.keelson.feed';
const MAX_SNAPSHOT_BYTES = 1 << 30;

export class Connection {
  #socket: WebSocket | undefined;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #fetching: Promise<void> | undefined;
  #closed = false;
  readonly #stopping = new AbortController();

  constructor(private readonly options: ConnectionOptions) {}

  open(): void {
    if (this.#closed) return;
    const path = `/v1/feed?from=${this.options.seq()}`;
    const url = new URL(path, this.options.url);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, { headers: this.#signed('GET', path), handshakeTimeout: 10_000 });
    this.#socket = socket;
    socket.once('open', () => this.options.onOpen());
    socket.on('message', (data) => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#heard(socket);
      this.options.hear(data as Buffer);
    });
    socket.on('error', (error) => this.options.onProblem(error));
    socket.once('close', (code) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      clearTimeout(this.#silence);
      if (code === SNAPSHOT_NEEDED) void this.fetchSnapshot().finally(() => this.#later());
      else this.#later();
    });
  }

  /** Sends a message; lost where there is no connection: whoever sends says it again. */
  send(bytes: Uint8Array): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes, { binary: true });
  }

  /** Begins anew, from where the table is. */
  reopen(): void {
    this.#socket?.terminate();
  }

  /** Fetches the whole table, and hears it; one at a time. */
  fetchSnapshot(): Promise<void> {
    return (this.#fetching ??= this.#fetchSnapshot().finally(() => (this.#fetching = undefined)));
  }

  async #fetchSnapshot(): Promise<void> {
    const path = '/v1/feed/snapshot';
    try {
      const answer = await fetch(new URL(path, this.options.url), {
        headers: { ...this.#signed('GET', path), accept: FEED_TYPE },
        signal: AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(60_000)]),
      });
      if (!answer.ok) throw new Error(`snapshot: HTTP ${answer.status}`);
      this.options.hear(await readBounded(answer, MAX_SNAPSHOT_BYTES));
    } catch (error) {
      if (!this.#closed) this.options.onProblem(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopping.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.terminate();
  }

  #later(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), this.#retryMs * (0.5 + Math.random()));
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }

  #heard(socket: WebSocket): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  }

  #signed(method: string, path: string): { authorization: string } {
    const { signer, ledger, instance } = this.options.membership;
    return { authorization: signRequest(signer, ledger, { method, path }, { instance, atUs: Date.now() * 1000 }) };
  }
}

async function readBounded(answer: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error('a snapshot that is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
