/** One log, from its signed checkpoint to its last entry. */
import { equalBytes } from '../core/bytes.js';
import { openCheckpoint, type Checkpoint } from '../core/checkpoint.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import type { Verifier } from '../core/signer.js';
import { EntryCheck } from './entry-check.js';
import { Findings, type Finding, type FindingCode, type LogReport } from './finding.js';
import { logKeyOf, type LedgerKey } from './ledger-key.js';
import { LogFiles } from './log-files.js';
import { readOpening, type Opening } from './opening.js';
import type { TileSource } from './source.js';
import { TreeWalk } from './tree-walk.js';

/** What a verification needs of its surroundings. */
export interface Verification {
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly source: TileSource;
  readonly key: LedgerKey;
}

export interface Progress {
  readonly log: string;
  /** Entries read so far, of `size`. */
  readonly at: bigint;
  readonly size: bigint;
}

export interface LogOptions {
  /** Checkpoints of this log that were kept, their signatures checked: the log must continue each. */
  readonly kept?: readonly Checkpoint[];
  /** Reads only the entries behind all of `kept`, and the opening one. */
  readonly onlyNew?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

export interface LogResult {
  readonly report: LogReport;
  readonly findings: readonly Finding[];
  /** Findings that were too many to list. */
  readonly more: number;
  /** What entry 0 says, where it could be verified and is an opening. */
  readonly opening?: Opening;
}

/**
 * Verifies `log`: its checkpoint's signature and origin; every tile and entry against the signed root; every entry's
 * header; that it begins with its own opening; and that it continues kept checkpoints. Gives a log up once so much was found
 * wrong that more says nothing. Rejects only where the source can't be read; what is wrong is a finding.
 */
export async function verifyLog(on: Verification, log: string, options: LogOptions = {}): Promise<LogResult> {
  const findings = new Findings(log);
  const files = new LogFiles(on.source, log);
  const origin = `${on.key.ledger}/${log}`;
  const head = await openHead(on, log, files, findings);
  if (head === undefined) {
    return { report: { log, origin, checked: 0n }, findings: findings.list(), more: 0 };
  }
  const { kept = [], onlyNew = false, onProgress } = options;
  const old = kept.filter(({ size }) => size <= head.size);
  const newest = kept.reduce((size, one) => (one.size > size ? one.size : size), 0n);
  if (newest > head.size) {
    const message = `a kept checkpoint has ${newest} entries, the log now ${head.size}: the last ones are gone`;
    findings.add('log_shrunk', message, { index: head.size });
  }
  const walk = new TreeWalk(on.hasher, files, head, findings, {
    oldSizes: old.map(({ size }) => size),
    skipBefore: onlyNew && old.length === kept.length ? newest : 0n,
  });
  const check = new EntryCheck(on.hasher, log, findings);
  for await (const { bundle, read, hashes } of walk.leaves()) {
    if (findings.areEnough) break;
    check.checkBundle(bundle, read, hashes);
    onProgress?.({ log, at: bundle.index * 256n + BigInt(bundle.width), size: head.size });
  }
  for (const one of old) checkHistory(one, walk, findings);
  const opening = checkOpening(on.key, origin, head.size, check, findings);
  return {
    report: { log, origin, size: head.size, root: head.root, checked: check.checked },
    findings: findings.list(),
    more: findings.more,
    ...(opening && { opening }),
  };
}

/** What a frontier can count: 2^53 − 1. */
const MAX_ENTRIES = BigInt(Number.MAX_SAFE_INTEGER);

const CHECKPOINT_FINDINGS: Partial<Record<string, FindingCode>> = {
  malformed_note: 'checkpoint_malformed',
  malformed_checkpoint: 'checkpoint_malformed',
  unknown_signer: 'unknown_signer',
  bad_signature: 'bad_signature',
};

async function openHead(
  on: Verification,
  log: string,
  files: LogFiles,
  findings: Findings,
): Promise<Checkpoint | undefined> {
  try {
    const note = await files.readCheckpoint();
    if (note === undefined) {
      findings.add('checkpoint_missing', 'the ledger has this log, but shows no checkpoint of it');
      return undefined;
    }
    const head = openCheckpoint(note, logKeyOf(on.hasher, on.key, log), on.verifier);
    if (head.size <= MAX_ENTRIES) return head;
    findings.add('checkpoint_malformed', `no log has ${head.size} entries`);
  } catch (error) {
    const code = error instanceof KeelsonError ? CHECKPOINT_FINDINGS[error.code] : undefined;
    if (code === undefined) throw error;
    findings.add(code, (error as KeelsonError).message);
  }
  return undefined;
}

function checkHistory(old: Checkpoint, walk: TreeWalk, findings: Findings): void {
  const root = walk.rootAt(old.size);
  if (root !== undefined && !equalBytes(root, old.root)) {
    const message = `the first ${old.size} entries are not those of the kept checkpoint`;
    findings.add('history_changed', message);
  }
}

function checkOpening(
  key: LedgerKey,
  origin: string,
  size: bigint,
  check: EntryCheck,
  findings: Findings,
): Opening | undefined {
  if (size === 0n) return undefined;
  let opening: Opening | undefined;
  try {
    if (check.first?.kind === 'record') opening = readOpening(check.first.record);
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
  }
  if (opening?.origin === origin && opening.ledger === key.ledger) return opening;
  findings.add('opening_wrong', `entry 0 does not open ${origin}`, { index: 0n });
  return undefined;
}
