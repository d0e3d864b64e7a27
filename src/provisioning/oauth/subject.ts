/** Subject identifiers (RFC 9493), as persons that a source may name. */
import { ownedIssuers, scimIssuer, type Producer } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { isObject, type Json, type JsonObject } from '../../events/index.js';
import type { Person } from '../../vault/index.js';

const MAX_IDENTIFIERS = 20;
const MAX_ID = 2048;

/**
 * Everybody whom an identifier names: one person, under one name or several.
 * @throws KeelsonError `invalid_request` for a form that is unknown, or narrower than a person; `forbidden` where this source owns the
 *   issuer of none of the names
 */
export function readSubject(producer: Producer, subject: Json | undefined): Person[] {
  const named = readIdentifier(producer, subject, '/sub_id', true);
  const owned = ownedIssuers(producer);
  const allowed = named.filter(({ issuer }) => issuer !== '' && owned.has(issuer));
  if (allowed.length === 0) {
    throw new KeelsonError('forbidden', `${producer.id} does not own the issuer of this person`, {
      pointer: '/sub_id',
    });
  }
  return allowed;
}

function readIdentifier(producer: Producer, value: Json | undefined, pointer: string, outermost: boolean): Person[] {
  const { config } = producer;
  if (!isObject(value)) throw new KeelsonError('invalid_request', 'a subject identifier is an object', { pointer });
  const { format } = value;
  if (format === 'iss_sub') return [{ issuer: textOf(value, 'iss', pointer), id: textOf(value, 'sub', pointer) }];
  if (format === 'email') {
    return [{ issuer: config.openid?.emailIssuer ?? issuerOf(producer), id: textOf(value, 'email', pointer) }];
  }
  if (format === 'opaque') {
    return [{ issuer: config.openid?.opaqueIssuer ?? ownNames(producer), id: textOf(value, 'id', pointer) }];
  }
  if (format === 'aliases' && outermost) return readAliases(producer, value, pointer);
  if (format === 'complex' && outermost) return readComplex(producer, value, pointer);
  throw new KeelsonError('invalid_request', 'a subject identifier of another format than is taken here', {
    pointer: `${pointer}/format`,
  });
}

function readAliases(producer: Producer, { identifiers }: JsonObject, pointer: string): Person[] {
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MAX_IDENTIFIERS) {
    throw new KeelsonError('invalid_request', `identifiers are 1 to ${MAX_IDENTIFIERS}`, {
      pointer: `${pointer}/identifiers`,
    });
  }
  return identifiers.flatMap((one, i) => readIdentifier(producer, one, `${pointer}/identifiers/${i}`, false));
}

/** Of a user on one device, or in one tenant, only part would have to end. */
function readComplex(producer: Producer, value: JsonObject, pointer: string): Person[] {
  const narrower = Object.keys(value).find((name) => name !== 'format' && name !== 'user');
  if (narrower !== undefined) {
    throw new KeelsonError('invalid_request', 'only a user as a whole is signed out', {
      pointer: `${pointer}/${narrower}`,
    });
  }
  return readIdentifier(producer, value.user, `${pointer}/user`, false);
}

const issuerOf = ({ config }: Producer): string => config.openid?.issuer ?? config.issuer ?? '';

/** Names that were given here: the ids of a SCIM source's users; else those of the provider. */
const ownNames = (producer: Producer): string =>
  producer.config.scim === undefined ? issuerOf(producer) : scimIssuer(producer.id);

function textOf(value: JsonObject, name: string, pointer: string): string {
  const text = value[name];
  if (typeof text === 'string' && text !== '' && text.length <= MAX_ID) return text;
  throw new KeelsonError('invalid_request', `${name} is a text of 1 to ${MAX_ID} characters`, {
    pointer: `${pointer}/${name}`,
  });
}
