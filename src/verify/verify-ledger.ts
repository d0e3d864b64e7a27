/** A whole ledger: the lifecycle log names every log there is, so one key and one name are all one has to know. */
import { openCheckpoint, type Checkpoint } from '../core/checkpoint.js';
import { KeelsonError } from '../core/error.js';
import type { Finding, LedgerReport } from './finding.js';
import { logKeyOf, logOfOrigin } from './ledger-key.js';
import { verifyLog, type LogOptions, type LogResult, type Progress, type Verification } from './verify-log.js';

/** The log whose opening names all logs. */
export const LIFECYCLE_LOG = 'lifecycle/0/g1';

export interface LedgerOptions {
  /** Signed checkpoints that were kept, of any of the ledger's logs, by whomever: those logs must continue each of them. */
  readonly since?: readonly string[];
  /** In logs with kept checkpoints, reads only what came behind the greatest. */
  readonly onlyNew?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Verifies every log of the ledger, lifecycle first. The report's findings are empty iff everything holds.
 * @throws KeelsonError for kept checkpoints that are not this ledger's (`malformed_note`, `malformed_checkpoint`,
 * `unknown_signer`, `bad_signature`), and whatever the source rejects with: then nothing was verified.
 */
export async function verifyLedger(on: Verification, options: LedgerOptions = {}): Promise<LedgerReport> {
  const kept = openKept(on, options.since ?? []);
  const verify = (log: string): Promise<LogResult> => {
    const old = kept.get(log);
    const { onProgress, onlyNew } = options;
    const own: LogOptions = { ...(old && { kept: old, onlyNew: onlyNew ?? false }), ...(onProgress && { onProgress }) };
    return verifyLog(on, log, own);
  };
  const lifecycle = await verify(LIFECYCLE_LOG);
  const { logs, findings } = listLogs(on, lifecycle);
  const results: LogResult[] = [{ ...lifecycle, findings: [...lifecycle.findings, ...findings] }];
  for (const log of new Set([...logs, ...kept.keys()])) if (log !== LIFECYCLE_LOG) results.push(await verify(log));
  return {
    ledger: on.key.ledger,
    logs: results.map(({ report }) => report),
    findings: results.flatMap((result) => result.findings),
    more: results.reduce((sum, { more }) => sum + more, 0),
  };
}

/** The kept checkpoints by log. */
function openKept(on: Verification, notes: readonly string[]): Map<string, Checkpoint[]> {
  const kept = new Map<string, Checkpoint[]>();
  for (const note of notes) {
    const log = logOfOrigin(on.key, note.slice(0, note.indexOf('\n')));
    if (log === undefined) throw new KeelsonError('malformed_checkpoint', `not a checkpoint of ${on.key.ledger}`);
    const checkpoint = openCheckpoint(note, logKeyOf(on.hasher, on.key, log), on.verifier);
    kept.set(log, [...(kept.get(log) ?? []), checkpoint]);
  }
  return kept;
}

/** The logs that the lifecycle log's opening names. */
function listLogs(on: Verification, { opening, findings: known }: LogResult): { logs: string[]; findings: Finding[] } {
  const wrong = (message: string): Finding => ({ code: 'opening_wrong', log: LIFECYCLE_LOG, index: 0n, message });
  const origins = opening?.origins ?? [];
  const logs = origins.map((origin) => logOfOrigin(on.key, origin));
  const findings = origins
    .filter((_, i) => logs[i] === undefined)
    .map((origin) => wrong(`the opening names ${JSON.stringify(origin)}, no log of ${on.key.ledger}`));
  const isKnown = known.some(({ code }) => code === 'opening_wrong');
  if (!isKnown && !logs.includes(LIFECYCLE_LOG)) findings.push(wrong('nothing says which logs the ledger has'));
  return { logs: logs.filter((log) => log !== undefined), findings };
}
