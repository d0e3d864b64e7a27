/**
 * `/v1/feed`: the feed as a WebSocket (RFC 6455). Down: the key set, a frame from where the instance is, every frame that follows, the
 * grants. Up: lease requests and acks. One message is one message of docs/feed.md, binary.
 */
import websocket from '@fastify/websocket';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { WebSocket } from 'ws';
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { parseInteger } from '../http/paging.js';
import type { Logger } from '../platform/logger.js';
import { authenticateInstance } from './caller.js';
import type { Instance } from './instances.js';
import type { CutOff } from './metrics.js';
import { readLeaseRequest, type FeedRoutesOptions } from './routes.js';
import type { FeedSettings } from './settings.js';

export interface SocketOptions extends FeedRoutesOptions {
  readonly settings: Pick<FeedSettings, 'KEELSON_FEED_CONNECTIONS' | 'KEELSON_FEED_BUFFER_BYTES'>;
  readonly logger: Logger;
  /** Who says nothing for so long is not there any more; milliseconds. */
  readonly silentMs?: number;
}

/** Why the server closes a connection (RFC 6455 §7.4.2: 4000 to 4999 are ours). */
export const CLOSE = {
  malformed: 4400,
  /** What follows on `from` is not kept: fetch a snapshot, and come back. */
  snapshotNeeded: 4410,
  tooSlow: 4408,
  tooMuch: 4429,
  retired: 4401,
  connectedAgain: 4409,
  /** It has not attested what it was told: it is told again. */
  again: 4412,
  /** As HTTP's 503. */
  notReady: 4503,
  goingAway: 1001,
  bug: 1011,
} as const;

/** What a connection costs of an instance's budget (limits.ts): it is told the changes that are kept. */
const CONNECT_COST = 5;
const MAX_MESSAGE_BYTES = 1024;
/** Who is told that it is over has so long to answer; who sends too much is not heard any more. */
const ENDS_MS = 5_000;
const FLOOD_ENDS_MS = 500;
/** A guard asks for a lease every 5 s at least. */
const SILENT_MS = 90_000;

const CUT_OFF: Partial<Record<number, CutOff>> = {
  [CLOSE.malformed]: 'malformed',
  [CLOSE.tooSlow]: 'silent',
  [CLOSE.tooMuch]: 'flood',
  [CLOSE.retired]: 'retired',
  [CLOSE.connectedAgain]: 'replaced',
};

export async function registerSocket(http: Http, options: SocketOptions): Promise<void> {
  /** By instance: of several the newest. */
  const connections = new Map<string, Connection>();
  options.metrics.gauge(
    'keelson_feed_connections',
    'Instances that are connected to this process',
    () => connections.size,
  );
  const { silentMs = SILENT_MS } = options;
  // One timer for all of them: 10,000 would wake this process as often.
  const sweep = setInterval(() => {
    const nowMs = performance.now();
    for (const connection of connections.values()) {
      connection.endIfSilent(nowMs - silentMs);
      connection.endIfRetired(nowMs - silentMs / 3);
    }
  }, silentMs / 6).unref();
  const stop = options.feed.onFrame((from, frame) => {
    // A Buffer, once: of anything else `ws` makes one for each connection.
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
    for (const connection of connections.values()) connection.tell(from, bytes);
  });
  const stopKeys = options.keys.onSet((keySet) => {
    for (const connection of connections.values()) connection.tellKeys(keySet);
  });
  const stopOut = options.points.onOut((isOut, why) => {
    for (const connection of connections.values()) {
      if (!isOut(connection.instance)) continue;
      if (why === 'retired') connection.end(CLOSE.retired, 'this instance was retired');
      else connection.end(CLOSE.again, 'connect again: what was told is not attested');
    }
  });
  await http.register(websocket, { options: { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false } });
  http.addHook('preClose', async () => {
    stop();
    stopOut();
    stopKeys();
    clearInterval(sweep);
    for (const connection of connections.values()) connection.end(CLOSE.goingAway, 'this server stops');
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
      request.instance = await authenticateInstance(options, request, CONNECT_COST);
      if (connections.size >= options.settings.KEELSON_FEED_CONNECTIONS) {
        throw new KeelsonError('overloaded', 'this feed process has enough connections: ask another', {
          retryAfterS: 5,
        });
      }
      // Before the upgrade: an answer of HTTP says more than a close code.
      void options.feed.core;
      options.keys.requireInForce();
    },
    handler: () => {
      throw new KeelsonError('malformed_request', 'this is a WebSocket: send Upgrade, or ask /v1/feed/changes');
    },
    wsHandler: (socket, request: FastifyRequest) => {
      const { from } = request.query as { from: string };
      const name = formatHex(request.instance.id);
      const connection = new Connection(socket, request.instance, options);
      request.raw.socket.on('data', (bytes: Buffer) => connection.read(bytes.length));
      connections.get(name)?.end(CLOSE.connectedAgain, 'this instance has connected again');
      connections.set(name, connection);
      socket.once('close', () => {
        if (connections.get(name) === connection) connections.delete(name);
      });
      connection.begin(parseInteger('from', from, 0, 999_999_999_999_999));
    },
  });
}

class Connection {
  /** Told up to here. */
  #seq = 0;
  #ended = false;
  #heardMs = performance.now();
  /** When it was known not to be retired. */
  #foundMs = performance.now();
  readonly #gone = new AbortController();

  constructor(
    private readonly socket: WebSocket,
    readonly instance: Instance,
    private readonly options: SocketOptions,
  ) {
    socket.on('message', (data, isBinary) => this.#hear(data as Buffer, isBinary));
    socket.on('ping', () => (this.#heardMs = performance.now()));
    socket.on('error', () => this.end(CLOSE.malformed, 'not what a feed hears'));
    socket.once('close', () => this.#gone.abort());
  }

  begin(from: number): void {
    const { core } = this.options.feed;
    // First of all: a snapshot can't be read without.
    this.#send(this.options.keys.keySet);
    const frame = core.frameFrom(from);
    if (frame === undefined) return this.end(CLOSE.snapshotNeeded, 'fetch the snapshot');
    this.#send(frame);
    this.#seq = core.seq;
  }

  /** A frame that follows on `from`. */
  tell(from: number, frame: Uint8Array): void {
    if (from !== this.#seq) return;
    this.#send(frame);
    this.#seq = this.options.feed.core.seq;
  }

  /** So many bytes have come, whatever they are: pings are counted nowhere else. */
  read(bytes: number): void {
    if (!this.#ended && !this.options.limits.maySend(this.instance.id, bytes)) this.#endFlood();
  }

  tellKeys(keySet: Uint8Array): void {
    if (!this.#ended) this.#send(keySet);
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const why = CUT_OFF[code];
    if (why !== undefined) this.options.metrics.cutOff(why);
    this.socket.close(code, reason);
    // Who does not answer is gone, whether they know or not.
    setTimeout(() => this.socket.terminate(), code === CLOSE.tooMuch ? FLOOD_ENDS_MS : ENDS_MS).unref();
  }

  /** Nothing more is read of it: what it sends meanwhile waits in its own kernel. */
  #endFlood(): void {
    this.end(CLOSE.tooMuch, 'too many messages');
    this.socket.pause();
  }

  /** @param latestMs since when it must have said something, monotonic */
  endIfSilent(latestMs: number): void {
    if (this.#heardMs < latestMs) this.end(CLOSE.tooSlow, 'nothing was heard of this instance');
  }

  /**
   * Ends it where its instance was retired and this process did not hear of it. Who asks for leases is looked for each time anyway.
   * @param latestMs since when it must have been looked for, monotonic
   */
  endIfRetired(latestMs: number): void {
    if (this.#ended || this.#foundMs >= latestMs) return;
    this.#isQuarantined().catch((error: unknown) => {
      if (!(error instanceof KeelsonError) || error.code === 'unauthenticated') this.#fail(error);
    });
  }

  #hear(data: Buffer, isBinary: boolean): void {
    if (this.#ended) return;
    this.#heardMs = performance.now();
    if (!this.options.limits.mayTell(this.instance.id)) return this.#endFlood();
    this.#take(data, isBinary).catch((error: unknown) => this.#fail(error));
  }

  async #take(data: Buffer, isBinary: boolean): Promise<void> {
    if (!isBinary) throw new KeelsonError('malformed_message', 'not binary');
    const magic = data.toString('latin1', 0, 4);
    if (magic === 'KLR1') return this.#lease(data);
    if (magic === 'KAC1') return this.options.acks.take(this.options.feed.core, this.instance, data);
    throw new KeelsonError('malformed_message', 'neither a lease request nor an ack');
  }

  /** Grants only to who is not retired, nor in quarantine, when they ask and when they are answered. */
  async #lease(data: Buffer): Promise<void> {
    const request = await readLeaseRequest(this.options.realm, this.instance, data);
    if (await this.#isQuarantined()) return;
    const grant = await this.options.feed.lease(request, this.#gone.signal);
    if (grant !== undefined && !(await this.#isQuarantined())) this.#send(grant);
  }

  /** @throws KeelsonError `unauthenticated`: it was retired */
  async #isQuarantined(): Promise<boolean> {
    const { quarantined } = await this.options.instances.find(this.instance.id);
    this.#foundMs = performance.now();
    return quarantined;
  }

  #fail(error: unknown): void {
    if (!(error instanceof KeelsonError)) {
      this.options.logger.error({ err: error }, 'feed: a bug');
      return this.end(CLOSE.bug, 'internal');
    }
    this.options.metrics.refused(error.code);
    // It comes again: the database may, too, and a feed that is behind will know the seq.
    if (error.code === 'database_unavailable' || error.code === 'not_ready' || error.code === 'overloaded') return;
    if (error.code === 'unauthenticated') this.end(CLOSE.retired, 'this instance was retired');
    else this.end(CLOSE.malformed, error.code);
  }

  #send(bytes: Uint8Array): void {
    if (this.socket.bufferedAmount > this.options.settings.KEELSON_FEED_BUFFER_BYTES) {
      if (!this.#ended) this.options.metrics.cutOff('slow');
      this.#ended = true;
      this.socket.terminate();
      return;
    }
    this.socket.send(bytes, { binary: true });
  }
}
