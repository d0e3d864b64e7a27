/** The entries of a certificate: each held against the signed checkpoint of its log, before anybody reads what it says. */
import { openCheckpoint, type Checkpoint } from '../../core/checkpoint.js';
import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import type { Hasher } from '../../core/hasher.js';
import { hashLeaf } from '../../core/merkle.js';
import { checkInclusion } from '../../core/proof.js';
import type { Verifier } from '../../core/signer.js';
import type { CertifiedLog, EntryRef } from '../../protocol/certificate.js';
import { logKeyOf, logOfOrigin, partitionOfLog, type LedgerKey } from '../ledger-key.js';
import { readEnvelope, readRecord, type Body, type Envelope } from '../record.js';
import type { CertificateFindings } from './finding.js';

/** What a check of a certificate stands on. */
export interface Trusted {
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly key: LedgerKey;
}

export interface ProvedEntry extends EntryRef {
  /** The event log's clock when it took the record, microseconds since 1970. */
  readonly appendedUs: number;
  readonly record: Uint8Array;
}

/** A record of Keelson's own. */
export interface OwnRecord extends ProvedEntry {
  readonly envelope: Envelope;
  readonly body: Body;
}

/** Whether a record is of Keelson's own. */
export const isOwn = ({ producer, protocol }: Envelope): boolean => producer === 'keelson' && protocol === 'internal';

export class ProvedEntries {
  /** By log. */
  readonly checkpoints = new Map<string, Checkpoint>();
  readonly #entries = new Map<string, ProvedEntry>();
  readonly #unused = new Set<string>();

  constructor(trusted: Trusted, logs: readonly CertifiedLog[], findings: CertificateFindings) {
    for (const [i, one] of logs.entries()) {
      findings.attempt('checkpoint_wrong', () => {
        if (i > 0 && one.log <= logs[i - 1]!.log) fail(`${one.log} does not stand in its order`);
        const checkpoint = openLog(trusted, one);
        this.checkpoints.set(one.log, checkpoint);
        this.#prove(trusted, one, checkpoint, findings);
      });
    }
  }

  /** The entry there. @throws KeelsonError `bad_proof`: none that is proved */
  take(ref: EntryRef): ProvedEntry {
    const name = nameOf(ref);
    this.#unused.delete(name);
    return this.#entries.get(name) ?? fail(`${name} is not among the entries that are proved`);
  }

  /** A record of Keelson's own, of one of these types. @throws KeelsonError `bad_proof`, `malformed_record`, `unknown_schema` */
  takeOwn(ref: EntryRef, ...types: readonly string[]): OwnRecord {
    const entry = this.take(ref);
    const envelope = readEnvelope(entry.record);
    if (!types.includes(envelope.type)) fail(`${nameOf(ref)} is a ${envelope.type}, not ${types.join(' or ')}`);
    if (!isOwn(envelope)) fail(`${nameOf(ref)} is not of Keelson’s own`);
    return { ...entry, envelope, body: readRecord(entry.record).body };
  }

  /** Entries that nothing in the certificate speaks of. */
  get unused(): readonly string[] {
    return [...this.#unused];
  }

  #prove(
    { hasher }: Trusted,
    { log, entries }: CertifiedLog,
    checkpoint: Checkpoint,
    findings: CertificateFindings,
  ): void {
    for (const [i, { index, entry: bytes, proof }] of entries.entries()) {
      const name = nameOf({ log, index });
      this.#unused.add(name);
      findings.attempt('entry_unproved', () => {
        if (i > 0 && index <= entries[i - 1]!.index) fail(`${name} does not stand in its order`);
        try {
          checkInclusion(hasher, BigInt(index), hashLeaf(hasher, bytes), proof, checkpoint);
        } catch (cause) {
          throw cause instanceof KeelsonError
            ? new KeelsonError('bad_proof', `${name}: ${cause.message}`, { cause })
            : cause;
        }
        const entry = parseEntry(bytes);
        if (entry.partition !== partitionOfLog(log)) fail(`${name} is of another partition`);
        if (entry.kind !== 'record') fail(`${name} is what was refused`);
        this.#entries.set(name, { log, index, appendedUs: Number(entry.appendedAtUs), record: entry.record });
      });
    }
  }
}

function openLog({ hasher, verifier, key }: Trusted, { log, checkpoint }: CertifiedLog): Checkpoint {
  if (logOfOrigin(key, `${key.ledger}/${log}`) === undefined) fail(`${JSON.stringify(log)} is no log of ${key.ledger}`);
  return openCheckpoint(checkpoint, logKeyOf(hasher, key, log), verifier);
}

export const nameOf = ({ log, index }: EntryRef): string => `${log} entry ${index}`;

export const isSame = (a: EntryRef, b: EntryRef): boolean => a.log === b.log && a.index === b.index;

/** What a certificate says and does not bear out. */
export function fail(message: string): never {
  throw new KeelsonError('bad_proof', message);
}
