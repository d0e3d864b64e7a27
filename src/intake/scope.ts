/** Which events a producer may send. */
import { KeelsonError } from '../core/error.js';
import type { EventSchema, SchemaTopic } from '../events/schema.js';
import type { Scope } from '../http/caller.js';

/** Said by Keelson alone: about logs, quarantine, erasure, time, what it checked, and what its revocation processor decided. */
const RESERVED =
  /^(log|record|subject|registration)\.|^tick$|^revocation\.(term|held|fired|ordered|extended|lifted|expired|refused)$/;

/** The scope that a type of this topic needs. */
const scopeOf = (topic: SchemaTopic): Scope => (topic === 'lifecycle' ? 'publish:lifecycle' : 'publish:decisions');

/**
 * @param topics where given, the only ones this endpoint takes
 * @throws KeelsonError `unknown_event_type`, `invalid_event`, `forbidden`.
 */
export function requirePublishable(
  type: string,
  schema: EventSchema,
  scopes: ReadonlySet<Scope>,
  topics: readonly SchemaTopic[] | undefined,
): void {
  if (RESERVED.test(type) || schema.topic === 'any') {
    throw new KeelsonError('unknown_event_type', 'only Keelson itself says this', { pointer: '/type' });
  }
  if (topics !== undefined && !topics.includes(schema.topic)) {
    throw new KeelsonError('invalid_event', `${type} does not belong here; send it to /v1/events`, {
      pointer: '/type',
    });
  }
  const scope = scopeOf(schema.topic);
  if (!scopes.has(scope)) {
    throw new KeelsonError('forbidden', `${type} needs a token with the scope ${scope}`, { pointer: '/type' });
  }
}
