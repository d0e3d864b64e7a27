/** Query parameters of a search to what is asked. All of them arrive as text; each is checked by its schema or here. */
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { parseTimestamp } from '../events/time.js';
import { pageLimit, PageQuery, parseInteger } from '../http/paging.js';
import type { Filter, TimeRange } from './filter.js';
import { uuidText, type NameKind, type ThingKind } from './keys.js';
import type { Direction } from './statement.js';

/** Hits of one page with proofs: each proof is read on its own. */
const PROOFS_MAX = 100;
const WAIT_MS_MAX = 30_000;

const Text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description }));
const Time = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: `${description}; RFC 3339` }));
const Risk = (description: string) =>
  Type.Optional(Type.String({ pattern: '^-?[0-9]{1,9}(\\.[0-9]{1,9})?$', description }));

/** What every list of hits takes. */
export const HitsQuery = {
  ...PageQuery,
  proof: Type.Optional(
    Type.String({
      pattern: '^(true|false)$',
      description: `With inclusion proofs; then at most ${PROOFS_MAX} hits a page`,
    }),
  ),
};

export const SearchQuery = Type.Object(
  {
    event: Text('Event id'),
    agent: Text('Agent, acting or in the delegation chain'),
    principal: Text(
      'A person: an identifier at `issuer`, or `subject:` and a pseudonym; other known aliases are found, too',
    ),
    issuer: Type.Optional(
      Type.String({ maxLength: 4096, description: 'Issuer of `principal`; where absent, every configured one' }),
    ),
    tool: Text('Tool'),
    decision: Type.Optional(Type.String({ pattern: '^(allow|deny)$', description: '`allow` or `deny`' })),
    policy: Text('Policy version, or the revision of a bundle'),
    token: Text('jti or digest of a token'),
    session: Text('Session'),
    task: Text('Task'),
    environment: Text('Environment'),
    producer: Text('Producer'),
    type: Text('Event type'),
    from: Time('Appended to the event log at or after'),
    to: Time('Appended to the event log at or before'),
    occurredFrom: Time('Happened at or after'),
    occurredTo: Time('Happened at or before'),
    riskMin: Risk('Risk score of at least'),
    riskMax: Risk('Risk score of at most'),
    order: Type.Optional(
      Type.String({
        pattern: '^(asc|desc)$',
        description: 'By (append time, log, index): `desc` (default) newest first',
      }),
    ),
    ...HitsQuery,
    waitMs: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,5}$',
        description: `With order=asc: how long to wait for a first hit, up to ${WAIT_MS_MAX}`,
      }),
    ),
  },
  { additionalProperties: false },
);
export type SearchQuery = Static<typeof SearchQuery>;

/** How persons are found by what somebody calls them. */
export interface Persons {
  /** The pseudonyms of everybody whom one of these issuers knows by this identifier. */
  lookupAny(issuers: Iterable<string>, id: string): Promise<readonly Uint8Array[]>;
}

/** What is asked, but for whom: the pseudonyms of `principal` are looked up afterwards. */
export interface ParsedQuery {
  readonly filter: Filter;
  readonly person: PersonQuery | undefined;
  readonly direction: Direction;
  readonly limit: number;
  readonly proof: boolean;
  readonly waitMs: number;
}

export type PersonQuery = { readonly subject: string } | { readonly issuer: string | undefined; readonly id: string };

const NAMES = {
  agent: 'agent',
  tool: 'tool',
  decision: 'decision',
  policy: 'policy',
  environment: 'environment',
  producer: 'producer',
  type: 'type',
} as const satisfies Partial<Record<keyof SearchQuery, NameKind>>;
const THINGS = { event: 'event', token: 'token', session: 'session', task: 'task' } as const satisfies Partial<
  Record<keyof SearchQuery, ThingKind>
>;

/** @throws KeelsonError `invalid_query`, pointing at the parameter. */
export function parseQuery(query: SearchQuery): ParsedQuery {
  const names = (Object.keys(NAMES) as (keyof typeof NAMES)[]).flatMap((name) => {
    const value = query[name];
    return value === undefined ? [] : [{ kind: NAMES[name], texts: [value] }];
  });
  const things = (Object.keys(THINGS) as (keyof typeof THINGS)[]).flatMap((name) => {
    const value = query[name];
    return value === undefined ? [] : [{ kind: THINGS[name], text: value }];
  });
  const riskMin = query.riskMin === undefined ? undefined : Number(query.riskMin);
  const riskMax = query.riskMax === undefined ? undefined : Number(query.riskMax);
  if (riskMin !== undefined && riskMax !== undefined && riskMin > riskMax) refuse('riskMax', 'is below riskMin');
  const direction = query.order === 'asc' ? 'asc' : 'desc';
  if (query.waitMs !== undefined && direction === 'desc') refuse('waitMs', 'goes with order=asc');
  if (query.issuer !== undefined && query.principal === undefined) refuse('issuer', 'goes with principal');
  return {
    filter: {
      names,
      things,
      appended: parseRange(query, 'from', 'to'),
      occurred: parseRange(query, 'occurredFrom', 'occurredTo'),
      ...(riskMin === undefined ? {} : { riskMin }),
      ...(riskMax === undefined ? {} : { riskMax }),
    },
    person: parsePerson(query),
    direction,
    ...parsePage(query),
    waitMs: query.waitMs === undefined ? 0 : parseInteger('waitMs', query.waitMs, 0, WAIT_MS_MAX),
  };
}

/** @throws KeelsonError `invalid_query`. */
export function parsePage(query: { limit?: string; proof?: string }): { limit: number; proof: boolean } {
  const proof = query.proof === 'true';
  const limit = proof && query.limit === undefined ? PROOFS_MAX : pageLimit(query);
  if (proof && limit > PROOFS_MAX) refuse('limit', `must be at most ${PROOFS_MAX} with proof=true`);
  return { limit, proof };
}

function parsePerson({ principal, issuer }: SearchQuery): PersonQuery | undefined {
  if (principal === undefined) return undefined;
  if (!principal.startsWith('subject:') || issuer !== undefined) return { issuer, id: principal };
  const subject = principal.slice('subject:'.length);
  if (!/^[0-9a-f]{32}$/.test(subject)) refuse('principal', 'must be 32 lowercase hex digits after subject:');
  return { subject };
}

/** The filter with the person in it. Nobody of that name: a group that nothing is in, so that nothing is found. */
export async function findPerson(
  filter: Filter,
  person: PersonQuery | undefined,
  persons: Persons,
  issuers: () => Promise<Iterable<string>>,
): Promise<Filter> {
  if (person === undefined) return filter;
  const texts =
    'subject' in person
      ? [person.subject]
      : (await persons.lookupAny(person.issuer === undefined ? await issuers() : [person.issuer], person.id)).map(
          uuidText,
        );
  return { ...filter, names: [...filter.names, { kind: 'principal', texts }] };
}

type TimeName = 'from' | 'to' | 'occurredFrom' | 'occurredTo';

function parseRange(query: SearchQuery, from: TimeName, to: TimeName): TimeRange {
  const fromUs = parseTime(query, from);
  const toUs = parseTime(query, to);
  if (fromUs !== undefined && toUs !== undefined && fromUs > toUs) refuse(to, `is before ${from}`);
  return { ...(fromUs === undefined ? {} : { fromUs }), ...(toUs === undefined ? {} : { toUs }) };
}

function parseTime(query: SearchQuery, name: TimeName): bigint | undefined {
  const value = query[name];
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

function refuse(name: keyof SearchQuery, what: string): never {
  throw new KeelsonError('invalid_query', `${name} ${what}`, { pointer: `/${name}` });
}
