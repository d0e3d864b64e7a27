import { KeelsonError } from '../core/error.js';
import type { OwnEvent } from '../intake/encoder.js';
import type { Settled } from '../intake/ledger-port.js';
import type { Intake } from '../intake/intake.js';

const SETTLE_MS = 10_000;

/**
 * Writes what happened to a point or an instance, and waits until it is in the ledger.
 * @param event its id makes it count once, however often it is written.
 * @returns what became of it: `refused` where an event of another kind was written under that id.
 * @throws KeelsonError `timeout`: it is not known whether it is; what intake throws
 */
export async function publishLifecycle(intake: Pick<Intake, 'publishOwn'>, event: OwnEvent): Promise<Settled> {
  const [settled] = await intake.publishOwn([event], SETTLE_MS);
  if (settled === undefined) throw new KeelsonError('timeout', 'the ledger has not got it yet', { retryAfterS: 1 });
  return settled;
}
