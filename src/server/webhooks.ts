import type { Registry } from 'prom-client';
import { parseEndpoints } from '../webhooks/endpoints.js';
import { Webhooks } from '../webhooks/webhooks.js';
import type { Foundation } from './foundation.js';

/** Starts what tells others what needs a person. */
export function openWebhooks({ config, database, clock, logger }: Foundation, metrics: Registry): Webhooks {
  const text = config.KEELSON_WEBHOOKS;
  const endpoints = text === undefined ? [] : parseEndpoints(text);
  const webhooks = new Webhooks({ endpoints, database, clock, logger, metrics, settings: config });
  webhooks.start();
  return webhooks;
}
