import type { Registry } from 'prom-client';
import type { Access } from '../access/access.js';
import type { Http } from '../http/http.js';
import type { Intake } from '../intake/intake.js';
import { registerHr } from '../provisioning/hr/routes.js';
import { registerSecrets } from '../provisioning/hr/secret-routes.js';
import { WebhookSecrets } from '../provisioning/hr/secrets.js';
import type { Foundation } from './foundation.js';

/** Webhooks of HR systems, and the secrets that they are signed with. */
export async function openHr(
  http: Http,
  { config, database, keyring, clock }: Foundation,
  intake: Intake,
  access: Access,
  metrics: Registry,
): Promise<void> {
  const secrets = new WebhookSecrets({
    database,
    encryptionKey: keyring.encryptionKey,
    clock,
    freshMs: config.KEELSON_TOKEN_FRESH_MS,
    graceMs: config.KEELSON_TOKEN_GRACE_MS,
  });
  registerSecrets(http, { secrets, store: access.store });
  await registerHr(http, {
    intake,
    access,
    secrets,
    clock,
    settings: config,
    maxWaitS: config.KEELSON_INTAKE_MAX_WAIT_S,
    metrics,
  });
}
