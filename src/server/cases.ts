import type { Registry } from 'prom-client';
import type { Intake } from '../intake/intake.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { createCursors } from '../http/cursor.js';
import type { Readiness } from '../http/readiness.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import { registerCertificates } from '../revocation/cases/certificate-routes.js';
import { Certifier } from '../revocation/cases/certifier.js';
import { EvidenceReader } from '../revocation/cases/evidence.js';
import { Causes } from '../revocation/causes.js';
import { Cases } from '../revocation/cases/cases.js';
import { CaseFollower } from '../revocation/cases/case-follower.js';
import { DecisionWatch } from '../revocation/cases/decision-watch.js';
import { CaseNews } from '../revocation/cases/news.js';
import type { PointsPort } from '../revocation/cases/points-port.js';
import { casesProjection } from '../revocation/cases/projection.js';
import { registerCaseEvents } from '../revocation/cases/event-routes.js';
import { registerCases } from '../revocation/cases/routes.js';
import type { Webhooks } from '../webhooks/webhooks.js';
import { caseTokens } from './case-tokens.js';
import type { Foundation } from './foundation.js';
import { openUses } from './identity.js';
import type { LedgerParts } from './ledger.js';
import { revocationMaterial, type RunningRevocation } from './revocation.js';

export interface RunningCases {
  register(http: Http): void;
  readonly close: () => Promise<void>;
}

export interface CaseParts {
  readonly foundation: Foundation;
  readonly ledger: LedgerParts;
  readonly intake: Intake;
  readonly points: PointsPort;
  readonly webhooks: Pick<Webhooks, 'publish'>;
  readonly readiness: Readiness;
  readonly metrics: Registry;
  readonly tokensConcerned: RunningRevocation['tokensConcerned'];
}

/** Starts what follows orders to their end. */
export function openCases({
  foundation,
  ledger,
  intake,
  points,
  webhooks,
  readiness,
  metrics,
  tokensConcerned,
}: CaseParts): RunningCases {
  const { database, logger, clock, keyring, installation, config, vault } = foundation;
  const { reader, watch } = ledger;
  const projection = casesProjection();
  const runner = new ProjectionRunner({ database, reader, watch, logger, projection, givesWay: true });
  readiness.add('cases', () => {
    if (runner.failure instanceof KeelsonError) throw runner.failure;
    if (runner.failure !== undefined) throw new KeelsonError('not_ready', 'cases are not followed');
  });
  const cases = new Cases(database);
  const { signer } = keyring;
  const key = { ledger: installation.ledgerName, publicKey: signer.publicKey };
  const certifier = new Certifier({
    cases,
    causes: new Causes(database),
    evidence: new EvidenceReader({ database, reader, findUses: openUses(foundation), tokensConcerned }),
    reader,
    clock,
    signer,
    trusted: { hasher: nodeHasher, verifier: nodeVerifier, key },
  });
  const follower = new CaseFollower({
    cases,
    points,
    intake,
    webhooks,
    news: new CaseNews({ database, webhooks, clock }),
    timers: {
      warnUs: config.KEELSON_CASE_WARN_S * 1e6,
      retryUs: config.KEELSON_CASE_RETRY_S * 1e6,
      callUs: config.KEELSON_CASE_CALL_S * 1e6,
      quarantineUs: config.KEELSON_CASE_QUARANTINE_S * 1e6,
    },
    clock,
    logger,
    metrics,
  });
  const decisions = new DecisionWatch({
    database,
    reader,
    intake,
    material: revocationMaterial(foundation),
    identify: (pseudonyms) => vault.identify(pseudonyms),
    logger,
    metrics,
  });
  runner.start();
  follower.start();
  decisions.start();
  return {
    register: (http) => {
      const cursors = createCursors(keyring.macKey('cursor').export());
      registerCases(http, { cases, points, tokens: caseTokens(foundation), cursors });
      registerCaseEvents(http, { cases, points });
      registerCertificates(http, certifier);
    },
    close: async () => {
      await Promise.all([follower.close(), decisions.close()]);
      await runner.close();
    },
  };
}
