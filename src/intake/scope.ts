/** Which events a producer may send. */
import { KeelsonError } from '../core/error.js';
import { ownedIssuers } from '../access/producer.js';
import type { BodyValue, Separated } from '../events/separate.js';
import type { EventSchema, SchemaTopic } from '../events/schema.js';
import type { Scope } from '../http/caller.js';
import type { Sender } from './sender.js';

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

/** What decides over causes and orders, whoever they came from: never a producer's own word. */
const DECIDES = /^revocation\.(approved|denied|cancelled|rescheduled|lift_requested)$/;
/** What ends access, joins persons, or says who answers for what; and the persons that it is about. */
const ABOUT: readonly (readonly [RegExp, RegExp])[] = [
  [/^principal\./, /^\/(principal$|aliases\/)/],
  [/^revocation\./, /^\/principal$/],
  [/^(agent|client|tool)\./, /^\/(owner|successor)$/],
];

/**
 * A producer speaks only for persons of issuers that it owns (docs/events.md, "Who may say it"); a caller with the scope `admin` for all.
 * What it has revoked beside persons must be named by such an issuer.
 *
 * @throws KeelsonError `forbidden`.
 */
export function requireOwned({ type, persons, body }: Separated, { producer, scopes }: Sender): void {
  if (scopes.has('admin')) return;
  if (DECIDES.test(type)) {
    throw new KeelsonError('forbidden', `${type} needs a token with the scope admin`, { pointer: '/type' });
  }
  const about = ABOUT.find(([types]) => types.test(type))?.[1];
  if (about === undefined) return;
  const owned = ownedIssuers(producer);
  const noIssuer = producer.config.issuer ?? '';
  for (const { pointer, issuer = noIssuer } of persons) {
    if (!about.test(pointer) || owned.has(issuer)) continue;
    throw new KeelsonError('forbidden', `${producer.id} does not own the issuer of this person`, { pointer });
  }
  if (type === 'revocation.requested' && !ownsTarget(body.target, owned)) {
    throw new KeelsonError('forbidden', `${producer.id} does not own the issuer of what it wants revoked`, {
      pointer: '/target',
    });
  }
}

/** Without a target it is about a person. What no issuer names (agents, tools) is for `admin`. */
function ownsTarget(target: BodyValue | undefined, owned: ReadonlySet<string>): boolean {
  if (typeof target !== 'object' || target === null || Array.isArray(target) || Buffer.isBuffer(target)) return true;
  return typeof target.issuer === 'string' && target.issuer !== '' && owned.has(target.issuer);
}
