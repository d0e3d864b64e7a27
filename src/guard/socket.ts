/** The feed over a WebSocket. */
import { WebSocket } from 'ws';
import { refusal, signedHeader, type Ending, type FeedAddress, type Listener, type Transport } from './transport.js';

/** After a restart of the server ten thousand come back at once: who gives up too soon made it work for nothing. */
const HANDSHAKE_MS = 20_000;
const SNAPSHOT_NEEDED = 4410;

export function openSocket(address: FeedAddress, listener: Listener, onEnd: (ending: Ending) => void): Transport {
  const path = `/v1/feed?from=${listener.seq()}`;
  const url = new URL(path, address.url);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, { headers: signedHeader(address, 'GET', path), handshakeTimeout: HANDSHAKE_MS });
  let heard = false;
  let isRefused = false;
  socket.once('open', () => listener.onOpen());
  socket.on('message', (data) => {
    heard = true;
    listener.hear(data as Buffer);
  });
  socket.on('unexpected-response', (_request, { statusCode = 0, headers }) => {
    isRefused = true;
    listener.onProblem(refusal(statusCode, headers['retry-after'] ?? null, `GET ${path}: HTTP ${statusCode}`));
    socket.terminate();
  });
  socket.on('error', (error) => {
    if (!isRefused) listener.onProblem(error);
  });
  socket.on('pong', () => listener.onAlive());
  socket.once('close', (code) => onEnd({ heard, snapshotNeeded: code === SNAPSHOT_NEEDED }));
  return {
    send: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes, { binary: true });
    },
    refresh: () => socket.terminate(),
    ping: () => {
      if (socket.readyState === WebSocket.OPEN) socket.ping();
    },
    giveUp: () => socket.terminate(),
    close: () => socket.terminate(),
  };
}
