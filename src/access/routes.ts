/** `/v1/tokens` and `/v1/producers`: for callers with the scope `admin`. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp } from '../events/time.js';
import { SCOPES } from '../http/caller.js';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { pageLimit, PageQuery } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { Clock } from '../platform/clock.js';
import type { Access } from './access.js';
import { issueToken } from './issue.js';
import { PRODUCER_ID, ProducerConfig } from './producer.js';
import type { TokenRow } from './store.js';

export interface AccessRoutesOptions {
  readonly access: Access;
  readonly clock: Clock;
  readonly cursors: Cursors;
  /** The fields that may be mapped, by protocol: what `mappings` of a producer is checked against. */
  readonly mappingFields: Readonly<Record<string, readonly string[]>>;
  /** What else a configuration is checked for. @throws KeelsonError `invalid_request` */
  readonly requireUsable?: (config: ProducerConfig) => void | Promise<void>;
}

const ScopeName = Type.Enum([...SCOPES]);
const config: FastifyContextConfig = { access: ['admin'] };
const tags = ['access'];
const Time = Type.String({ description: 'RFC 3339, UTC' });

const Text = { maxLength: 2048 };
const Holder = Type.Object({ issuer: Type.String(), id: Type.String() });

const Token = Type.Object({
  id: Type.String(),
  producer: Type.String(),
  name: Type.String(),
  scopes: Type.Array(ScopeName),
  createdAt: Time,
  createdBy: Type.String({ description: 'Id of the token that made it, or `bootstrap`' }),
  expiresAt: Type.Optional(Time),
  revokedAt: Type.Optional(Time),
  lastUsedAt: Type.Optional(Type.String({ description: 'To the minute or so' })),
  holder: Type.Optional(Holder),
});

const NewToken = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'What it is for' }),
    producer: Type.String({ pattern: PRODUCER_ID, description: 'Made where it is new' }),
    scopes: Type.Array(ScopeName, { minItems: 1, uniqueItems: true }),
    holder: Type.Optional(
      Type.Object(
        {
          issuer: Type.Optional(Type.String({ ...Text, description: 'Absent: the configured one of the producer' })),
          id: Type.String({ ...Text, minLength: 1 }),
        },
        {
          additionalProperties: false,
          description: 'The person who will hold it: nobody approves their own, whichever of their tokens they use',
        },
      ),
    ),
    expiresInS: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 * 366 * 86_400, description: 'Seconds' })),
  },
  { additionalProperties: false },
);

const ProducerId = Type.Object({ id: Type.String({ pattern: PRODUCER_ID }) });
const ProducerView = Type.Object({ id: Type.String(), config: ProducerConfig });

export function registerAccess(http: Http, options: AccessRoutesOptions): void {
  registerTokens(http, options);
  registerProducers(http, options);
}

function registerTokens(http: Http, { access, clock, cursors }: AccessRoutesOptions): void {
  http.post(
    '/v1/tokens',
    {
      config,
      schema: {
        tags,
        summary: 'Make a token; its text is shown this once',
        body: NewToken,
        response: {
          201: Type.Object({ ...Token.properties, token: Type.String({ description: 'kls_…' }) }),
          '4xx': Problem,
        },
      },
    },
    async (request, reply) => {
      const { holder, ...asked } = request.body;
      const { token, row } = await issueToken(access.store, clock, {
        ...asked,
        createdBy: request.caller.tokenId,
        ...(holder === undefined ? {} : { holder: await nameHolder(access, asked.producer, holder) }),
      });
      return reply.code(201).send({ ...view(row), token });
    },
  );

  http.get(
    '/v1/tokens',
    {
      config,
      schema: {
        tags,
        summary: 'Every token, oldest first',
        querystring: Type.Object(PageQuery, { additionalProperties: false }),
        response: {
          200: Type.Object({ tokens: Type.Array(Token), next: Type.Optional(Type.String()) }),
          '4xx': Problem,
        },
      },
    },
    async ({ query }) => {
      const limit = pageLimit(query);
      const [atUs = '0', id = ''] = query.cursor === undefined ? [] : cursors.parse('tokens', query.cursor);
      const rows = await access.store.listTokens({ createdAtUs: BigInt(atUs), id }, limit + 1);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      if (rows.length <= limit || last === undefined) return { tokens: page.map(view) };
      return { tokens: page.map(view), next: cursors.format('tokens', [String(last.createdAtUs), last.id]) };
    },
  );

  http.delete(
    '/v1/tokens/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Revoke a token: here at once, in other processes within seconds',
        params: Type.Object({ id: Type.String() }),
        response: { 204: Type.Null(), '4xx': Problem },
      },
    },
    async (request, reply) => {
      const hash = await access.store.revokeToken(request.params.id, clock.nowUs());
      if (hash === undefined) throw new KeelsonError('not_found', 'there is no such token');
      access.forget({ tokenHash: hash });
      return reply.code(204).send(null);
    },
  );
}

async function nameHolder(
  { store }: Access,
  producer: string,
  { issuer, id }: { issuer?: string; id: string },
): Promise<Static<typeof Holder>> {
  return { id, issuer: issuer ?? (await store.findProducer(producer))?.config.issuer ?? '' };
}

function registerProducers(http: Http, { access, clock, mappingFields, requireUsable }: AccessRoutesOptions): void {
  http.put(
    '/v1/producers/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Make a producer, or replace its configuration',
        params: ProducerId,
        body: ProducerConfig,
        response: { 200: ProducerView, '4xx': Problem },
      },
    },
    async ({ params, body }) => {
      requireFields(body, mappingFields);
      await requireUsable?.(body);
      await access.store.putProducer(params.id, body, clock.nowUs());
      access.forget({ producer: params.id });
      return { id: params.id, config: body };
    },
  );

  http.get(
    '/v1/producers/:id',
    {
      config,
      schema: {
        tags,
        summary: 'A producer’s configuration',
        params: ProducerId,
        response: { 200: ProducerView, '4xx': Problem },
      },
    },
    async ({ params }) => {
      const producer = await access.store.findProducer(params.id);
      if (producer === undefined) throw new KeelsonError('not_found', 'there is no such producer');
      return { id: producer.id, config: producer.config };
    },
  );
}

/** @throws KeelsonError `invalid_request` for a protocol or field that no parser asks for: a typo would be silent. */
function requireFields(config: ProducerConfig, known: Readonly<Record<string, readonly string[]>>): void {
  for (const [protocol, fields] of Object.entries(config.mappings ?? {})) {
    for (const field of Object.keys(fields)) {
      if (known[protocol]?.includes(field) === true) continue;
      const pointer = `/mappings/${protocol}/${field}`;
      throw new KeelsonError('invalid_request', `${protocol} has no field ${field} to map`, { pointer });
    }
  }
}

function view(row: TokenRow): Static<typeof Token> {
  return {
    id: row.id,
    producer: row.producer,
    name: row.name,
    scopes: [...row.scopes],
    createdAt: formatTimestamp(row.createdAtUs),
    createdBy: row.createdBy,
    ...(row.expiresAtUs === null ? {} : { expiresAt: formatTimestamp(row.expiresAtUs) }),
    ...(row.revokedAtUs === null ? {} : { revokedAt: formatTimestamp(row.revokedAtUs) }),
    ...(row.lastUsedAtUs === null ? {} : { lastUsedAt: formatTimestamp(row.lastUsedAtUs) }),
    ...(row.holder === null ? {} : { holder: row.holder }),
  };
}
