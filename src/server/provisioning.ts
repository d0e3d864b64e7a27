import type { Access } from '../access/access.js';
import type { Http } from '../http/http.js';
import { KeelsonError } from '../core/error.js';
import type { Readiness } from '../http/readiness.js';
import type { Intake } from '../intake/intake.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import { KeySets } from '../provisioning/oauth/key-sets.js';
import { registerOAuth } from '../provisioning/oauth/routes.js';
import { makeNameDigest, type NameDigest } from '../provisioning/scim/names.js';
import { scimProjection } from '../provisioning/scim/projection.js';
import { registerScim } from '../provisioning/scim/routes.js';
import { ScimStore } from '../provisioning/scim/store.js';
import { ScimWriter } from '../provisioning/scim/writer.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';

/** Connections that hold the locks of SCIM writes: so many at once. */
const LOCK_POOL_SIZE = 8;

const digestOf = ({ keyring }: Foundation): NameDigest => makeNameDigest(keyring.macKey('scim'));

export const makeScimProjection = (foundation: Foundation): ReturnType<typeof scimProjection> =>
  scimProjection({ vault: foundation.vault, digest: digestOf(foundation) });

export interface RunningProvisioning {
  register(http: Http): Promise<void>;
  readonly close: () => Promise<void>;
}

/** What follows the ledger for provisioning, and its routes. */
export function openProvisioning(
  foundation: Foundation,
  ledger: LedgerParts,
  intake: Intake,
  access: Access,
  readiness: Readiness,
): RunningProvisioning {
  const { config, logger, clock, database, storage, vault, schemas } = foundation;
  const projection = makeScimProjection(foundation);
  const runner = new ProjectionRunner({ database, reader: ledger.reader, watch: ledger.watch, logger, projection });
  readiness.add('provisioning', () => {
    if (runner.failure instanceof KeelsonError) throw runner.failure;
    if (runner.failure !== undefined) throw new KeelsonError('not_ready', 'the provisioning projection does not go on');
  });
  const locks = storage.openPool(LOCK_POOL_SIZE);
  const writer = new ScimWriter({ database, locks, runner, intake, clock, waitMs: config.KEELSON_SCIM_WAIT_MS });
  runner.start();
  return {
    register: async (http) => {
      await registerScim(http, {
        access,
        settings: config,
        store: new ScimStore(database),
        writer,
        vault,
        schemas,
        digest: digestOf(foundation),
        clock,
      });
      await registerOAuth(http, {
        access,
        vault,
        intake,
        clock,
        keySets: new KeySets(),
        waitMs: config.KEELSON_OAUTH_WAIT_MS,
      });
    },
    close: () => runner.close(),
  };
}
