/** What is wrong with a certificate. No findings: it says what is so. */
import { KeelsonError } from '../../core/error.js';

export type CertificateFindingCode =
  /** A log's checkpoint is not signed by the ledger's key, or not of that log. */
  | 'checkpoint_wrong'
  /** An entry is not in the tree that the checkpoint signs, or is no entry. */
  | 'entry_unproved'
  /** An entry that nothing speaks of. */
  | 'entry_unused'
  /** The order is not that of its cause, or its records are not its own. */
  | 'order_wrong'
  /** A part of the order is not there. */
  | 'part_missing'
  /** The entry that closed the case says something else. */
  | 'case_wrong'
  /** An instance did not join as it says, or its ack is not its own, or of less than the order. */
  | 'instance_wrong'
  /** The case was closed before the leases of silent instances were over. */
  | 'fenced_early'
  /** The result is more than what is proved. */
  | 'result_unfounded'
  /** What is called a token's last use is no use of it. */
  | 'use_wrong'
  /** What is said to have been looked through for forbidden decisions is not there. */
  | 'watch_wrong'
  /** The words say something else than the entries. */
  | 'words_wrong';

export interface CertificateFinding {
  readonly code: CertificateFindingCode;
  readonly message: string;
}

export class CertificateFindings {
  readonly list: CertificateFinding[] = [];

  /** What a check answers; undefined, and a finding, where it throws a KeelsonError. */
  attempt<T>(code: CertificateFindingCode, check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.list.push({ code, message: error.message });
      return undefined;
    }
  }
}
