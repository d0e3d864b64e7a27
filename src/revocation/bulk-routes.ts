/** `POST /v1/revocations/approve` and `/deny`: an answer for many that are held, each by the rule of one. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { parseTimestamp } from '../events/time.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { BULK_MAX, type BulkFilter, type BulkResult, type Desk } from './desk.js';

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['admin'] };
const Time = Type.String({ description: 'RFC 3339' });

const Many = Type.Object(
  {
    ids: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        minItems: 1,
        maxItems: BULK_MAX,
        description: 'Names of orders, or ids of causes',
      }),
    ),
    source: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'Or what is held of this producer' }),
    ),
    since: Type.Optional(Time),
    until: Type.Optional(Time),
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: '`next` of the answer before' }),
    ),
    reason: Type.String({ minLength: 1, maxLength: 4096, description: 'Why, in words; sealed' }),
    reason_code: Type.Optional(Type.String({ maxLength: 100 })),
    reference: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { additionalProperties: false },
);

const Results = Type.Object({
  results: Type.Array(
    Type.Object({
      id: Type.String({ description: 'Of the cause; as it was asked for where there is none' }),
      order: Type.Optional(Type.String()),
      state: Type.Optional(Type.String({ description: 'As it is now' })),
      code: Type.Optional(Type.String({ description: 'Why nothing was done: forbidden, conflict or not_found' })),
      detail: Type.Optional(Type.String()),
    }),
  ),
  next: Type.Optional(Type.Integer({ description: 'There are more: ask again with this as `after`' })),
});

export function registerBulk(http: Http, desk: Desk): void {
  for (const [path, verb, summary] of [
    ['approve', 'approved', 'Let go what is held: a list, or all of a source; nobody their own'],
    ['deny', 'denied', 'End what is held, a list, or all of a source: it never happens'],
  ] as const) {
    http.post(
      `/v1/revocations/${path}`,
      {
        config,
        schema: { tags, summary, body: Many, response: { 200: Results, '4xx': Problem, '5xx': Problem } },
      },
      async ({ body, caller }) => {
        const { reason, reason_code, reference } = body;
        const why = {
          reason,
          ...(reason_code === undefined ? {} : { reason_code }),
          ...(reference === undefined ? {} : { reference }),
        };
        const { results, next } = await desk.answerMany(caller, readFilter(body), verb, why);
        return { results: results.map(viewResult), ...(next === undefined ? {} : { next: Number(next) }) };
      },
    );
  }
}

function readFilter({ ids, source, since, until, after }: Static<typeof Many>): BulkFilter {
  if ((ids === undefined) === (source === undefined)) {
    throw new KeelsonError('invalid_request', 'name ids or a source, one of the two', { pointer: '/source' });
  }
  if (ids !== undefined) return { ids };
  return {
    producer: source!,
    ...(since === undefined ? {} : { sinceUs: parseTimestamp(since, '/since') }),
    ...(until === undefined ? {} : { untilUs: parseTimestamp(until, '/until') }),
    ...(after === undefined ? {} : { after: BigInt(after) }),
  };
}

const viewResult = ({ error, ...result }: BulkResult): Static<typeof Results>['results'][number] => ({
  ...result,
  ...(error === undefined ? {} : { code: error.code, detail: error.message }),
});
