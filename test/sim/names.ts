/** Who and what there is in the simulation, and the keys that stand for them. */
import { deriveCanaryKey, deriveKey, type KeyType } from '../../src/protocol/keys.js';
import type { TokenFacts } from '../../src/protocol/token-keys.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { digestOf } from './keys.js';

export const LEDGER = 'ledger.example';
export const GUARD_KEY = digestOf('guard key');
export const CANARY = 'canary/';
export const CANARY_KEY = deriveCanaryKey(hasher, GUARD_KEY);
export const IDP = 'https://idp';
const SCOPED: readonly string[] = ['principal', 'token'];

/** What can be revoked, as `type/value`. */
export const NAMES = [
  ...['principal/ana', 'principal/bob', 'principal/eve', 'agent/crawler', 'agent/writer', 'tool/deploy', 'tool/read'],
  ...['token/t0', 'token/t1', 'token/t2'],
];
/** What lifts leave a cutoff on, and a fresh token is good for. */
export const TOOLS = ['deploy', 'read', 'mail'];

const keys = new Map<string, Uint8Array>();

/** The key of a name. */
export function keyOf(name: string): Uint8Array {
  let key = keys.get(name);
  if (key === undefined) {
    const [type, value] = name.split('/') as [KeyType, string];
    key = name === CANARY ? CANARY_KEY : deriveKey(hasher, GUARD_KEY, type, SCOPED.includes(type) ? IDP : '', value);
    keys.set(name, key);
  }
  return key;
}

export interface Token {
  readonly id: number;
  readonly facts: TokenFacts;
  /** The names it descends from. */
  readonly names: readonly string[];
}

export function makeToken(id: number, person: string, agent: string, issuedAtUs: number | undefined): Token {
  const jti = `t${id}`;
  const facts = { issuer: IDP, subject: person, agents: [agent], jti, issuedAtUs };
  return { id, facts, names: [`principal/${person}`, `agent/${agent}`, `token/${jti}`] };
}
