/** `POST /v1/check`, `GET /v1/revocations`, `/v1/revocations/:id`. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { parseTimestamp } from '../events/time.js';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { pageLimit, PageQuery } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { TokenFacts } from '../protocol/token-keys.js';
import { Causes } from './causes.js';
import { checkFacts } from './check.js';
import type { KeyMaterial } from './state.js';
import { AsOf, Revocation, viewCause, viewPositions } from './views.js';

export interface RevocationRoutesOptions {
  readonly database: Database;
  readonly material: KeyMaterial;
  readonly clock: Clock;
  readonly cursors: Cursors;
  /** `KEELSON_REVOCATION_SKEW_MS` */
  readonly skewMs: number;
}

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['read', 'admin'] };

export function registerRevocation(http: Http, options: RevocationRoutesOptions): void {
  registerCheck(http, options);
  registerLists(http, options);
}

const Name = Type.String({ minLength: 1, maxLength: 2048 });
const Names = Type.Array(Name, { maxItems: 100 });
const Person = Type.Object({ issuer: Type.Optional(Name), id: Name }, { additionalProperties: false });

const Facts = Type.Object(
  {
    issuer: Type.Optional(Name),
    jti: Type.Optional(Name),
    digest: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{64}$', description: 'SHA-256 of the token' })),
    subject: Type.Optional(Name),
    subjects: Type.Optional(Type.Array(Person, { maxItems: 100, description: 'The same person by other names' })),
    session_id: Type.Optional(Name),
    client_id: Type.Optional(Name),
    agents: Type.Optional(Names),
    actors: Type.Optional(
      Type.Array(Person, { maxItems: 100, description: 'The chain of claim act, outermost first' }),
    ),
    delegations: Type.Optional(Names),
    grants: Type.Optional(Names),
    groups: Type.Optional(Type.Array(Name, { maxItems: 1000 })),
    tool: Type.Optional(Name),
    environment: Type.Optional(Name),
    issued_at: Type.Optional(
      Type.Union([
        Type.String({ description: 'RFC 3339' }),
        Type.Number({ description: 'Seconds since 1970 (claim iat)' }),
      ]),
    ),
  },
  { additionalProperties: false, minProperties: 1, description: 'What is known of a token; never the token itself' },
);

const Answer = Type.Object({
  revoked: Type.Boolean({ description: 'False means that nothing here speaks against the token. It permits nothing.' }),
  reason: Type.Optional(Type.String({ description: 'blocked, cutoff, no_issue_time or issued_in_future' })),
  order: Type.Optional(Type.String({ description: 'An order that makes it so: see /v1/revocations' })),
  changedAtSeq: Type.Optional(Type.Integer({ description: 'The change of the table that made it so' })),
  seq: Type.Integer({ description: 'The answer knows the table up to this change' }),
  asOf: AsOf,
});

function registerCheck(http: Http, { database, material, clock, skewMs }: RevocationRoutesOptions): void {
  http.post(
    '/v1/check',
    {
      config: { access: ['read', 'publish:decisions', 'admin'] },
      schema: {
        tags,
        summary: 'Are these token facts revoked?',
        body: Facts,
        response: { 200: Answer, '4xx': Problem },
      },
    },
    async ({ body }, reply) => {
      const { verdict, order, seq, asOf } = await checkFacts(
        database,
        material,
        readFacts(body),
        Number(clock.nowUs()),
        skewMs * 1000,
      );
      void reply.header('cache-control', 'no-store');
      if (!verdict.revoked) return { revoked: false, seq, asOf: viewPositions(asOf) };
      return {
        revoked: true,
        reason: verdict.reason,
        ...(order === undefined ? {} : { order }),
        changedAtSeq: verdict.seq,
        seq,
        asOf: viewPositions(asOf),
      };
    },
  );
}

function readFacts({ session_id, client_id, issued_at, ...facts }: Static<typeof Facts>): TokenFacts {
  return {
    ...facts,
    ...(session_id === undefined ? {} : { sessionId: session_id }),
    ...(client_id === undefined ? {} : { clientId: client_id }),
    ...(issued_at === undefined ? {} : { issuedAtUs: readIssueTime(issued_at) }),
  };
}

function readIssueTime(at: string | number): number {
  if (typeof at === 'string') return Number(parseTimestamp(at, '/issued_at'));
  const us = Math.floor(at * 1e6);
  if (!Number.isSafeInteger(us) || us < 0) {
    throw new KeelsonError('invalid_request', 'expected seconds since 1970', { pointer: '/issued_at' });
  }
  return us;
}

const ListQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(
      Type.Enum(['pending', 'scheduled', 'held', 'ordered', 'settled', 'lifted', 'cancelled', 'denied', 'refused']),
    ),
    source: Type.Optional(Type.String({ maxLength: 100, description: 'The producer that it came from' })),
    subject: Type.Optional(Type.String({ pattern: '^[0-9a-f]{32}$', description: 'A pseudonym' })),
  },
  { additionalProperties: false },
);

function registerLists(http: Http, { database, cursors }: RevocationRoutesOptions): void {
  const causes = new Causes(database);
  http.get(
    '/v1/revocations',
    {
      config,
      schema: {
        tags,
        summary: 'What made, or will make, access end: newest first',
        querystring: ListQuery,
        response: {
          200: Type.Object({ revocations: Type.Array(Revocation), asOf: AsOf, next: Type.Optional(Type.String()) }),
          '4xx': Problem,
        },
      },
    },
    async ({ query }) => {
      const limit = pageLimit(query);
      const { state, source, subject, cursor } = query;
      const list = `/v1/revocations?${JSON.stringify([state, source, subject])}`;
      const before = cursor === undefined ? undefined : BigInt(cursors.parse(list, cursor)[0]!);
      const filter = {
        ...(state === undefined ? {} : { state }),
        ...(source === undefined ? {} : { producer: source }),
        ...(subject === undefined ? {} : { subject }),
      };
      const { causes: found, asOf } = await causes.list(filter, before, limit + 1);
      const page = found.slice(0, limit);
      const next = found.length > limit ? { next: cursors.format(list, [String(page.at(-1)!.index)]) } : {};
      return { revocations: page.map((cause) => viewCause(cause)), asOf: viewPositions(asOf), ...next };
    },
  );

  http.get(
    '/v1/revocations/:id',
    {
      config,
      schema: {
        tags,
        summary: 'One of them, by the name of its order or the id of its cause',
        params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 1024 }) }),
        response: { 200: Revocation, '4xx': Problem },
      },
    },
    async ({ params }) => {
      const found = await causes.find(params.id);
      if (found === undefined) throw new KeelsonError('not_found', 'there is no such revocation (yet)');
      return viewCause(found.cause, found.keys);
    },
  );
}
