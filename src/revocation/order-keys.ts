/** Which keys an order is to hold: ancestors, and those descendants whose tokens name none of them. Pure. */
import { formatHex } from '../core/bytes.js';
import { deriveKey, type KeyType } from '../protocol/keys.js';
import { keysOfToken } from '../protocol/token-keys.js';
import { isSignOut, type Cause, type Incomplete, type OrderKey, type OrderKeyType } from './cause.js';
import type { Begun, Owned, SeenToken } from '../identity/views.js';
import type { KeyMaterial } from './state.js';
import type { Belongings, World } from './world.js';

export interface Wanted {
  readonly keys: ReadonlyMap<string, OrderKey>;
  readonly incomplete: readonly Incomplete[];
}

/** Collects keys, each once. */
class Keys {
  readonly keys = new Map<string, OrderKey>();

  constructor(
    private readonly material: KeyMaterial,
    private readonly change: OrderKey['change'],
  ) {}

  add(type: KeyType, issuer: string, values: readonly string[], as: OrderKeyType = type, change = this.change): void {
    const { hasher, guardKey } = this.material;
    this.addKey(formatHex(deriveKey(hasher, guardKey, type, issuer, ...values)), as, change);
  }

  addKey(key: string, type: OrderKeyType, change = this.change): void {
    if (!this.keys.has(key)) this.keys.set(key, { type, change });
  }
}

/**
 * The keys of a cause in this world.
 * @param hasLeft whether somebody has left: they succeed nobody.
 */
export function wantedKeys(
  material: KeyMaterial,
  cause: Cause,
  world: World,
  hasLeft: (subject: string) => boolean,
): Wanted {
  const keys = new Keys(material, cause.effect);
  const incomplete: Incomplete[] = [];
  if (isSignOut(cause)) {
    addSessions(keys, cause, world);
    return { keys: keys.keys, incomplete };
  }
  if (cause.target !== undefined) addTarget(keys, cause.target);
  else if (cause.groups.length > 0 || cause.kind === 'mover') addMemberships(keys, cause, world);
  else {
    addPersons(keys, cause, world, incomplete);
    if (cause.kind !== 'scope_loss') addOwned(keys, cause, world, hasLeft);
  }
  if (cause.kind !== 'mover' && cause.groups.length === 0) addDescendants(keys, material, cause, world, incomplete);
  return { keys: keys.keys, incomplete };
}

/** The keys that are there only because of pseudonyms that turned out to be somebody else's. */
export function lostKeys(material: KeyMaterial, cause: Cause, world: World): ReadonlySet<string> {
  const keys = new Keys(material, cause.effect);
  const there = new Set(world.human.subjects);
  for (const subject of cause.subjects) {
    const person = there.has(subject) ? undefined : world.persons.get(subject);
    if (person === undefined) continue;
    keys.add('principal', person.issuer, [person.id]);
    for (const group of cause.groups) keys.add('membership', person.issuer, [person.id, group]);
  }
  const { lost } = world;
  if (lost !== undefined && cause.groups.length === 0) {
    addNamed(keys, lost, () => cause.effect);
    for (const { type, issuer, id } of lost.owned) keys.add(type, issuer, [id]);
    for (const token of lost.descendants.tokens) addToken(keys, token);
  }
  return new Set(keys.keys.keys());
}

/** The membership keys of groups that somebody has again. */
export function regainedKeys(material: KeyMaterial, cause: Cause, world: World): ReadonlySet<string> {
  const keys = new Keys(material, 'block');
  addMemberships(
    keys,
    { ...cause, groups: cause.groupsAdded },
    { ...world, policy: { ...world.policy, groupless: [] } },
  );
  return new Set(keys.keys.keys());
}

function addTarget(keys: Keys, { type, issuer, value, digest }: NonNullable<Cause['target']>): void {
  if (digest !== undefined) keys.add('token', '', [digest]);
  if (type === 'key') keys.addKey(value, 'key');
  else if (value !== '') {
    keys.add(type as KeyType, issuer, [type === 'token' && issuer === '' ? value.toLowerCase() : value]);
  }
}

/** All sessions of a person at one issuer: those that are known end, and what was issued up to now is refused. */
function addSessions(keys: Keys, cause: Cause, { human, persons, descendants }: World): void {
  const { issuer } = cause.target!;
  for (const subject of human.subjects) {
    const person = persons.get(subject);
    if (person?.issuer === issuer) keys.add('principal', issuer, [person.id], 'principal', 'cutoff');
  }
  for (const one of descendants.sessions) {
    if (one.issuer === issuer) keys.add('session', issuer, [one.id], 'session', endOfBegun(cause, one));
  }
}

/**
 * What becomes of a grant or session of a person. With a cutoff those that were there when it was ordered end for good, whenever the graph
 * learns of them, or what was issued under them would go on by being refreshed; later ones only are as old as they are.
 */
function endOfBegun({ effect, state, orderedUs }: Cause, { firstUs }: Begun): OrderKey['change'] {
  if (effect === 'block' || state !== 'ordered' || orderedUs === undefined) return 'block';
  return firstUs <= orderedUs ? 'block' : 'cutoff';
}

function addMemberships(keys: Keys, { groups }: Cause, { human, persons, policy }: World): void {
  for (const subject of human.subjects) {
    const person = persons.get(subject);
    if (person === undefined) continue;
    for (const group of groups) keys.add('membership', person.issuer, [person.id, group]);
    if (groups.length > 0 && policy.groupless.includes(person.issuer)) {
      keys.add('principal', person.issuer, [person.id], 'principal', 'cutoff');
    }
  }
}

function addPersons(keys: Keys, { kind }: Cause, world: World, incomplete: Incomplete[]): void {
  const { human, persons, policy } = world;
  const issuers = new Set<string>(human.absentIssuers);
  let erased = 0;
  for (const subject of human.subjects) {
    const person = persons.get(subject);
    if (person === undefined) {
      erased++;
      continue;
    }
    issuers.add(person.issuer);
    if (kind === 'scope_loss' && !policy.owns.includes(person.issuer)) continue;
    keys.add('principal', person.issuer, [person.id]);
  }
  if (erased > 0) incomplete.push({ reason: 'erased', count: erased });
  if (kind === 'scope_loss') return;
  for (const issuer of policy.expects) if (!issuers.has(issuer)) incomplete.push({ reason: 'no_alias', issuer });
}

/**
 * What becomes of what somebody owns: it ends, or waits for a new owner; undefined: it goes on under a successor who has not left.
 * @param leavers those who leave with it.
 */
export function endOf(
  { mode, successor }: Pick<Cause, 'mode' | 'successor'>,
  owned: Owned,
  leavers: readonly string[],
  hasLeft: (subject: string) => boolean,
): 'revoke' | 'hold' | undefined {
  const asked = mode ?? (owned.onOwnerLeave === 'block' ? 'revoke' : owned.onOwnerLeave) ?? 'revoke';
  if (asked !== 'transfer') return asked;
  const heir = successor ?? owned.successor;
  return heir !== null && !leavers.includes(heir) && !hasLeft(heir) ? undefined : 'hold';
}

function addOwned(keys: Keys, cause: Cause, { owned, human }: World, hasLeft: (subject: string) => boolean): void {
  for (const one of owned) {
    const end = endOf(cause, one, human.subjects, hasLeft);
    if (end === undefined) continue;
    const { type, issuer, id } = one;
    const as = end === 'revoke' ? type : (`${type}_held` as const);
    keys.add(type, issuer, [id], as);
    // A token names its client with or without the issuer.
    if (type === 'client' && issuer !== '') keys.add(type, '', [id], as);
  }
}

function addNamed(
  keys: Keys,
  { descendants }: Belongings,
  endOf: (one: Begun) => OrderKey['change'],
  wants: (issuer: string) => boolean = () => true,
): void {
  for (const type of ['grant', 'session'] as const) {
    for (const one of descendants[`${type}s`]) {
      if (wants(one.issuer)) keys.add(type, one.issuer, [one.id], type, endOf(one));
    }
  }
  if (!wants('')) return;
  for (const id of descendants.delegations) keys.add('delegation', '', [id]);
  for (const id of descendants.agents) keys.add('agent', '', [id]);
  for (const { issuer, id } of descendants.clients) keys.add('client', issuer, [id]);
}

function addDescendants(keys: Keys, material: KeyMaterial, cause: Cause, world: World, incomplete: Incomplete[]): void {
  const owns = (issuer: string): boolean => cause.kind !== 'scope_loss' || world.policy.owns.includes(issuer);
  addNamed(keys, world, (one) => (cause.principal === undefined ? cause.effect : endOfBegun(cause, one)), owns);
  for (const token of world.descendants.tokens) {
    if (!owns(token.issuer) || isCovered(keys, material, token, world)) continue;
    addToken(keys, token);
  }
  // Not how many: that changes all the time, and each change would be an entry.
  if (isWholePerson(cause) && world.descendants.sharedCount > 0) incomplete.push({ reason: 'unnamed_tokens' });
}

/** Whether a person leaves altogether: what somebody else uses, too, goes on, and may still serve them. */
const isWholePerson = ({ principal, kind }: Cause): boolean => principal !== undefined && kind !== 'scope_loss';

/** Whether a guard that is shown the token derives a key that is there already. */
function isCovered({ keys }: Keys, { hasher, guardKey }: KeyMaterial, token: SeenToken, world: World): boolean {
  const subjects = token.subjects.flatMap((subject) => world.persons.get(subject) ?? []);
  const { issuer, clientId, sessionId, agents, grants, delegations } = token;
  const named = keysOfToken(hasher, guardKey, {
    issuer,
    subjects,
    agents,
    grants,
    delegations,
    ...(clientId === null ? {} : { clientId }),
    ...(sessionId === null ? {} : { sessionId }),
  });
  return named.some((key) => keys.has(formatHex(key)));
}

/** False where nobody knows how to name the token. */
function addToken(keys: Keys, { issuer, jti, digest }: SeenToken): void {
  if (jti !== null) keys.add('token', issuer, [jti]);
  else if (digest !== null) keys.add('token', '', [digest.toLowerCase()]);
}
