import type { FastifyReply } from 'fastify';

/**
 * For answers that wait for something to happen: aborts when nobody is there to take them any more, and when this server is about to
 * stop, which then need not wait for them.
 */
export function whenGone({ raw, server }: FastifyReply): AbortSignal {
  // Who went before anybody waited is not told of again.
  if (raw.destroyed) return AbortSignal.abort();
  const gone = new AbortController();
  const abort = (): void => gone.abort();
  if (server.closing.aborted) abort();
  // Taken away again with the connection: the other signal lives as long as the server.
  server.closing.addEventListener('abort', abort);
  raw.once('close', () => {
    server.closing.removeEventListener('abort', abort);
    abort();
  });
  return gone.signal;
}
