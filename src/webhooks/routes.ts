/** `GET /v1/webhooks`, `POST /v1/webhooks/:id/enable`: for callers with the scope `admin`. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { formatTimestamp } from '../events/index.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import type { Clock } from '../platform/clock.js';
import type { Webhooks } from './webhooks.js';

const config: FastifyContextConfig = { access: ['admin'] };
const tags = ['webhooks'];
const Time = Type.String({ description: 'RFC 3339, UTC' });

const EndpointView = Type.Object({
  id: Type.String(),
  host: Type.String({ description: 'Of its address; what follows may be a secret' }),
  types: Type.Optional(Type.Array(Type.String(), { description: 'What it is told; absent: everything' })),
  state: Type.Enum(['enabled', 'throttled', 'disabled'], {
    description: '`throttled`: it asked for a pause (429, 502, 503, 504). `disabled`: it answered 410',
  }),
  throttledUntil: Type.Optional(Time),
  disabledAt: Type.Optional(Time),
  waiting: Type.Integer({ description: 'Messages that are not delivered yet' }),
  oldestWaiting: Type.Optional(Time),
  givenUp: Type.Integer({ description: 'Messages of the last 30 days that were never taken' }),
  failures: Type.Integer({ description: 'Attempts in a row that failed' }),
  lastAttempt: Type.Optional(Time),
  lastSuccess: Type.Optional(Time),
  lastOutcome: Type.Optional(Type.String({ description: 'The HTTP status, `timeout` or `network`' })),
});

export function registerWebhooks(http: Http, { webhooks, clock }: { webhooks: Webhooks; clock: Clock }): void {
  http.get(
    '/v1/webhooks',
    {
      config,
      schema: {
        tags,
        summary: 'The endpoints that are told what needs a person, and how each is doing',
        response: { 200: Type.Object({ endpoints: Type.Array(EndpointView) }), '4xx': Problem },
      },
    },
    async () => ({ endpoints: (await webhooks.list()).map((one) => view(one, clock.nowUs())) }),
  );

  http.post(
    '/v1/webhooks/:id/enable',
    {
      config,
      schema: {
        tags,
        summary: 'Send again to an endpoint that was disabled or throttled',
        params: Type.Object({ id: Type.String({ maxLength: 100 }) }),
        response: { 204: Type.Null(), '4xx': Problem },
      },
    },
    async ({ params }, reply) => {
      await webhooks.enable(params.id);
      return reply.code(204).send(null);
    },
  );
}

function view(
  { endpoint, row }: Awaited<ReturnType<Webhooks['list']>>[number],
  nowUs: bigint,
): Static<typeof EndpointView> {
  const isThrottled = row.pausedUntilUs > nowUs;
  const time = (name: string, us: bigint | null): object => (us === null ? {} : { [name]: formatTimestamp(us) });
  return {
    id: endpoint.id,
    host: endpoint.url.host,
    ...(endpoint.types === undefined ? {} : { types: [...endpoint.types] }),
    state: row.disabledAtUs !== null ? 'disabled' : isThrottled ? 'throttled' : 'enabled',
    waiting: Number(row.waiting),
    givenUp: Number(row.failed),
    failures: Number(row.failures),
    ...(isThrottled ? time('throttledUntil', row.pausedUntilUs) : {}),
    ...time('disabledAt', row.disabledAtUs),
    ...time('oldestWaiting', row.oldestAtUs),
    ...time('lastAttempt', row.lastAttemptAtUs),
    ...time('lastSuccess', row.lastSuccessAtUs),
    ...(row.lastOutcome === null ? {} : { lastOutcome: row.lastOutcome }),
  };
}
