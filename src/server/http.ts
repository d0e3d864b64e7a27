import type { Registry } from 'prom-client';
import type { Access } from '../access/access.js';
import { registerAccess } from '../access/routes.js';
import { createHttp } from '../http/create-http.js';
import { createCursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import type { Readiness } from '../http/readiness.js';
import type { Intake } from '../intake/intake.js';
import { registerIdentity } from '../identity/routes.js';
import { OPA_FIELDS } from '../intake/opa-fields.js';
import { registerQuarantine } from '../intake/quarantine-routes.js';
import { registerIntake } from '../intake/routes.js';
import { registerLedger } from '../ledger/routes.js';
import { nodeHasher } from '../platform/hasher.js';
import { registerRequests, type RequestRoutesOptions } from '../revocation/request-routes.js';
import { registerRevocation } from '../revocation/routes.js';
import { requireUsable } from '../provisioning/usable.js';
import { registerSearch } from '../search/routes.js';
import type { Foundation } from './foundation.js';
import { identityRoutes } from './identity.js';
import type { LedgerParts } from './ledger.js';
import { revocationMaterial } from './revocation.js';
import { VERSION } from './version.js';

export interface HttpParts {
  readonly foundation: Foundation;
  readonly access: Access;
  readonly ledger: LedgerParts;
  readonly intake: Intake;
  readonly requests: RequestRoutesOptions;
  readonly readiness: Readiness;
  readonly metrics: Registry;
}

/** Every room's routes on one server; listens to nothing yet. */
export async function openHttp(parts: HttpParts): Promise<Http> {
  const { foundation, access, ledger, intake, requests, readiness, metrics } = parts;
  const { config, logger, clock, database, vault, keyring, installation } = foundation;
  const http = await createHttp({
    settings: config,
    authenticate: access.authenticate,
    readiness,
    metrics,
    logger,
    version: VERSION,
  });
  const cursors = createCursors(keyring.macKey('cursor').export());
  registerAccess(http, {
    access,
    clock,
    cursors,
    mappingFields: { opa: Object.keys(OPA_FIELDS) },
    requireUsable,
  });
  await registerIntake(http, { intake, access, settings: config });
  registerQuarantine(http, { vault, cursors });
  registerLedger(http, {
    reader: ledger.reader,
    views: ledger.views,
    hasher: nodeHasher,
    ledgerName: installation.ledgerName,
    publicKey: keyring.signer.publicKey,
    settings: config,
  });
  registerSearch(http, {
    database,
    schema: 'keelson_search',
    timeoutMs: config.KEELSON_SEARCH_TIMEOUT_MS,
    rangeDays: config.KEELSON_SEARCH_RANGE_DAYS,
    persons: vault,
    issuers: () => access.store.listIssuers(),
    views: ledger.views,
    cursors,
    clock,
  });
  registerIdentity(
    http,
    identityRoutes(foundation, ledger, () => access.store.listIssuers(), cursors),
  );
  registerRevocation(http, {
    database,
    material: revocationMaterial(foundation),
    clock,
    cursors,
    skewMs: config.KEELSON_REVOCATION_SKEW_MS,
  });
  registerRequests(http, requests);
  return http;
}
