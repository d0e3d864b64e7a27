/** The order of a certificate: that it follows from its cause, and that every part of it is there. */
import { formatHex } from '../../core/bytes.js';
import type { Hasher } from '../../core/hasher.js';
import { digest } from '../../core/merkle.js';
import type { Certificate, EntryRef } from '../../protocol/certificate.js';
import { KEY_BYTES } from '../../protocol/keys.js';
import { WireWriter } from '../../protocol/wire.js';
import { readEnvelope, type Envelope } from '../record.js';
import { bytesOf, numberOf, objectOf, objectsOf, refOf, textOf } from './body.js';
import { fail, isSame, nameOf, type OwnRecord, type ProvedEntries, type ProvedEntry } from './entries.js';
import type { CertificateFindings } from './finding.js';

export interface Gap {
  readonly reason: string;
  readonly issuer: string;
  readonly count: number | undefined;
  readonly point: string;
  readonly instance: string;
  /** The entry that says so. */
  readonly entry: EntryRef | undefined;
}

export interface ProvedPart extends OwnRecord {
  /** Keys that it names. */
  readonly keys: number;
}

export interface ProvedOrder {
  readonly cause: ProvedEntry & { readonly envelope: Envelope };
  readonly records: readonly ProvedPart[];
  readonly lastPart: ProvedPart;
  /** Types of the keys that it took. */
  readonly keyTypes: ReadonlySet<string>;
  /** What the order itself says is not whole. */
  readonly gaps: readonly Gap[];
}

const RECORDS = ['held', 'fired', 'ordered', 'extended', 'lifted'].map((one) => `revocation.${one}`);
const PARTS = new Set(['revocation.ordered', 'revocation.extended']);

export function checkOrder(
  hasher: Hasher,
  { order, cause: causeRef, records: refs }: Certificate,
  entries: ProvedEntries,
  findings: CertificateFindings,
): ProvedOrder | undefined {
  const cause = findings.attempt('order_wrong', () => {
    const entry = entries.take(causeRef);
    const envelope = readEnvelope(entry.record);
    if (orderName(hasher, envelope) !== order) fail(`the order of ${nameOf(entry)} is not ${order}`);
    return { ...entry, envelope };
  });
  const found = refs.map((ref) => findings.attempt('order_wrong', () => readPart(entries.takeOwn(ref, ...RECORDS))));
  const records = found.filter((record) => record !== undefined);
  if (cause === undefined || records.length < found.length) return undefined;
  findings.attempt('order_wrong', () => {
    for (const [i, record] of records.entries()) checkRecord(hasher, order, cause, record, records[i - 1]);
  });
  const lastPart = findings.attempt('part_missing', () => {
    for (const [i, { body }] of records.entries()) {
      const number = numberOf(body, 'number');
      if (number !== i) fail(`record ${i} that followed from the cause is not there; ${number} stands in its place`);
    }
    const last = records.at(-1);
    if (last === undefined || !PARTS.has(last.envelope.type) || last.body.last !== true) {
      fail('the last part of the order is not there');
    }
    return last;
  });
  if (lastPart === undefined) return undefined;
  const keyTypes = new Set(records.flatMap(({ body }) => objectsOf(body, 'counts').map((one) => textOf(one, 'type'))));
  return { cause, records, lastPart, keyTypes, gaps: gapsOf(lastPart.body) };
}

/** What a body says is not whole. */
export const gapsOf = (body: OwnRecord['body']): Gap[] =>
  objectsOf(body, 'incomplete').map((one) => ({
    reason: textOf(one, 'reason'),
    issuer: textOf(one, 'issuer'),
    count: numberOf(one, 'count'),
    point: textOf(one, 'point'),
    instance: textOf(one, 'instance'),
    entry: refOf(one),
  }));

const readPart = (record: OwnRecord): ProvedPart => ({
  ...record,
  keys: objectsOf(record.body, 'changes').reduce((sum, one) => sum + bytesOf(one, 'keys').length / KEY_BYTES, 0),
});

function checkRecord(
  hasher: Hasher,
  order: string,
  cause: ProvedOrder['cause'],
  record: ProvedPart,
  before: ProvedPart | undefined,
): void {
  const { body, envelope } = record;
  const from = objectOf(body, 'cause') ?? {};
  const { id, producer } = cause.envelope;
  const at = { log: cause.log, index: numberOf(from, 'index') ?? -1 };
  if (textOf(body, 'order') !== order || !isSame(at, cause) || textOf(from, 'id') !== id) {
    fail(`${nameOf(record)} is of another order`);
  }
  const [term, number] = [numberOf(body, 'term'), numberOf(body, 'number')];
  if (term === undefined || number === undefined) fail(`${nameOf(record)} has no number`);
  if (envelope.id !== partName(hasher, producer, id, term, number)) fail(`${nameOf(record)} has another record’s name`);
  const behind = before ?? cause;
  if (record.log !== cause.log || record.index <= behind.index)
    fail(`${nameOf(record)} is not behind the one before it`);
  if (before !== undefined && term < (numberOf(before.body, 'term') ?? 0))
    fail(`${nameOf(record)} is of a term that is over`);
}

/** As src/revocation/names.ts. */
function orderName(hasher: Hasher, { producer, id }: Envelope): string {
  return shortHash(hasher, new WireWriter().text('order').text(producer).text(id));
}

function partName(hasher: Hasher, producer: string, id: string, term: number, number: number): string {
  return shortHash(hasher, new WireWriter().text(producer).text(id).uint64(term).uint32(number));
}

const shortHash = (hasher: Hasher, input: WireWriter): string =>
  formatHex(digest(hasher, input.finish()).subarray(0, 16));
