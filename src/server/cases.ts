import type { Intake } from '../intake/intake.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { createCursors } from '../http/cursor.js';
import type { Readiness } from '../http/readiness.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import { Cases } from '../revocation/cases/cases.js';
import { Closer } from '../revocation/cases/closer.js';
import { casesProjection } from '../revocation/cases/projection.js';
import { registerCases } from '../revocation/cases/routes.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';

export interface RunningCases {
  register(http: Http): void;
  readonly close: () => Promise<void>;
}

/** Starts what follows orders to their end. */
export function openCases(
  { database, logger, clock, keyring }: Foundation,
  { reader, watch }: LedgerParts,
  intake: Intake,
  readiness: Readiness,
): RunningCases {
  const runner = new ProjectionRunner({ database, reader, watch, logger, projection: casesProjection() });
  readiness.add('cases', () => {
    if (runner.failure instanceof KeelsonError) throw runner.failure;
    if (runner.failure !== undefined) throw new KeelsonError('not_ready', 'cases are not followed');
  });
  const cases = new Cases(database);
  const closer = new Closer({ cases, intake, clock, logger });
  runner.start();
  closer.start();
  return {
    register: (http) => registerCases(http, { cases, cursors: createCursors(keyring.macKey('cursor').export()) }),
    close: async () => {
      await closer.close();
      await runner.close();
    },
  };
}
