/** What a certificate says, out of the entries that were found for it: docs/certificate.md. Pure; the simulation holds it against what happened. */
import { parseEntry } from '../../core/entry.js';
import type { Signer } from '../../core/signer.js';
import { writeCertificate, type CertifiedInstance, type EntryRef, type Evidence } from '../../protocol/certificate.js';
import { numberOf, objectOf, objectsOf, textOf } from '../../verify/certificate/body.js';
import { isOwn, type Trusted } from '../../verify/certificate/entries.js';
import { isUseOf } from '../../verify/certificate/uses.js';
import { readEnvelope, readRecord } from '../../verify/record.js';
import { wordEvidence } from '../../verify/verify-certificate.js';
import type { Cause } from '../cause.js';
import { LIFECYCLE } from '../names.js';
import type { CaseRow } from './cases.js';

/** Evidence without the proofs of its entries. */
export type Statement = Omit<Evidence, 'ledger' | 'issuedAt' | 'logs'>;

export interface FoundEvidence {
  readonly row: Pick<CaseRow, 'order' | 'seq' | 'closed' | 'contradictions'>;
  readonly cause: Pick<Cause, 'index'>;
  /** Indices, in lifecycle, of everything that followed from the cause up to the last part. */
  readonly records: readonly bigint[];
  readonly instances: readonly CertifiedInstance[];
  /** Undefined where nobody can tell which they are. */
  readonly tokens: Evidence['tokens'];
  /** Where forbidden decisions were looked for, and what was found is in `row`; undefined: that is not known. */
  readonly watched?: Evidence['watched'];
}

/** A closed case, as far as it is recorded. */
export function stateCase({ row, cause, records, instances, tokens, watched }: FoundEvidence): Statement {
  const { order, seq, closed, contradictions } = row;
  const reopened = contradictions.map(({ saidIn: { log, index } }) => ({ log, index: Number(index) }));
  return {
    order,
    result: reopened.length > 0 ? 'incomplete' : closed!.result,
    seq,
    cause: { log: LIFECYCLE, index: cause.index },
    records: records.map((index) => ({ log: LIFECYCLE, index: Number(index) })),
    closed: { log: closed!.log, index: Number(closed!.index) },
    reopened,
    instances,
    ...(tokens && { tokens }),
    ...(watched && { watched }),
  };
}

/** The instances that the entry names which closed a case. @param joined where each of them joined, in lifecycle */
export function instancesIn(closed: Uint8Array, joined: ReadonlyMap<string, number>): CertifiedInstance[] {
  return namedIn(closed).map((one) => {
    const instance = textOf(one, 'instance');
    const [enrolled, ack] = [joined.get(instance), textOf(one, 'log')];
    return {
      instance,
      point: textOf(one, 'point'),
      status: textOf(one, 'status'),
      ...(enrolled === undefined ? {} : { enrolled: { log: LIFECYCLE, index: enrolled } }),
      ...(ack === '' ? {} : { ack: { log: ack, index: numberOf(one, 'index') ?? 0 } }),
    };
  });
}

/** Names of the instances in the entry that closed a case. */
export const instanceNamesIn = (closed: Uint8Array): string[] => namedIn(closed).map((one) => textOf(one, 'instance'));

const namedIn = (closed: Uint8Array): ReturnType<typeof objectsOf> =>
  objectsOf(readRecord(recordOf(closed)!).body, 'instances');

/** A record that followed from a cause. */
export interface Following {
  readonly index: bigint;
  readonly number: number;
}

/** Which of these entries of lifecycle followed from a cause. @param from the index of the first. */
export function followingIn(
  entries: readonly Uint8Array[],
  from: bigint,
  cause: Pick<Cause, 'id' | 'index'>,
): Following[] {
  return entries.flatMap((entry, i) => {
    const record = recordOf(entry);
    if (record === undefined) return [];
    const envelope = readEnvelope(record);
    if (!envelope.type.startsWith('revocation.') || !isOwn(envelope)) return [];
    const { body } = readRecord(record);
    const number = numberOf(body, 'number');
    const named = objectOf(body, 'cause');
    const isOfCause =
      named !== undefined && numberOf(named, 'index') === cause.index && textOf(named, 'id') === cause.id;
    return isOfCause && number !== undefined ? [{ index: from + BigInt(i), number }] : [];
  });
}

/** Looks for the last use of a token among decisions to allow, which are offered newest first. */
export class LastUse {
  #found: EntryRef | undefined;

  constructor(
    private readonly issuer: string,
    private readonly token: string,
  ) {}

  /** Undefined: none of those that were offered. */
  get found(): EntryRef | undefined {
    return this.#found;
  }

  /** Whether that is it, so that no more need be offered. */
  offer(ref: EntryRef, entry: Uint8Array): boolean {
    const record = recordOf(entry);
    if (record === undefined || !isUseOf(readRecord(record).body, this.issuer, this.token)) return false;
    this.#found = ref;
    return true;
  }
}

/** What has to be proved of a log: entries, and that there are so many at least. */
export interface ToProve {
  readonly log: string;
  readonly indexes: readonly bigint[];
  readonly leastSize: bigint;
}

/** Every entry that is spoken of, and every log that was looked through, in the order in which a certificate has them. */
export function entriesSpokenOf({
  cause,
  records,
  closed,
  reopened,
  instances,
  tokens,
  watched,
}: Omit<Statement, 'result' | 'seq' | 'order'>): ToProve[] {
  const refs = [cause, ...records, closed, ...reopened, ...instances.flatMap(({ enrolled, ack }) => [enrolled, ack])];
  const uses = tokens?.shown.map(({ use }) => use) ?? [];
  const there = [...refs, ...uses].filter((ref): ref is EntryRef => ref !== undefined);
  const sizes = new Map<string, bigint>();
  for (const { log, size } of [...(tokens?.asOf ?? []), ...(watched ?? [])]) {
    sizes.set(log, BigInt(Math.max(size, Number(sizes.get(log) ?? 0n))));
  }
  const names = [...new Set([...there.map(({ log }) => log), ...sizes.keys(), LIFECYCLE])].sort();
  return names.map((log) => ({
    log,
    indexes: there.filter((ref) => ref.log === log).map(({ index }) => BigInt(index)),
    leastSize: sizes.get(log) ?? 0n,
  }));
}

/**
 * The certificate's file.
 * @throws KeelsonError `bad_proof`: the evidence does not bear out what it says
 */
export const certify = (signer: Signer, trusted: Trusted, evidence: Evidence): Uint8Array =>
  writeCertificate(signer, { ...evidence, says: wordEvidence(trusted, evidence) });

/** Undefined for what was refused. */
function recordOf(bytes: Uint8Array): Uint8Array | undefined {
  const entry = parseEntry(bytes);
  return entry.kind === 'record' ? entry.record : undefined;
}
