/** Which instance asks: by the signature of its request. */
import type { FastifyRequest } from 'fastify';
import { KeelsonError } from '../core/error.js';
import type { Clock } from '../platform/clock.js';
import { checkRequest, parseRequest } from '../protocol/request.js';
import type { Realm } from '../protocol/signed.js';
import type { Instance, Instances } from './instances.js';

export interface InstanceAuth {
  readonly instances: Instances;
  readonly realm: Realm;
  readonly clock: Clock;
}

/** @throws KeelsonError `unauthenticated`, whatever is wrong; `database_unavailable` */
export async function authenticateInstance(
  { instances, realm, clock }: InstanceAuth,
  { headers, method, url }: FastifyRequest,
): Promise<Instance> {
  try {
    const { instance: id, bytes } = parseRequest(headers.authorization, Number(clock.nowUs()));
    const instance = await instances.find(id);
    checkRequest(realm, instance.publicKey, { method, path: url }, bytes);
    return instance;
  } catch (error) {
    if (error instanceof KeelsonError && (error.code === 'malformed_message' || error.code === 'bad_signature')) {
      throw new KeelsonError('unauthenticated', 'this request is not signed by an instance that has joined');
    }
    throw error;
  }
}
