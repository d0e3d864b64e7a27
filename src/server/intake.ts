import type { Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import { BackOff, pause } from '../eventlog/back-off.js';
import type { EventLog, Partition } from '../eventlog/port.js';
import type { Readiness } from '../http/readiness.js';
import { Encoder } from '../intake/encoder.js';
import type { EvidencePort } from '../intake/evidence-port.js';
import { Intake } from '../intake/intake.js';
import type { LedgerPort } from '../intake/ledger-port.js';
import { createIntakeMetrics } from '../intake/metrics.js';
import { PartitionTable } from '../intake/partition.js';
import { QuarantineDesk } from '../intake/quarantine.js';
import { formatOrigin } from '../ledger/log.js';
import type { Foundation } from './foundation.js';

export interface IntakeParts {
  readonly foundation: Foundation;
  readonly eventLog: EventLog;
  readonly ledger: LedgerPort;
  readonly evidence: EvidencePort;
  readonly readiness: Readiness;
  readonly metrics: Registry;
}

export interface RunningIntake {
  readonly intake: Intake;
  readonly close: () => Promise<void>;
}

/** Intake, and in the background the first records of every log; until those are in, it is not ready. */
export function openIntake({ foundation, eventLog, ledger, evidence, readiness, metrics }: IntakeParts): RunningIntake {
  const { config, logger, clock, installation, keyring, vault, schemas } = foundation;
  const originOf = (at: Partition): string => formatOrigin(installation.ledgerName, at);
  const encoder = new Encoder({
    schemas,
    vault,
    clock,
    evidence,
    partitions: new PartitionTable(eventLog.partitions),
    contentKey: keyring.macKey('content'),
    secretsKey: keyring.macKey('secrets'),
    ledger: {
      name: installation.ledgerName,
      generation: installation.generation,
      origins: eventLog.partitions.map(originOf),
      originOf,
    },
  });
  const intake = new Intake({
    eventLog,
    encoder,
    quarantine: new QuarantineDesk({ vault, encoder, clock }),
    ledger,
    settings: config,
    metrics: createIntakeMetrics(metrics),
  });
  readiness.add('intake', () => {
    if (!intake.isOpen) throw new KeelsonError('not_ready', 'not every log has its first records yet');
  });
  const stopping = new AbortController();
  const opening = openLogs(intake, stopping.signal, (error) =>
    logger.warn({ err: error }, 'the logs can not be opened yet'),
  );
  return {
    intake,
    close: () => {
      stopping.abort();
      return opening;
    },
  };
}

async function openLogs(intake: Intake, signal: AbortSignal, onFailure: (error: unknown) => void): Promise<void> {
  const backOff = new BackOff();
  while (!intake.isOpen && !signal.aborted) {
    try {
      await intake.open();
    } catch (error) {
      onFailure(error);
      await pause(backOff.nextMs(), signal);
    }
  }
}
