/** Which instance asks: by the signature of its request. */
import type { FastifyContextConfig, FastifyRequest } from 'fastify';
import { KeelsonError, type ErrorCode } from '../core/error.js';
import type { Clock } from '../platform/clock.js';
import { parseRequest, signedRequest } from '../protocol/request.js';
import type { Realm } from '../protocol/signed.js';
import { requireInService, type Instance, type Instances } from './instances.js';
import type { Limits } from './limits.js';
import { checkSignedBy } from './signatures.js';

const NOT_THEIRS: ReadonlySet<ErrorCode> = new Set(['unauthenticated', 'malformed_message', 'bad_signature']);

export interface InstanceAuth {
  readonly instances: Instances;
  readonly realm: Realm;
  readonly clock: Clock;
  readonly limits: Limits;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set on the routes of the feed that instances sign. */
    instance: Instance;
  }
}

/** A route that instances sign: who asks is known, and within their limits, before a body is read. @param cost as in `Limits.asked` */
export const signedRoute = (
  auth: InstanceAuth,
  cost = 1,
): { config: FastifyContextConfig; onRequest: (request: FastifyRequest) => Promise<void> } => ({
  config: { access: 'own' },
  onRequest: async (request) => {
    request.instance = await authenticateInstance(auth, request, cost);
  },
});

/**
 * @param cost as in `Limits.asked`
 * @throws KeelsonError `unauthenticated`, whatever is wrong; `overloaded`: see limits.ts; `database_unavailable`
 */
export async function authenticateInstance(
  { instances, realm, clock, limits }: InstanceAuth,
  { headers, method, url, ip, server }: FastifyRequest,
  cost = 1,
): Promise<Instance> {
  let claimed: Instance | undefined;
  try {
    const { instance: id, bytes } = parseRequest(headers.authorization, Number(clock.nowUs()));
    limits.requireRoom(ip, id);
    claimed = await instances.get(id);
    if (claimed === undefined) throw new KeelsonError('unauthenticated', 'no instance of this name has joined');
    requireInService(claimed);
    await checkSignedBy(claimed, realm, 'request', signedRequest({ method, path: url }, bytes));
    limits.asked(id, cost);
    return claimed;
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    if (error.code === 'overloaded') await limits.hold(server.closing);
    if (!NOT_THEIRS.has(error.code)) throw error;
    limits.failed(ip, claimed?.id);
    if (error.code === 'unauthenticated') throw error;
    throw new KeelsonError('unauthenticated', 'this request is not signed by an instance that has joined');
  }
}
