import type { Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import type { Readiness } from '../http/readiness.js';
import { Clients } from '../identity/registration/clients.js';
import { ConfigurationFile } from '../identity/registration/configuration-file.js';
import { Evidence } from '../identity/registration/evidence.js';
import { Registrar } from '../identity/registration/registrar.js';
import type { Intake } from '../intake/intake.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';

/** What is believed of registrations, and what intake asks about their evidence. */
export interface Believed {
  readonly configuration: ConfigurationFile;
  readonly evidence: Evidence;
  readonly close: () => Promise<void>;
}

/** @throws KeelsonError `invalid_config` */
export function openEvidence({ config, logger, clock, installation }: Foundation, metrics: Registry): Believed {
  const configuration = new ConfigurationFile({ path: config.KEELSON_REGISTRATION_FILE, logger, metrics });
  configuration.start();
  const { ledgerName } = installation;
  return {
    configuration,
    evidence: new Evidence({ configuration, ledgerName, clock, logger }),
    close: () => configuration.close(),
  };
}

/** Starts to judge registrations. */
export function openRegistrar(
  { config, logger, clock, database }: Foundation,
  { reader, watch }: LedgerParts,
  intake: Intake,
  configuration: ConfigurationFile,
  readiness: Readiness,
): () => Promise<void> {
  const registrar = new Registrar({
    database,
    reader,
    watch,
    intake,
    configuration,
    clients: new Clients(clock),
    clock,
    logger,
    retryS: config.KEELSON_REGISTRATION_RETRY_S,
  });
  readiness.add('registration', () => {
    if (registrar.failure instanceof KeelsonError) throw registrar.failure;
    if (registrar.failure !== undefined) throw new KeelsonError('not_ready', 'registrations are not judged');
  });
  registrar.start();
  return () => registrar.close();
}
