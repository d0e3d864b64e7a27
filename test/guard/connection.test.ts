/** How a guard's connection takes it when the other side is there and says nothing. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { Connection, type ConnectionOptions } from '../../src/guard/connection.js';
import { FEED_TYPE } from '../../src/guard/transport.js';
import { instanceSigner, LEDGER, seed } from './support.js';

const membership = {
  instance: seed('an instance').subarray(0, 16),
  ledger: LEDGER,
  generation: 1,
  guardKey: seed('guard key'),
  rootKey: seed('root key'),
  signer: instanceSigner,
};

interface Peer {
  /** A WebSocket was opened, with its `from`. */
  onSocket: (socket: WebSocket, from: string) => void;
  /** A request came. */
  onRequest: (path: string, response: ServerResponse) => void;
  /** No WebSocket is opened: what it is answered with instead. */
  onUpgrade?: () => { status: number; headers: Record<string, string> };
}

const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

async function connectTo(peer: Peer, more: Partial<ConnectionOptions> = {}) {
  const server = createServer((request, response) => peer.onRequest(request.url!, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new WebSocketServer({
    server,
    autoPong: false,
    verifyClient: (_info, answer) => {
      const refused = peer.onUpgrade?.();
      answer(refused === undefined, refused?.status, 'refused', refused?.headers);
    },
  });
  sockets.on('connection', (socket, request) => peer.onSocket(socket, new URL(request.url!, 'http://x').search));
  const heard: string[] = [];
  const problems: unknown[] = [];
  const connection = new Connection({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    membership,
    transport: 'auto',
    seq: () => 3,
    floor: () => 7,
    hear: (bytes) => void heard.push(Buffer.from(bytes).toString()),
    onSeek: () => undefined,
    onOpen: () => undefined,
    onAlive: () => heard.push('pong'),
    onProblem: (error) => problems.push(error),
    ...more,
  });
  endings.push(() => {
    connection.close();
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  return { connection, heard, problems };
}

describe('a connection', () => {
  it('gives up a snapshot that stalls, not one that is slow, and asks for it again at once', async () => {
    const asked: string[] = [];
    const answers: ServerResponse[] = [];
    const peer: Peer = {
      onSocket: (socket, from) => {
        asked.push(from);
        if (answers.length === 0) socket.close(4410);
      },
      onRequest: (path, response) => {
        asked.push(path);
        response.writeHead(200, { 'content-type': FEED_TYPE });
        response.write('the ');
        if (answers.push(response) === 1) return;
        // All in all longer than there may be nothing.
        const words = ['whole ', 'ta', 'b', 'l', 'e'];
        const timer = setInterval(() => {
          response.write(words.shift());
          if (words.length > 0) return;
          clearInterval(timer);
          response.end();
        }, 150);
      },
    };
    const { connection, heard, problems } = await connectTo(peer, { stallMs: 500 });
    connection.open();
    await vi.waitFor(() => expect(asked).toHaveLength(4), { timeout: 20_000 });
    expect(asked).toEqual(['?from=3', '/v1/feed/snapshot?from=7', '/v1/feed/snapshot?from=7', '?from=3']);
    expect(heard).toEqual(['the whole table']);
    expect(problems).toMatchObject([{ code: 'timeout' }]);
    expect(answers[0]!.closed).toBe(true);
  });

  it.each(['websocket', 'poll'] as const)('leaves a server alone for as long as it asks to: %s', async (transport) => {
    const askedMs: number[] = [];
    const headers = { 'retry-after': '1' };
    const ask = (): void => void askedMs.push(performance.now());
    const peer: Peer = {
      onSocket: () => undefined,
      onUpgrade: () => (ask(), { status: 503, headers }),
      onRequest: (_path, response) => {
        ask();
        response.writeHead(503, headers).end();
      },
    };
    const { connection, problems } = await connectTo(peer, { transport });
    connection.open();
    await vi.waitFor(() => expect(askedMs).toHaveLength(2), { timeout: 20_000 });
    // The first time it would be back after 0.3 s at the latest. Timers may be early by a millisecond.
    expect(askedMs[1]! - askedMs[0]!).toBeGreaterThan(990);
    expect(problems[0]).toMatchObject({ code: 'not_ready', retryAfterS: 1 });
  });

  it('asks whether anybody is there; given up, it is made anew', async () => {
    const sockets: WebSocket[] = [];
    const peer: Peer = {
      onSocket: (socket) => {
        sockets.push(socket);
        socket.on('ping', (data: Buffer) => socket.pong(data));
      },
      onRequest: () => undefined,
    };
    const steps: string[] = [];
    const { connection, heard } = await connectTo(peer, {
      onSeek: () => steps.push('sought'),
      onOpen: () => steps.push('open'),
    });
    connection.open();
    await vi.waitFor(() => expect(steps).toEqual(['sought', 'open']));
    connection.ping();
    await vi.waitFor(() => expect(heard).toEqual(['pong']));
    connection.giveUp();
    await vi.waitFor(() => expect(sockets).toHaveLength(2));
    expect(sockets[0]!.readyState).toBe(sockets[0]!.CLOSED);
    await vi.waitFor(() => expect(steps).toEqual(['sought', 'open', 'sought', 'open']));
  });
});
