/** Which events a producer may send. */
import { KeelsonError } from '../core/error.js';
import { ownedIssuers } from '../access/producer.js';
import type { BodyValue, Separated } from '../events/separate.js';
import type { JsonObject } from '../events/json.js';
import type { EventSchema, SchemaTopic } from '../events/schema.js';
import type { Scope } from '../http/caller.js';
import type { Sender } from './sender.js';

/** Said by Keelson alone: about logs, quarantine, erasure, time, what it checked, and what its revocation processor decided. */
const RESERVED =
  /^(log|record|subject|registration|ack|case)\.|^tick$|^revocation\.(term|held|fired|ordered|extended|lifted|expired|refused)$/;

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
const DECIDES = /^revocation\.(approved|denied|lift_requested)$/;
/** What a second person says: an event that names its own actor would be anybody's. */
const ANSWERS = /^revocation\.(approved|denied)$/;
/** What a source may also say of a cause of its own that waits for its time, and then says that it speaks for itself. */
const OF_ITS_OWN = /^revocation\.(cancelled|rescheduled)$/;
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
export function requireOwned({ type, persons, body }: Separated, sender: Sender): void {
  const { producer, scopes } = sender;
  if (ANSWERS.test(type) && scopes.has('admin') && sender.isPerson === undefined) {
    throw new KeelsonError('forbidden', `${type} says who answers: ask for it at /v1/revocations`, {
      pointer: '/type',
    });
  }
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
  if (type === 'revocation.requested' && !ownsTarget(body.target, owned, sender.showedToken)) {
    throw new KeelsonError('forbidden', `${producer.id} does not own the issuer of what it wants revoked`, {
      pointer: '/target',
    });
  }
}

/**
 * Says in an event that its source speaks for itself, where only `admin` could speak for others: whose cause it is, is told when it is
 * folded.
 *
 * @returns the members that were added
 * @throws KeelsonError `forbidden` where it says otherwise
 */
export function markSource(type: string, event: JsonObject, scopes: ReadonlySet<Scope>): readonly string[] {
  if (!OF_ITS_OWN.test(type) || scopes.has('admin')) return [];
  if (event.by_source === undefined) {
    event.by_source = true;
    return ['by_source'];
  }
  if (event.by_source === true) return [];
  throw new KeelsonError('forbidden', 'speaking for others needs a token with the scope admin', {
    pointer: '/by_source',
  });
}

/**
 * Without a target it is about a person. What no issuer names (agents, tools) is for `admin`; so is a digest, which is in the ledger for
 * everybody to read, but for whoever showed the token.
 */
function ownsTarget(target: BodyValue | undefined, owned: ReadonlySet<string>, showedToken: true | undefined): boolean {
  if (typeof target !== 'object' || target === null || Array.isArray(target) || Buffer.isBuffer(target)) return true;
  if (typeof target.digest === 'string' && showedToken === undefined) return false;
  return typeof target.issuer === 'string' && target.issuer !== '' && owned.has(target.issuer);
}
