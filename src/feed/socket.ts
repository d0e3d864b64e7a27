/**
 * `/v1/feed`: the feed as a WebSocket (RFC 6455). Down: the key set, a frame from where the instance is, every frame that follows, the
 * grants. Up: lease requests and acks. One message is one message of docs/feed.md, binary.
 */
import websocket from '@fastify/websocket';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Gauge, type Registry } from 'prom-client';
import type { WebSocket } from 'ws';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { parseInteger } from '../http/paging.js';
import type { LeaseRequest } from '../protocol/grant.js';
import { authenticateInstance } from './caller.js';
import type { Instance } from './points.js';
import { readLeaseRequest, type FeedRoutesOptions } from './routes.js';
import type { FeedSettings } from './settings.js';

export interface SocketOptions extends FeedRoutesOptions {
  readonly settings: FeedSettings;
  readonly metrics: Registry;
}

/** Why the server closes a connection (RFC 6455 §7.4.2: 4000 to 4999 are ours). */
export const CLOSE = {
  malformed: 4400,
  /** What follows on `from` is not kept: fetch a snapshot, and come back. */
  snapshotNeeded: 4410,
  tooSlow: 4408,
  tooMuch: 4429,
  /** As HTTP's 503. */
  notReady: 4503,
  goingAway: 1001,
} as const;

/** What an instance may send; more is a fault or a flood. */
const MESSAGES_PER_S = 5;
const MESSAGES_BURST = 50;
const MAX_MESSAGE_BYTES = 1024;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who opens a feed; on its route alone. */
    instance: Instance | undefined;
  }
}

export async function registerSocket(http: Http, options: SocketOptions): Promise<void> {
  const connections = new Set<Connection>();
  new Gauge({
    name: 'keelson_feed_connections',
    help: 'Instances that are connected to this process',
    registers: [options.metrics],
    collect() {
      this.set(connections.size);
    },
  });
  const stop = options.feed.onFrame((from, frame) => {
    for (const connection of connections) connection.tell(from, frame);
  });
  http.decorateRequest('instance', undefined);
  await http.register(websocket, { options: { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false } });
  http.addHook('preClose', async () => {
    stop();
    for (const connection of connections) connection.end(CLOSE.goingAway, 'this server stops');
  });
  http.route({
    method: 'GET',
    url: '/v1/feed',
    config: { access: 'public' },
    schema: {
      tags: ['feed'],
      summary: 'The feed, as a WebSocket',
      querystring: Type.Object({ from: Type.String({ maxLength: 16 }) }, { additionalProperties: false }),
    },
    preValidation: async (request) => {
      request.instance = await authenticateInstance(options, request);
      if (connections.size >= options.settings.KEELSON_FEED_CONNECTIONS) {
        throw new KeelsonError('overloaded', 'this feed process has enough connections: ask another', {
          retryAfterS: 5,
        });
      }
      // Before the upgrade: an answer of HTTP says more than a close code.
      void options.feed.core;
    },
    handler: () => {
      throw new KeelsonError('malformed_request', 'this is a WebSocket: send Upgrade, or ask /v1/feed/changes');
    },
    wsHandler: (socket, request: FastifyRequest) => {
      const { from } = request.query as { from: string };
      const connection = new Connection(socket, request.instance!, options);
      connections.add(connection);
      socket.once('close', () => connections.delete(connection));
      connection.begin(parseInteger('from', from, 0, 999_999_999_999_999));
    },
  });
}

class Connection {
  /** Told up to here. */
  #seq = 0;
  #budget = MESSAGES_BURST;
  #refilledMs = performance.now();
  readonly #gone = new AbortController();

  constructor(
    private readonly socket: WebSocket,
    private readonly instance: Instance,
    private readonly options: SocketOptions,
  ) {
    socket.on('message', (data, isBinary) => this.#hear(data as Buffer, isBinary));
    socket.on('error', () => this.end(CLOSE.malformed, 'not what a feed hears'));
    socket.once('close', () => this.#gone.abort());
  }

  begin(from: number): void {
    const { core } = this.options.feed;
    const frame = core.frameFrom(from);
    if (frame === undefined) return this.end(CLOSE.snapshotNeeded, 'fetch the snapshot');
    this.#send(this.options.keys.keySet);
    this.#send(frame);
    this.#seq = core.seq;
  }

  /** A frame that follows on `from`. */
  tell(from: number, frame: Uint8Array): void {
    if (from !== this.#seq) return;
    this.#send(frame);
    this.#seq = this.options.feed.core.seq;
  }

  end(code: number, reason: string): void {
    this.socket.close(code, reason);
    // Who does not answer is gone, whether they know or not.
    setTimeout(() => this.socket.terminate(), 5_000).unref();
  }

  #hear(data: Buffer, isBinary: boolean): void {
    if (!this.#mayHear()) return this.end(CLOSE.tooMuch, 'too many messages');
    try {
      if (!isBinary) throw new KeelsonError('malformed_message', 'not binary');
      const magic = data.toString('latin1', 0, 4);
      if (magic === 'KLR1') void this.#lease(readLeaseRequest(this.options.realm, this.instance, data));
      else if (magic === 'KAC1') this.options.acks.take(this.options.feed.core, this.instance, data);
      else throw new KeelsonError('malformed_message', 'neither a lease request nor an ack');
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.end(CLOSE.malformed, error.code);
    }
  }

  async #lease(request: LeaseRequest): Promise<void> {
    const grant = await this.options.feed.lease(request, this.#gone.signal);
    if (grant !== undefined) this.#send(grant);
  }

  #mayHear(): boolean {
    const nowMs = performance.now();
    this.#budget = Math.min(MESSAGES_BURST, this.#budget + ((nowMs - this.#refilledMs) / 1000) * MESSAGES_PER_S);
    this.#refilledMs = nowMs;
    if (this.#budget < 1) return false;
    this.#budget--;
    return true;
  }

  #send(bytes: Uint8Array): void {
    if (this.socket.bufferedAmount > this.options.settings.KEELSON_FEED_BUFFER_BYTES) {
      this.socket.terminate();
      return;
    }
    this.socket.send(bytes, { binary: true });
  }
}
