import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MemoryGate } from './gate.js';

/** The server that rooms register their routes on; `createHttp` makes it. */
export type Http = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Where routes that read raw bodies account for them. */
    memory: MemoryGate;
    /** Aborts when the server is about to stop: before it waits for the answers that are under way. */
    closing: AbortSignal;
  }
}
