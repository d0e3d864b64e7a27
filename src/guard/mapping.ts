/**
 * From the claims of a verified token to what is asked of the table. A mapping is data, so that it has a hash: an ack says by which mapping
 * an instance looks, and the server can tell which kinds of keys it can't see.
 */
import { encodeUtf8 } from '../core/bytes.js';
import type { Hasher } from '../core/hasher.js';
import type { KeyType } from '../protocol/keys.js';
import type { Named, TokenFacts } from '../protocol/token-keys.js';
import type { MappingSummary } from './core.js';

/** Names of claims; of several the first that is there counts. */
type Claims = string | readonly string[];

/** Which claim says what. Claims are top-level members. */
export interface Mapping {
  readonly issuer?: Claims;
  readonly jti?: Claims;
  readonly subject?: Claims;
  /** Further names of the same person at the same issuer. */
  readonly aliases?: readonly string[];
  readonly sessionId?: Claims;
  readonly clientId?: Claims;
  readonly groups?: Claims;
  readonly grants?: readonly string[];
  readonly delegations?: readonly string[];
  readonly environment?: Claims;
  /** Where the enforcement point is; of a token that does not say another. No claim, but the name itself. */
  readonly ownEnvironment?: string;
  /** Claims that name agents; a SPIFFE ID as `sub` is one anyway. */
  readonly agents?: readonly string[];
  /** RFC 8693: the chain of who acts. */
  readonly actor?: string;
  /** Seconds since 1970. */
  readonly issuedAt?: Claims;
}

/** RFC 9068 access tokens, RFC 8693 actors; grants, delegations and the environment by the names that they have everywhere in Keelson. */
export const STANDARD: Mapping = {
  issuer: 'iss',
  jti: 'jti',
  subject: 'sub',
  sessionId: 'sid',
  clientId: ['client_id', 'azp'],
  groups: 'groups',
  grants: ['grant_id', 'grant'],
  delegations: ['delegation_id', 'delegation'],
  environment: 'environment',
  actor: 'act',
  issuedAt: 'iat',
};

/** Microsoft Entra ID: `sub` is another for each application, `oid` is the person; `uti` is the token. */
export const ENTRA: Mapping = {
  ...STANDARD,
  jti: ['uti', 'jti'],
  aliases: ['oid'],
  clientId: ['azp', 'appid'],
};

/** Keycloak: older versions name the session `session_state`. */
export const KEYCLOAK: Mapping = {
  ...STANDARD,
  sessionId: ['sid', 'session_state'],
  clientId: ['azp', 'client_id'],
};

export type ClaimSet = Readonly<Record<string, unknown>>;

/** An `act` chain is followed so far; a longer one is refused by who verifies tokens, or should be. */
const MAX_ACTORS = 32;
const MAX_VALUES = 1_000;

/**
 * What is known of a token by its claims.
 * @param claims of a token whose signature was checked.
 * @param digest SHA-256 of the token, lower-case hex, so that it can be revoked by that, too.
 */
export function readClaims(mapping: Mapping, claims: ClaimSet, digest?: string): TokenFacts {
  const text = (names: Claims | undefined): string | undefined => {
    for (const name of [names ?? []].flat()) {
      const value = own(claims, name);
      if (typeof value === 'string' && value !== '') return value;
    }
    return undefined;
  };
  const issuer = text(mapping.issuer);
  const subject = text(mapping.subject);
  const aliases = texts(claims, mapping.aliases);
  const agents = texts(claims, mapping.agents);
  if (subject?.startsWith('spiffe://')) agents.push(subject);
  const actors = mapping.actor === undefined ? [] : readActors(own(claims, mapping.actor));
  for (const { id } of actors) if (id.startsWith('spiffe://')) agents.push(id);
  const groups = [mapping.groups ?? []]
    .flat()
    .map((name) => own(claims, name))
    .find(Array.isArray) as unknown[] | undefined;
  const issuedAt = [mapping.issuedAt ?? []]
    .flat()
    .map((name) => own(claims, name))
    .find((value) => value !== undefined);
  return {
    issuer,
    jti: text(mapping.jti),
    digest,
    subject,
    subjects: aliases.map((id) => ({ id })),
    // Who names another claim knows people by that: Entra's `sub` is another for each application.
    person: aliases[0],
    sessionId: text(mapping.sessionId),
    clientId: text(mapping.clientId),
    agents,
    actors,
    delegations: texts(claims, mapping.delegations),
    grants: texts(claims, mapping.grants),
    environment: text(mapping.environment) ?? mapping.ownEnvironment,
    groups: groups?.filter(isText).slice(0, MAX_VALUES) ?? [],
    // What is no number counts as not said: under a cutoff that is refused.
    issuedAtUs: typeof issuedAt === 'number' && Number.isFinite(issuedAt) ? issuedAt * 1_000_000 : undefined,
  };
}

/** Which kinds of keys a mapping can find, and its hash: SHA-256 of its JSON, members in order, no white space (RFC 8785). */
export function summarize(hasher: Hasher, mapping: Mapping): MappingSummary {
  const hash = new Uint8Array(32);
  hasher.sha256(encodeUtf8(canonical(mapping)), hash, 0);
  const has = (type: KeyType, ...members: (keyof Mapping)[]): KeyType[] =>
    members.some((member) => mapping[member] !== undefined) ? [type] : [];
  const keyTypes = [
    ...has('token', 'jti'),
    ...has('grant', 'grants'),
    ...has('session', 'sessionId'),
    ...has('principal', 'subject', 'aliases'),
    ...has('delegation', 'delegations'),
    ...has('agent', 'agents', 'subject', 'actor'),
    ...has('client', 'clientId'),
    ...has('membership', 'groups'),
    ...has('environment', 'environment', 'ownEnvironment'),
    // The host names it with each call.
    'tool',
  ] satisfies KeyType[];
  return { hash, keyTypes };
}

function readActors(act: unknown): Named[] {
  const actors: Named[] = [];
  for (let actor = act; isClaimSet(actor) && actors.length < MAX_ACTORS; actor = own(actor, 'act')) {
    const [id, issuer] = [own(actor, 'sub'), own(actor, 'iss')];
    if (isText(id)) actors.push(isText(issuer) ? { issuer, id } : { id });
  }
  return actors;
}

function texts(claims: ClaimSet, names: readonly string[] | undefined): string[] {
  const found: string[] = [];
  for (const name of names ?? []) {
    const value = own(claims, name);
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) if (isText(one)) found.push(one);
  }
  return found.slice(0, MAX_VALUES);
}

const own = (claims: ClaimSet, name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined);

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const isClaimSet = (value: unknown): value is ClaimSet =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 8785, of texts and lists of these. A member that is `undefined` is none. */
const canonical = (mapping: Mapping): string =>
  JSON.stringify(Object.fromEntries(Object.entries(mapping).sort(([a], [b]) => (a < b ? -1 : 1))));
