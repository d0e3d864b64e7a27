/** Makes the certificate of a closed case, and holds it against the verifier before anybody gets it. */
import { KeelsonError } from '../../core/error.js';
import type { Signer } from '../../core/signer.js';
import { formatTimestamp } from '../../events/time.js';
import type { LedgerReader } from '../../ledger/reader.js';
import type { Clock } from '../../platform/clock.js';
import { writeCertificate, type CertifiedLog, type EntryRef, type Evidence } from '../../protocol/certificate.js';
import type { Trusted } from '../../verify/certificate/entries.js';
import { wordEvidence } from '../../verify/verify-certificate.js';
import type { Causes } from '../causes.js';
import { LIFECYCLE } from '../lifecycle.js';
import type { CaseRow, Cases } from './cases.js';
import { standingsOf } from './outcome.js';
import type { EvidenceReader } from './evidence.js';

export interface CertifierOptions {
  readonly cases: Cases;
  readonly causes: Causes;
  readonly evidence: EvidenceReader;
  readonly reader: LedgerReader;
  readonly clock: Clock;
  /** The ledger's key. */
  readonly signer: Signer;
  readonly trusted: Trusted;
}

export class Certifier {
  constructor(private readonly options: CertifierOptions) {}

  /**
   * The certificate's file.
   * @throws KeelsonError `not_found`; `case_open`, with what is awaited; `conflict`: what is recorded bears out less than the case says;
   *   `not_ready`, `tampered`
   */
  async certify(order: string): Promise<Uint8Array> {
    const { cases, causes, evidence, clock, signer, trusted } = this.options;
    const row = await cases.find(order);
    if (row === undefined) throw new KeelsonError('not_found', 'there is no such order (yet)');
    if (row.closed === undefined) throw new KeelsonError('case_open', await this.#awaited(row));
    const cause = (await causes.find(order))?.cause;
    if (cause === undefined) throw new KeelsonError('not_ready', 'this order is not folded yet', { retryAfterS: 1 });
    const found = await evidence.read(row, cause);
    const proved: Evidence = {
      ...found,
      ledger: trusted.key.ledger,
      issuedAt: formatTimestamp(clock.nowUs()),
      logs: await this.#logs(found),
    };
    try {
      return writeCertificate(signer, { ...proved, says: wordEvidence(trusted, proved) });
    } catch (cause) {
      if (!(cause instanceof KeelsonError) || cause.code !== 'bad_proof') throw cause;
      throw new KeelsonError('conflict', `what is recorded bears out less than the case says: ${cause.message}`, {
        cause,
      });
    }
  }

  async #awaited(row: CaseRow): Promise<string> {
    if (!row.complete) return 'the case is open: parts of its order are still to come';
    const instances = await this.options.cases.instances();
    if (instances.length === 0) return 'the case is open: no instance has joined that could enforce it';
    const silent = standingsOf(row, instances, 0).filter(({ standing }) => standing === 'silent').length;
    return silent === 0
      ? 'the case is open: everybody attested it, and that is being written'
      : `the case is open; instances that have not attested it, and may have a lease from before: ${silent}`;
  }

  /** Every entry that is spoken of, each log's in one checkpoint; of logs that were looked through, at least so far. */
  async #logs({
    cause,
    records,
    closed,
    reopened,
    instances,
    tokens,
  }: Omit<Evidence, 'ledger' | 'issuedAt' | 'logs'>): Promise<CertifiedLog[]> {
    const refs = [cause, ...records, closed, ...reopened, ...instances.flatMap(({ enrolled, ack }) => [enrolled, ack])];
    const uses = tokens?.shown.map(({ use }) => use) ?? [];
    const there = [...refs, ...uses].filter((ref): ref is EntryRef => ref !== undefined);
    const sizes = new Map(tokens?.asOf.map(({ log, size }) => [log, BigInt(size)]));
    const names = [...new Set([...there.map(({ log }) => log), ...sizes.keys(), LIFECYCLE])].sort();
    const logs: CertifiedLog[] = [];
    for (const name of names) {
      const log = await this.options.reader.log(name);
      const indexes = there.filter((ref) => ref.log === name).map(({ index }) => BigInt(index));
      const { note, entries } = await this.options.reader.inclusions(log, indexes, sizes.get(name) ?? 0n);
      logs.push({ log: name, checkpoint: note, entries: entries.map((one) => ({ ...one, index: Number(one.index) })) });
    }
    return logs;
  }
}
