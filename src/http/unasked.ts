import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Follows the connections on which nobody has asked for anything yet. Node counts them as busy, and would let each hold up a stop
 * until its headers are overdue.
 * @returns ends them all, and those that still come.
 */
export function endUnasked(server: Server): () => void {
  const unasked = new Set<Socket>();
  let ending = false;
  const asked = ({ socket }: IncomingMessage): void => void unasked.delete(socket);
  server.prependListener('connection', (socket: Socket) => {
    if (ending) return void socket.destroy();
    unasked.add(socket);
    socket.once('close', () => unasked.delete(socket));
  });
  server.prependListener('request', asked);
  server.prependListener('upgrade', asked);
  return () => {
    ending = true;
    for (const socket of unasked) socket.destroy();
  };
}
