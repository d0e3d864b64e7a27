/** An identity source: a producer that provisions, and how its resources name accounts and groups. */
import type { Producer, ScimConfig } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import type { JsonObject } from '../../events/index.js';
import type { Person } from '../../vault/index.js';
import { invalidValue } from './resource.js';
import { parseResourcePath, readAt } from './resource-path.js';
import { RESOURCE_TYPES } from './schema.js';

export interface Source {
  readonly id: string;
  readonly producer: Producer;
  readonly config: ScimConfig;
  /** Of tokens that name its persons and groups. */
  readonly issuer: string;
}

/** @throws KeelsonError `forbidden` for a producer that is not configured as a source. */
export function openSource(producer: Producer): Source {
  const { scim, issuer } = producer.config;
  if (scim === undefined) {
    throw new KeelsonError(
      'forbidden',
      `the producer ${producer.id} has no scim configuration: it is no identity source`,
    );
  }
  return { id: producer.id, producer, config: scim, issuer: scim.issuer ?? issuer ?? '' };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The accounts of a user, as the source's configuration maps them.
 * @throws KeelsonError `invalid_value` where there is none: a leaver could not be told from anybody's tokens.
 */
export function readAliases({ config, issuer }: Source, user: JsonObject): Person[] {
  if (config.vendor === 'entra') requireObjectId(user);
  const aliases = new Map<string, Person>();
  for (const alias of config.aliases) {
    const path = parseResourcePath(alias.attribute, RESOURCE_TYPES.User);
    for (const value of readAt(user, path)) {
      if (typeof value !== 'string' || value === '') continue;
      const person = { issuer: alias.issuer ?? issuer, id: value };
      aliases.set(JSON.stringify(person), person);
    }
  }
  if (aliases.size === 0) {
    const mapped = config.aliases.map(({ attribute }) => attribute).join(', ');
    throw invalidValue(
      `this user has none of ${mapped}, so no token could be told to be theirs: map one of these attributes at the identity provider`,
    );
  }
  return [...aliases.values()];
}

/** Entra's default mapping puts mailNickname into externalId, and nothing that its tokens name. */
function requireObjectId({ externalId }: JsonObject): void {
  if (typeof externalId === 'string' && UUID.test(externalId)) return;
  throw invalidValue(
    externalId === undefined
      ? 'externalId is missing: in Entra’s attribute mappings map objectId to externalId; userPrincipalName alone changes and is given again to others'
      : 'externalId is no object id: in Entra’s attribute mappings map objectId (not mailNickname, Entra’s default, or userPrincipalName) to externalId',
  );
}

/**
 * What tokens call a group.
 * @throws KeelsonError `invalid_value` where the attribute that the source is configured with is missing.
 */
export function readClaim({ config }: Source, id: string, group: JsonObject): string {
  const claim = config.groupClaim === 'id' ? id : group[config.groupClaim];
  if (typeof claim !== 'string' || claim === '') {
    throw invalidValue(`${config.groupClaim} is missing: this source’s groups are named by it in tokens`);
  }
  if (claim.length > 1024) throw invalidValue(`${config.groupClaim} is longer than 1024 characters`);
  return claim;
}

/** @throws KeelsonError `invalid_request`: a mapping that no user could have. */
export function requireUsableScim({ scim }: Producer['config']): void {
  for (const [i, { attribute }] of (scim?.aliases ?? []).entries()) {
    try {
      parseResourcePath(attribute, RESOURCE_TYPES.User);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      throw new KeelsonError('invalid_request', `${attribute}: ${error.message}`, {
        pointer: `/scim/aliases/${i}/attribute`,
      });
    }
  }
}
