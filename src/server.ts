/**
 * Composition: which parts the service is made of, and in which order they start and stop. What takes work from outside starts
 * last and stops first.
 */
import { join } from 'node:path';
import { Access } from './access/access.js';
import { ensureAdmin } from './access/issue.js';
import type { Config } from './config.js';
import { formatVerifierKey, makeVerifierKey } from './core/key.js';
import type { EventLog } from './eventlog/port.js';
import { Readiness } from './http/readiness.js';
import { nodeHasher } from './platform/hasher.js';
import type { Logger } from './platform/logger.js';
import { createMetrics } from './platform/metrics.js';
import { Closing } from './server/closing.js';
import { openCases } from './server/cases.js';
import { openEventLog } from './server/event-log.js';
import { openFeed } from './server/feed.js';
import { openFoundation, type Foundation } from './server/foundation.js';
import { startHousekeeping } from './server/housekeeping.js';
import { openHr } from './server/hr.js';
import { openHttp } from './server/http.js';
import { openIdentity } from './server/identity.js';
import { openIntake } from './server/intake.js';
import { openLedger } from './server/ledger.js';
import { listen } from './server/listen.js';
import { openEvidence, openRegistrar } from './server/registration.js';
import { openRevocation } from './server/revocation.js';
import { openProvisioning } from './server/provisioning.js';
import { openWebhooks } from './server/webhooks.js';
import { registerWebhooks } from './webhooks/routes.js';

export interface Server {
  /** Resolves when it takes requests. @throws KeelsonError what kept it from that; everything is stopped again. */
  start(): Promise<void>;
  /** Stops taking work, finishes what was begun, closes everything. May be called at any time, and twice. */
  stop(): Promise<void>;
  /** Resolves with why a part failed for good: then the service can only be stopped. */
  readonly failed: Promise<unknown>;
  /** What follows is there after `start`. */
  readonly running: Running;
}

export interface Running {
  /** `http://127.0.0.1:8420` */
  readonly url: string;
  /** Holds the first admin's token. */
  readonly adminTokenFile: string;
  /** The ledger's, as a verifier wants it: `<ledger name>+<key id>+<base64>`. */
  readonly verifierKey: string;
  readonly foundation: Foundation;
  readonly eventLog: EventLog;
}

/** The service under one configuration. Does nothing until it is started. */
export function createServer(config: Config, { logger }: { readonly logger: Logger }): Server {
  const closing = new Closing();
  let started: Promise<Running> | undefined;
  let running: Running | undefined;
  let fail: (error: unknown) => void;
  const failed = new Promise<unknown>((resolve) => (fail = resolve));

  const stop = async (): Promise<void> => {
    await started?.catch(() => undefined);
    await closing.close();
  };
  return {
    async start() {
      started ??= open(config, logger, closing, (error) => fail(error));
      try {
        running = await started;
      } catch (error) {
        await closing.close().catch((failure: unknown) => logger.error({ err: failure }, 'while giving up'));
        throw error;
      }
    },
    stop,
    failed,
    get running() {
      if (!running) throw new Error('the server has not started');
      return running;
    },
  };
}

async function open(
  config: Config,
  logger: Logger,
  closing: Closing,
  fail: (error: unknown) => void,
): Promise<Running> {
  const metrics = createMetrics();
  const readiness = new Readiness();

  const foundation = await openFoundation(config, { logger, applicationName: 'keelson' });
  closing.add(() => foundation.close());
  const { database, storage, clock, keyring, installation } = foundation;
  void storage.ended.then((reason) => fail(new Error(`the embedded Postgres ended: ${reason}`)));
  readiness.add('database', async () => void (await database.query('select 1')));

  const { eventLog, close } = await openEventLog(config, storage, logger);
  closing.add(close);
  const ledger = await openLedger(foundation, eventLog, readiness);
  closing.add(ledger.close);
  const believed = openEvidence(foundation, metrics);
  closing.add(believed.close);
  const intake = openIntake({
    foundation,
    eventLog,
    ledger: ledger.settlement,
    evidence: believed.evidence,
    readiness,
    metrics,
  });
  closing.add(intake.close);
  const webhooks = openWebhooks(foundation, metrics);
  closing.add(() => webhooks.close());
  const chores = [
    { name: 'originals in quarantine that expired', run: () => foundation.vault.quarantine.purge(clock.nowUs()) },
    { name: 'weeks of duplicate keys that are past', run: () => ledger.store.dropOldSlots() },
    { name: 'webhooks that nobody took in time', run: () => webhooks.tidy() },
  ];
  closing.add(startHousekeeping(chores, logger));

  const { identity, close: closeIdentity } = openIdentity(foundation, ledger, readiness);
  closing.add(closeIdentity);
  closing.add(openRegistrar(foundation, ledger, intake.intake, believed.configuration, readiness));
  const access = new Access({ database, clock, settings: config });
  closing.add(() => access.touch());
  const revocation = openRevocation({
    foundation,
    ledger,
    intake: intake.intake,
    access,
    identity,
    readiness,
    metrics,
    webhooks,
  });
  closing.add(revocation.close);
  const http = await openHttp({
    foundation,
    access,
    ledger,
    intake: intake.intake,
    requests: revocation.requests,
    readiness,
    metrics,
  });
  closing.add(() => http.close());
  const provisioning = openProvisioning(foundation, ledger, intake.intake, access, readiness);
  closing.add(provisioning.close);
  await provisioning.register(http);
  await openHr(http, foundation, intake.intake, access, metrics);
  registerWebhooks(http, { webhooks, clock });
  const believes = { bundles: () => believed.configuration.current.bundles };
  const feed = await openFeed(foundation, intake.intake, readiness, metrics, believes, revocation);
  closing.add(feed.close);
  await feed.register(http);
  const { points } = feed;
  const cases = openCases({
    foundation,
    ledger,
    intake: intake.intake,
    points,
    webhooks,
    readiness,
    metrics,
    tokensConcerned: revocation.tokensConcerned,
  });
  closing.add(cases.close);
  cases.register(http);
  const adminTokenFile = join(storage.dataFolder, 'admin.token');
  await ensureAdmin(access.store, clock, adminTokenFile);
  const url = await listen(http, config.KEELSON_HOST, config.KEELSON_PORT);
  const key = makeVerifierKey(nodeHasher, installation.ledgerName, keyring.signer.publicKey);
  return { url, adminTokenFile, verifierKey: formatVerifierKey(key), foundation, eventLog };
}
