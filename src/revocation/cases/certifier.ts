/** Makes the certificate of a closed case, and holds it against the verifier before anybody gets it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../../core/error.js';
import type { Signer } from '../../core/signer.js';
import { formatTimestamp } from '../../events/time.js';
import type { LedgerReader } from '../../ledger/reader.js';
import type { Clock } from '../../platform/clock.js';
import type { CertifiedLog, Evidence } from '../../protocol/certificate.js';
import type { Trusted } from '../../verify/certificate/entries.js';
import type { Causes } from '../causes.js';
import type { CaseRow, Cases } from './cases.js';
import { standingsOf } from './outcome.js';
import type { EvidenceReader } from './evidence.js';
import { certify, entriesSpokenOf, type Statement } from './statement.js';

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

const FOLDED_WITHIN_MS = 2_000;
const LOOK_MS = 50;

export class Certifier {
  constructor(private readonly options: CertifierOptions) {}

  /**
   * The certificate's file.
   * @throws KeelsonError `not_found`; `case_open`, with what is awaited; `conflict`: what is recorded bears out less than the case says;
   *   `not_ready`, `tampered`
   */
  async certify(order: string): Promise<Uint8Array> {
    const { cases, causes, evidence, clock, signer, trusted } = this.options;
    const watched = await this.#watched();
    const row = await cases.find(order);
    if (row === undefined) throw new KeelsonError('not_found', 'there is no such order (yet)');
    if (row.closed === undefined) throw new KeelsonError('case_open', await this.#awaited(row));
    const cause = (await causes.find(order))?.cause;
    if (cause === undefined) throw new KeelsonError('not_ready', 'this order is not folded yet', { retryAfterS: 1 });
    const found = await evidence.read(row, cause, cause.state === 'ordered' ? watched : undefined);
    const proved: Evidence = {
      ...found,
      ledger: trusted.key.ledger,
      issuedAt: formatTimestamp(clock.nowUs()),
      logs: await this.#logs(found),
    };
    try {
      return certify(signer, trusted, proved);
    } catch (cause) {
      if (!(cause instanceof KeelsonError) || cause.code !== 'bad_proof') throw cause;
      throw new KeelsonError('conflict', `what is recorded bears out less than the case says: ${cause.message}`, {
        cause,
      });
    }
  }

  /** Where decisions were held against orders, once what was found there is in the tables; undefined where that is not so soon. */
  async #watched(): Promise<Evidence['watched']> {
    const { cases } = this.options;
    const { watched, activity } = await cases.watched();
    for (const endMs = performance.now() + FOLDED_WITHIN_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
      if (await cases.holds(activity)) return watched.length === 0 ? undefined : watched;
    }
    return undefined;
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

  /** Each log's entries in one checkpoint. */
  async #logs(statement: Statement): Promise<CertifiedLog[]> {
    const { reader } = this.options;
    const logs: CertifiedLog[] = [];
    for (const { log, indexes, leastSize } of entriesSpokenOf(statement)) {
      const { note, entries } = await reader.inclusions(await reader.log(log), indexes, leastSize);
      logs.push({ log, checkpoint: note, entries: entries.map((one) => ({ ...one, index: Number(one.index) })) });
    }
    return logs;
  }
}
