/** The certificate of a closed case (docs/certificate.md), checked with nothing but the ledger's key. */
import { KeelsonError } from '../core/error.js';
import {
  openCertificate,
  readCertificateLedger,
  type Certificate,
  type Evidence,
  type Says,
} from '../protocol/certificate.js';
import { checkResult, readCase } from './certificate/closed.js';
import { fail, ProvedEntries, type Trusted } from './certificate/entries.js';
import { CertificateFindings, type CertificateFinding } from './certificate/finding.js';
import { checkFence, checkInstances } from './certificate/instances.js';
import { checkOrder } from './certificate/order.js';
import { checkUses, checkWatched } from './certificate/uses.js';
import { sayCertificate } from './certificate/words.js';

export interface CertificateReport {
  readonly certificate: Certificate;
  /** By log: how many entries the signed checkpoint covers. */
  readonly positions: ReadonlyMap<string, bigint>;
  /** Empty iff everything holds. */
  readonly findings: readonly CertificateFinding[];
}

/**
 * Verifies a certificate's file: that not one bit of it is another than was signed, and that it says what follows from its entries and
 * no more.
 * @throws KeelsonError `malformed_certificate`; `unknown_signer`: of another ledger; `bad_signature`.
 */
export function verifyCertificate(trusted: Trusted, bytes: Uint8Array): CertificateReport {
  const { ledger, publicKey } = trusted.key;
  const named = readCertificateLedger(bytes);
  if (named !== ledger) {
    throw new KeelsonError('unknown_signer', `a certificate of ${JSON.stringify(named)}, not of ${ledger}`);
  }
  const certificate = openCertificate({ ledger, verifier: trusted.verifier }, publicKey, bytes);
  const { says, entries, findings } = judge(trusted, certificate);
  if (says !== undefined && JSON.stringify(says) !== JSON.stringify(certificate.says)) {
    findings.attempt('words_wrong', () => fail('the words are not those that follow from the entries'));
  }
  const positions = new Map([...entries.checkpoints].map(([log, { size }]) => [log, size]));
  return { certificate, positions, findings: findings.list };
}

/**
 * What evidence says, in words, for who makes a certificate of it.
 * @throws KeelsonError `bad_proof`: it does not bear out what it says
 */
export function wordEvidence(trusted: Trusted, evidence: Evidence): Says {
  const { says, findings } = judge(trusted, {
    ...evidence,
    says: { proved: [], attested: [], fenced: [], stated: [] },
  });
  if (says !== undefined && findings.list.length === 0) return says;
  const [first] = findings.list;
  throw new KeelsonError('bad_proof', first === undefined ? 'nothing is proved' : `${first.code}: ${first.message}`);
}

function judge(
  trusted: Trusted,
  certificate: Certificate,
): { says: Says | undefined; entries: ProvedEntries; findings: CertificateFindings } {
  const findings = new CertificateFindings();
  const entries = new ProvedEntries(trusted, certificate.logs, findings);
  const order = checkOrder(trusted.hasher, certificate, entries, findings);
  const closed = findings.attempt('case_wrong', () => readCase(certificate, entries));
  const instances = checkInstances(trusted, certificate.instances, certificate.seq, entries, findings);
  const uses = checkUses(certificate, entries, findings);
  findings.attempt('watch_wrong', () => checkWatched(certificate, entries));
  if (closed !== undefined) findings.attempt('result_unfounded', () => checkResult(certificate, closed, order));
  if (closed !== undefined && order !== undefined && closed.counts.fenced > 0) {
    findings.attempt('fenced_early', () => checkFence(order, closed));
  }
  findings.attempt('entry_unused', () => {
    const [unused] = entries.unused;
    if (unused !== undefined) fail(`nothing speaks of ${unused}`);
  });
  if (order === undefined || closed === undefined || findings.list.length > 0)
    return { says: undefined, entries, findings };
  const proved = {
    order,
    closed,
    instances: instances.filter((one) => one !== undefined),
    uses: uses.filter((one) => one !== undefined),
    lifecycleSize: entries.checkpoints.get(order.lastPart.log)!.size,
  };
  return { says: sayCertificate(certificate, proved), entries, findings };
}
