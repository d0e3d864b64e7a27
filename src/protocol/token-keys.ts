/** From what is known of a token to the keys it descends from: the one mapping that server, check API and guards use. */
import type { Hasher } from '../core/hasher.js';
import { makeKeyDeriver, type KeyType } from './keys.js';

/** Somebody or something as an issuer knows it. */
export interface Named {
  /** Undefined: the issuer of the token. */
  readonly issuer?: string | undefined;
  readonly id: string;
}

/** What an enforcement point knows of a token that it is shown; never the token itself. */
export interface TokenFacts {
  /** Claim iss. */
  readonly issuer?: string | undefined;
  /** Claim jti. */
  readonly jti?: string | undefined;
  /** SHA-256 of the token, hex. */
  readonly digest?: string | undefined;
  /** Claim sub. */
  readonly subject?: string | undefined;
  /** The same person, or others the token acts for, by other names (claims oid, email, a hop of the delegation chain). */
  readonly subjects?: readonly Named[] | undefined;
  /** By which of its names the person is known to whoever reads of it, by this issuer; the subject where absent. No key follows from it. */
  readonly person?: string | undefined;
  /** Claim sid. */
  readonly sessionId?: string | undefined;
  /** Claim client_id or azp. */
  readonly clientId?: string | undefined;
  readonly agents?: readonly string[] | undefined;
  /** The chain of claim act, where it is not known whether an actor is an agent, a client or a person. */
  readonly actors?: readonly Named[] | undefined;
  readonly delegations?: readonly string[] | undefined;
  readonly grants?: readonly string[] | undefined;
  /** The groups that the token lists. */
  readonly groups?: readonly string[] | undefined;
  readonly tool?: string | undefined;
  readonly environment?: string | undefined;
  /** Claim iat, microseconds since 1970 UTC. */
  readonly issuedAtUs?: number | undefined;
}

/** A key, and what it is the key of. */
export interface TypedKey {
  readonly type: KeyType;
  readonly key: Uint8Array;
}

/**
 * The keys of a token, each once. A token is refused if the table says so of any of them.
 * Of what an issuer may or may not be named for (client, session, grant) both keys are derived, with and without it.
 */
export const keysOfToken = (hasher: Hasher, guardKey: Uint8Array, facts: TokenFacts): Uint8Array[] =>
  typedKeysOfToken(hasher, guardKey, facts).map(({ key }) => key);

/** The same keys, each with what it is the key of. */
export function typedKeysOfToken(hasher: Hasher, guardKey: Uint8Array, facts: TokenFacts): TypedKey[] {
  const derive = makeKeyDeriver(hasher, guardKey);
  const keys: TypedKey[] = [];
  const seen = new Set<string>();
  const add = (type: KeyType, issuer: string, ...values: string[]): void => {
    const name = JSON.stringify([type, issuer, ...values]);
    if (seen.has(name)) return;
    seen.add(name);
    keys.push({ type, key: derive(type, issuer, ...values) });
  };
  const issuer = facts.issuer ?? '';
  const addEither = (type: KeyType, value: string): void => {
    add(type, issuer, value);
    add(type, '', value);
  };

  if (facts.jti !== undefined) add('token', issuer, facts.jti);
  if (facts.digest !== undefined) add('token', '', facts.digest.toLowerCase());
  const persons = [...(facts.subject === undefined ? [] : [{ id: facts.subject }]), ...(facts.subjects ?? [])];
  for (const person of persons) {
    const by = person.issuer ?? issuer;
    add('principal', by, person.id);
    for (const group of facts.groups ?? []) add('membership', by, person.id, group);
  }
  if (facts.sessionId !== undefined) addEither('session', facts.sessionId);
  if (facts.clientId !== undefined) addEither('client', facts.clientId);
  for (const agent of facts.agents ?? []) add('agent', '', agent);
  for (const actor of facts.actors ?? []) {
    const by = actor.issuer ?? issuer;
    add('agent', '', actor.id);
    add('principal', by, actor.id);
    add('client', by, actor.id);
    add('client', '', actor.id);
  }
  for (const delegation of facts.delegations ?? []) add('delegation', '', delegation);
  for (const grant of facts.grants ?? []) addEither('grant', grant);
  if (facts.tool !== undefined) add('tool', '', facts.tool);
  if (facts.environment !== undefined) add('environment', '', facts.environment);
  return keys;
}
