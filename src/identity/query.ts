/** Query parameters of questions about the graph. All of them arrive as text; each is checked by its schema or here. */
import { Type, type Static, type TSchema } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { parseTimestamp } from '../events/time.js';
import { PageQuery } from '../http/paging.js';
import type { NodeKind } from './kinds.js';
import { STATES } from './standing.js';

export const NODE_TYPES = [
  'principal',
  'agent',
  'client',
  'token',
  'grant',
  'session',
  'delegation',
  'tool',
  'environment',
  'point',
] as const satisfies readonly NodeKind[];
export type NodeType = (typeof NODE_TYPES)[number];

const text = (description: string): TSchema => Type.String({ minLength: 1, maxLength: 4096, description });
const Text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description }));
const Time = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: `${description}; RFC 3339` }));
const Issuer = (description: string) => Type.Optional(Type.String({ maxLength: 4096, description }));

const At = Time('As entries that the event log had taken by then say');
export const TypeParams = Type.Object({ type: Type.Enum([...NODE_TYPES]) });
export const NodeParams = Type.Object({
  type: Type.Enum([...NODE_TYPES]),
  id: text(
    'Percent-encoded; a person by an identifier, or as `subject:` and a pseudonym; a token by its jti or digest',
  ),
});
export const NodeQuery = Type.Object(
  { issuer: Issuer('Who knows it by this id'), at: At },
  { additionalProperties: false },
);
export type NodeQuery = Static<typeof NodeQuery>;

export const EdgesQuery = Type.Object(
  {
    ...PageQuery,
    issuer: Issuer('Who knows it by this id'),
    at: At,
    direction: Type.Optional(
      Type.Enum(['above', 'below'], { description: 'What it hangs on, or (default) what hangs on it' }),
    ),
  },
  { additionalProperties: false },
);

export const ListQuery = Type.Object(
  {
    ...PageQuery,
    issuer: Issuer('Known to, or issued by'),
    state: Type.Optional(
      Type.Enum([...STATES, 'live'], { description: 'How it stands; of tokens `live`, `expired` or `ended`' }),
    ),
    expiresBefore: Time('In force, and over by then'),
    unusedSince: Type.Optional(
      Type.String({
        pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
        description: 'No decision since the beginning of this day (UTC) names it',
      }),
    ),
    owner: Text('Owned by this person: an identifier, or `subject:` and a pseudonym; by other names of theirs, too'),
    ownerIssuer: Issuer('Issuer of `owner`'),
    environment: Text('Belongs to this environment'),
    riskLevel: Text('As registered'),
    registeredFrom: Time('First registered at or after'),
    registeredTo: Time('First registered at or before'),
    principal: Text('Tokens: names, serves or served this person, given as `owner` is'),
    principalIssuer: Issuer('Issuer of `principal`'),
    agent: Text('Tokens: names, or was used by, this agent'),
    client: Text('Tokens: this client'),
    session: Text('Tokens: this session'),
    grant: Text('Tokens: this grant'),
    delegation: Text('Tokens: this delegation'),
    point: Text('Tokens: cached by this enforcement point'),
    accepted: Type.Optional(
      Type.Enum(['true', 'false', 'any'], {
        description: 'Tokens: those that a point took for good (default), those that none took, or both',
      }),
    ),
  },
  { additionalProperties: false },
);
export type ListQuery = Static<typeof ListQuery>;

const FOR_BOTH = new Set(['limit', 'cursor', 'issuer', 'state', 'expiresBefore', 'unusedSince']);
const FOR_TOKENS = new Set([
  'principal',
  'principalIssuer',
  'agent',
  'client',
  'session',
  'grant',
  'delegation',
  'point',
  'accepted',
]);
const TOKEN_STATES = new Set(['live', 'expired', 'ended']);

/** @throws KeelsonError `invalid_query` where a filter is not one of this type's. */
export function requireFilters(type: NodeType, query: ListQuery): void {
  for (const name of Object.keys(query)) {
    if (!FOR_BOTH.has(name) && FOR_TOKENS.has(name) !== (type === 'token')) {
      refuse(name, `is no filter of a list of type ${type}`);
    }
  }
  const { state } = query;
  if (state === undefined) return;
  if (type === 'token' ? !TOKEN_STATES.has(state) : state === 'live' || state === 'accepted') {
    refuse('state', `is nothing that a ${type} can be`);
  }
}

/** Microseconds since 1970. @throws KeelsonError `invalid_query` */
export function parseTime(name: string, value: string | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  try {
    return parseTimestamp(value);
  } catch (cause) {
    throw new KeelsonError('invalid_query', `${name} must be an RFC 3339 date-time with an offset`, {
      pointer: `/${name}`,
      cause,
    });
  }
}

/** @throws KeelsonError `invalid_query` also for a time to come: of that nobody knows anything yet. */
export function parseAt(value: string | undefined, nowUs: bigint): bigint | undefined {
  const atUs = parseTime('at', value);
  if (atUs !== undefined && atUs > nowUs) refuse('at', 'lies in the future');
  return atUs;
}

/** Days since 1970. @throws KeelsonError `invalid_query` */
export function parseDay(name: string, value: string | undefined): number | undefined {
  const us = value === undefined ? undefined : parseTime(name, `${value}T00:00:00Z`);
  return us === undefined ? undefined : Number(us / 86_400_000_000n);
}

export const isPseudonym = (text: string): boolean => /^[0-9a-f]{32}$/.test(text);

export function refuse(name: string, what: string): never {
  throw new KeelsonError('invalid_query', `${name} ${what}`, { pointer: `/${name}` });
}
