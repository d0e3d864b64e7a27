import { Type, type Static } from 'typebox';

/** What webhooks out read from the environment. */
export const webhookSettings = Type.Object({
  KEELSON_WEBHOOKS: Type.Optional(
    Type.String({
      minLength: 1,
      secret: true,
      description:
        'Whom to tell what needs a person: a JSON array of endpoints, each with `id`, `url`, `keys` (`whsec_…` or `whsk_…`; several ' +
        'sign together) and, unless all, `types`. See docs/webhooks.md',
    }),
  ),
  KEELSON_WEBHOOKS_TIMEOUT_MS: Type.Integer({
    default: 15_000,
    minimum: 100,
    maximum: 120_000,
    description: 'How long an endpoint may take to answer',
  }),
  KEELSON_WEBHOOKS_RETRY_MS: Type.Integer({
    default: 5_000,
    minimum: 10,
    maximum: 3_600_000,
    description:
      'Pause after the first failed attempt; each further one doubles it, to an hour, less up to half by chance',
  }),
  KEELSON_WEBHOOKS_ATTEMPTS: Type.Integer({
    default: 80,
    minimum: 1,
    maximum: 1_000,
    description: 'Attempts to deliver one message; then it is given up, which is logged and counted',
  }),
  KEELSON_WEBHOOKS_AGE_S: Type.Integer({
    default: 3 * 86_400,
    minimum: 1,
    maximum: 30 * 86_400,
    description: 'How long after it was made a message is still delivered',
  }),
  KEELSON_WEBHOOKS_QUEUE: Type.Integer({
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Messages that wait for one endpoint at most; more are not kept, which is logged and counted',
  }),
});
export type WebhookSettings = Static<typeof webhookSettings>;
