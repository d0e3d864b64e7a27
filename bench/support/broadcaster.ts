/**
 * What the fan-out is measured against, a process of its own: a bare WebSocket server that sends what is posted to everybody who is
 * connected, and a route that says the newest number to whoever polls.
 */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { nowMs } from './now.js';

let newest = Buffer.alloc(4);
const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(newest);
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const bytes = Buffer.concat(chunks);
    newest = bytes.subarray(0, 4);
    const firstMs = nowMs();
    for (const client of sockets.clients) client.send(bytes, { binary: true });
    response.end(String(firstMs));
  });
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.listen(0, '127.0.0.1', () => process.send!(server.address()));
process.on('disconnect', () => process.exit(0));
