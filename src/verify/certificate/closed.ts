/** The entry that closed the case, and whether its result is no more than what is proved. */
import type { Certificate, CertifiedInstance } from '../../protocol/certificate.js';
import type { Body } from '../record.js';
import { numberOf, objectOf, objectsOf, refOf, textOf } from './body.js';
import { fail, isSame, nameOf, type OwnRecord, type ProvedEntries } from './entries.js';
import { gapsOf, type Gap, type ProvedOrder } from './order.js';

/** What instances are counted by, beside those that are named. */
export const STATUSES = ['acked', 'partial', 'contradicting', 'fenced', 'absent'] as const;
export type Status = (typeof STATUSES)[number];

/** Points that an entry counts, at most. */
const MAX_POINTS = 200;

export interface ProvedCase extends OwnRecord {
  readonly gaps: readonly Gap[];
  /** Instances by status, also those that are only counted. */
  readonly counts: Readonly<Record<Status, number>>;
  /** False: there are points whose instances may be neither named nor counted. */
  readonly countsAll: boolean;
  /** Entries that say that a decision contradicts it. */
  readonly reopened: readonly OwnRecord[];
}

/** That the entry is of this order, and names these instances; and what contradicts it. */
export function readCase(certificate: Certificate, entries: ProvedEntries): ProvedCase {
  const { order, seq, closed, instances } = certificate;
  const record = entries.takeOwn(closed, 'case.closed');
  const { body } = record;
  if (textOf(body, 'order') !== order) fail(`${nameOf(record)} closes another case`);
  if (numberOf(body, 'seq') !== seq) fail(`${nameOf(record)} closes it at another change than ${seq}`);
  const named = objectsOf(body, 'instances');
  if (named.length !== instances.length) {
    fail(`${nameOf(record)} names ${named.length} instances, not ${instances.length}`);
  }
  for (const [i, one] of named.entries()) {
    if (!isInstance(one, instances[i]!)) fail(`instance ${i} is not the one that ${nameOf(record)} names`);
  }
  const points = objectsOf(body, 'points');
  const countsAll = points.length < MAX_POINTS;
  const counts = Object.fromEntries(
    STATUSES.map((status) => {
      const counted = points.reduce((sum, one) => sum + (numberOf(one, status) ?? 0), 0);
      const shown = instances.filter((one) => one.status === status).length;
      if (shown > counted && countsAll) fail(`${nameOf(record)} counts fewer ${status} than it names`);
      return [status, Math.max(shown, counted)];
    }),
  ) as Record<Status, number>;
  return { ...record, counts, countsAll, gaps: gapsOf(body), reopened: readReopened(certificate, entries) };
}

function isInstance(named: Body, { instance, point, status, ack }: CertifiedInstance): boolean {
  const at = refOf(named);
  const isAck = at === undefined || ack === undefined ? at === ack : isSame(at, ack);
  return (
    isAck &&
    textOf(named, 'instance') === instance &&
    textOf(named, 'point') === point &&
    textOf(named, 'status') === status
  );
}

const readReopened = ({ order, reopened }: Certificate, entries: ProvedEntries): OwnRecord[] =>
  reopened.map((ref, i) => {
    const record = entries.takeOwn(ref, 'case.reopened');
    if (textOf(record.body, 'order') !== order) fail(`${nameOf(record)} is of another case`);
    if (reopened.slice(0, i).some((one) => isSame(one, ref))) fail(`${nameOf(record)} is there twice`);
    if (refOf(objectOf(record.body, 'decision') ?? {}) === undefined) fail(`${nameOf(record)} names no decision`);
    return record;
  });

/** That the result says no more than order and instances bear out. */
export function checkResult(
  { result, instances }: Certificate,
  proved: ProvedCase,
  order: ProvedOrder | undefined,
): void {
  const { counts, gaps, reopened, body } = proved;
  const missing = (order?.gaps ?? []).find((gap) => !gaps.some((one) => isSameGap(one, gap)));
  if (missing !== undefined) fail(`the case does not say that the order is incomplete: ${missing.reason}`);
  const expected = reopened.length > 0 ? 'incomplete' : textOf(body, 'result');
  if (result !== expected) fail(`it is ${expected}, not ${result}`);
  const found = resultOf(proved, instances);
  if (RANK.indexOf(result) < 0 || RANK.indexOf(result) > RANK.indexOf(found)) {
    const why = gaps.length > 0 ? gaps[0]!.reason : sayCounts(counts, instances);
    fail(`it is not ${result}, but ${found}: ${why}`);
  }
}

const sayCounts = (counts: ProvedCase['counts'], instances: Certificate['instances']): string =>
  [
    ...STATUSES.map((status) => `${counts[status]} ${status}`),
    ...new Set(instances.flatMap(({ status }) => (status in counts ? [] : [status]))),
  ].join(', ');

/** From what says least to what says most. */
const RANK = ['incomplete', 'fenced', 'enforced'];

/** What stands against no result: who stands otherwise, also in a way that is not known here, is not proved to enforce anything. */
const SURE: ReadonlySet<string> = new Set<Status>(['acked', 'fenced', 'absent']);

function resultOf({ counts, gaps, reopened }: ProvedCase, instances: Certificate['instances']): string {
  const isDoubtful = counts.partial + counts.contradicting > 0 || instances.some(({ status }) => !SURE.has(status));
  const isEmpty = counts.acked + counts.fenced + counts.absent === 0;
  if (gaps.length > 0 || reopened.length > 0 || isDoubtful || isEmpty) return 'incomplete';
  return counts.acked > 0 && counts.fenced === 0 ? 'enforced' : 'fenced';
}

const isSameGap = (a: Gap, b: Gap): boolean => a.reason === b.reason && a.issuer === b.issuer && a.count === b.count;
