/** `/v1/producers/:id/webhook-secrets`: for callers with the scope `admin`. A secret that is made here is shown once. */
import { randomBytes } from 'node:crypto';
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import type { HrSignature } from '../../access/hr-config.js';
import type { AccessStore } from '../../access/store.js';
import { PRODUCER_ID } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { formatTimestamp } from '../../events/index.js';
import type { Http } from '../../http/http.js';
import { Problem } from '../../http/problem.js';
import { makeSecret } from '../../webhooks/keys.js';
import { STANDARD } from './believe.js';
import type { SecretRow, WebhookSecrets } from './secrets.js';
import { requireSecret } from './sender.js';

export interface SecretRoutesOptions {
  readonly secrets: WebhookSecrets;
  readonly store: Pick<AccessStore, 'findProducer'>;
}

const config: FastifyContextConfig = { access: ['admin'] };
const tags = ['hr'];
const KEEP_S = 86_400;
const Time = Type.String({ description: 'RFC 3339, UTC' });
const Id = Type.String({ pattern: PRODUCER_ID });

const NewSecret = Type.Object(
  {
    secret: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'The one that the sender shows. Absent: one is made' }),
    ),
    keepS: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30 * 86_400,
        description: `Seconds for which the one before stays good. Default: ${KEEP_S}`,
      }),
    ),
  },
  { additionalProperties: false },
);
const SecretView = Type.Object({ id: Type.String(), createdAt: Time, expiresAt: Type.Optional(Time) });
const MadeSecret = Type.Object({
  ...SecretView.properties,
  secret: Type.Optional(Type.String({ description: 'Where it was made here: shown this once' })),
});

export function registerSecrets(http: Http, { secrets, store }: SecretRoutesOptions): void {
  http.post(
    '/v1/producers/:id/webhook-secrets',
    {
      config,
      schema: {
        tags,
        summary:
          'Make a secret that webhooks of this producer are signed with, or keep one of its own; the last two are good',
        params: Type.Object({ id: Id }),
        body: NewSecret,
        response: { 201: MadeSecret, '4xx': Problem },
      },
    },
    async ({ params, body }, reply) => {
      const signature = (await findSource(store, params.id)).signature ?? STANDARD;
      const made = body.secret === undefined ? makeFor(signature) : undefined;
      const text = body.secret ?? made!;
      requireSecret(signature, text);
      const row = await secrets.add(params.id, text, body.keepS ?? KEEP_S);
      void reply.header('cache-control', 'no-store');
      return reply.code(201).send({ ...view(row), ...(made === undefined ? {} : { secret: made }) });
    },
  );

  http.get(
    '/v1/producers/:id/webhook-secrets',
    {
      config,
      schema: {
        tags,
        summary: 'The secrets of a producer, newest first; never their text',
        params: Type.Object({ id: Id }),
        response: { 200: Type.Object({ secrets: Type.Array(SecretView) }), '4xx': Problem },
      },
    },
    async ({ params }) => ({ secrets: (await secrets.list(params.id)).map(view) }),
  );

  http.delete(
    '/v1/producers/:id/webhook-secrets/:secret',
    {
      config,
      schema: {
        tags,
        summary: 'End a secret: here at once, in other processes within seconds',
        params: Type.Object({ id: Id, secret: Type.String({ maxLength: 100 }) }),
        response: { 204: Type.Null(), '4xx': Problem },
      },
    },
    async ({ params }, reply) => {
      await secrets.remove(params.id, params.secret);
      return reply.code(204).send(null);
    },
  );
}

async function findSource(
  store: Pick<AccessStore, 'findProducer'>,
  id: string,
): Promise<{ readonly signature?: HrSignature }> {
  const producer = await store.findProducer(id);
  if (producer === undefined) throw new KeelsonError('not_found', 'there is no such producer');
  if (producer.config.hr !== undefined) return producer.config.hr;
  throw new KeelsonError('conflict', `the configuration of ${id} has no member hr: it sends no webhooks`);
}

const makeFor = ({ scheme }: HrSignature): string =>
  scheme === 'standard' ? makeSecret() : randomBytes(32).toString('base64url');

const view = ({ id, createdAtUs, expiresAtUs }: SecretRow): Static<typeof SecretView> => ({
  id,
  createdAt: formatTimestamp(createdAtUs),
  ...(expiresAtUs === null ? {} : { expiresAt: formatTimestamp(expiresAtUs) }),
});
