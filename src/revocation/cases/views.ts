/** Cases as the API shows them: out of what is known of each now, or of the entry that closed it. */
import { formatTimestamp } from '../../events/time.js';
import type { CaseRow } from './cases.js';
import type { CaseDetail, CaseView, Gap, InstanceView, PointView, Step, TokensView } from './schemas.js';
import type { CaseTokens } from './tokens-port.js';
import { gapsOf, standingsOf, type CaseGap, type StandingInstance } from './outcome.js';
import { standingOf, type CaseInstance, type Standing } from './standing.js';

type Counts = Omit<PointView, 'point'>;

const COUNTED = ['acked', 'partial', 'contradicting', 'silent', 'fenced', 'unfenced', 'absent'] as const;
const NO_COUNTS: Counts = { acked: 0, partial: 0, contradicting: 0, silent: 0, fenced: 0, unfenced: 0, absent: 0 };

/** How a case stands: as it was closed, else as it is. */
interface Standings {
  /** Made for who asks: of 10,000 that costs more than all the rest. */
  readonly instances: () => readonly InstanceView[];
  readonly points: readonly (Counts & { readonly point: string })[];
  readonly gaps: readonly CaseGap[];
}

/** The body of `case.closed`, as far as it is shown; what was written as `case.v1` has less. */
interface ClosedDoc {
  readonly points?: readonly (Partial<Counts> & {
    readonly point: string;
    readonly first_acked_at?: number | null;
    readonly last_acked_at?: number | null;
  })[];
  readonly instances?: readonly {
    readonly instance: string;
    readonly point: string;
    readonly status: string;
    readonly log?: string | null;
    readonly index?: number | null;
    readonly acked_at?: number | null;
    readonly unmapped?: readonly string[] | null;
  }[];
  readonly incomplete?: readonly (CaseGap & { readonly key_types?: CaseGap['keyTypes'] | null })[];
}

/** The tokens concerned; last uses by the day, and the last of them exactly where that was found. */
export function viewTokens({ count, atLeast, lastUsedUs, tokens }: CaseTokens): TokensView {
  return {
    count,
    atLeast,
    ...(lastUsedUs === undefined ? {} : { lastUsedAt: formatTimestamp(lastUsedUs) }),
    tokens: tokens.map(({ lastUsedDay, digests, ...token }) => ({
      ...token,
      digests: [...digests],
      ...(lastUsedDay === undefined ? {} : { lastUsedOn: formatTimestamp(BigInt(lastUsedDay) * DAY_US).slice(0, 10) }),
    })),
  };
}

const DAY_US = 86_400_000_000n;

export function viewCase(row: CaseRow, instances: readonly CaseInstance[]): CaseView {
  return sumUp(row, standingsNow(row, instances));
}

/** @param silentUs how long instances have not asked for a lease. */
export function viewDetail(
  row: CaseRow,
  instances: readonly CaseInstance[],
  silentUs: ReadonlyMap<string, number>,
): CaseDetail {
  const standings = standingsNow(row, instances);
  const described = standings.instances();
  const shown = described.map((one) => withSilence(one, silentUs));
  const late = new Set(['silent', 'contradicting', 'fenced', 'unfenced', 'absent']);
  return {
    ...sumUp(row, standings),
    points: standings.points.map((one) => ({ ...one })),
    instances: shown,
    stragglers: shown
      .filter(({ status }) => late.has(status))
      .sort((a, b) => (b.silentS ?? 0) - (a.silentS ?? 0) || (a.instance < b.instance ? -1 : 1)),
    timeline: timelineOf(row, described),
  };
}

function standingsNow(row: CaseRow, instances: readonly CaseInstance[]): Standings {
  if (row.closed !== undefined) return standingsClosed(row, row.closed.doc as ClosedDoc);
  const concerned: CaseInstance[] = [];
  const doubtful: CaseInstance[] = [];
  const points = new Map<string, Counts & { point: string }>();
  for (const one of instances) {
    const standing = standingOf(row, one, 0);
    if (standing === 'retired' || standing === 'later') continue;
    concerned.push(one);
    if (DOUBTFUL.has(standing)) doubtful.push(one);
    const counts = points.get(one.point) ?? { point: one.point, ...NO_COUNTS };
    points.set(one.point, counts);
    counts[standing]++;
  }
  // What is not proven is about these, or about there being nobody at all.
  const told = doubtful.length > 0 ? doubtful : concerned.slice(0, 1);
  return {
    instances: () => standingsOf(row, instances, 0).map(viewInstance),
    points: [...points.values()],
    gaps: gapsOf(row, standingsOf(row, told, 0)),
  };
}

const DOUBTFUL: ReadonlySet<Standing> = new Set(['partial', 'contradicting', 'unfenced']);

function standingsClosed({ contradictions }: CaseRow, { points, instances, incomplete }: ClosedDoc): Standings {
  const known = new Set((incomplete ?? []).map(({ reason, log, index }) => `${reason} ${log} ${index}`));
  const since = contradictions
    .map(({ log, index, point, instance }) => ({ reason: 'allowed_after', log, index, point, instance }))
    .filter(({ reason, log, index }) => !known.has(`${reason} ${log} ${index}`));
  return {
    points: (points ?? []).map(({ point, ...counts }) => ({
      point,
      ...NO_COUNTS,
      ...Object.fromEntries(COUNTED.map((what) => [what, Number(counts[what] ?? 0)])),
      // The entry counts them in what is not proven.
      unfenced: (incomplete ?? []).reduce(
        (sum, gap) => (gap.reason === 'unfenced' && gap.point === point ? sum + Number(gap.count ?? 0) : sum),
        0,
      ),
    })),
    instances: () =>
      (instances ?? []).map(({ instance, point, status, log, index, acked_at, unmapped }) => ({
        instance,
        point,
        status,
        ...(log == null || index == null
          ? {}
          : { ack: { log, index, ...(acked_at == null ? {} : { at: formatTimestamp(BigInt(acked_at)) }) } }),
        ...(unmapped == null ? {} : { unmapped: [...unmapped] }),
      })),
    gaps: [
      ...(incomplete ?? []).map(({ key_types: keyTypes, ...gap }) => ({
        ...gap,
        ...(keyTypes == null ? {} : { keyTypes }),
      })),
      ...(since as CaseGap[]),
    ],
  };
}

function sumUp(row: CaseRow, { points, gaps }: Standings): CaseView {
  const { order, seq, orderedUs, closed, contradictions } = row;
  const isReopened = contradictions.length > 0;
  const result = isReopened ? 'incomplete' : closed?.result;
  return {
    order,
    seq,
    state: isReopened ? 'reopened' : (closed?.result ?? 'open'),
    ...(result === undefined ? {} : { result }),
    orderedAt: formatTimestamp(BigInt(orderedUs)),
    ...(closed === undefined ? {} : { closedAt: formatTimestamp(BigInt(closed.appendedUs)) }),
    ...(Object.fromEntries(
      COUNTED.map((what) => [what, points.reduce((sum, one) => sum + one[what], 0)]),
    ) as unknown as Counts),
    incomplete: gaps.map(viewGap),
    ...(closed === undefined ? {} : { entry: { log: closed.log, index: Number(closed.index) } }),
  };
}

function viewGap({ keyTypes, index, ...more }: CaseGap): Gap {
  const said = Object.entries(more).filter(([, value]) => value !== undefined && value !== null);
  return {
    ...(Object.fromEntries(said) as { reason: string }),
    ...(keyTypes === undefined ? {} : { keyTypes: [...keyTypes] }),
    ...(index === undefined || index === null ? {} : { index: Number(index) }),
  };
}

function viewInstance({ instance, point, standing, ack, unmapped, quarantined }: StandingInstance): InstanceView {
  return {
    instance,
    point,
    status: standing,
    ...(ack === undefined
      ? {}
      : {
          ack: {
            seq: ack.seq,
            log: ack.log,
            index: Number(ack.index),
            at: formatTimestamp(BigInt(ack.appendedUs)),
            keyTypes: [...ack.keyTypes],
            mappingHash: ack.mappingHash,
          },
        }),
    ...(unmapped.length === 0 ? {} : { unmapped: [...unmapped] }),
    ...(quarantined ? { quarantined } : {}),
  };
}

function withSilence(one: InstanceView, silentUs: ReadonlyMap<string, number>): InstanceView {
  const us = silentUs.get(one.instance);
  return us === undefined ? one : { ...one, silentS: Math.floor(us / 1e6) };
}

function timelineOf(row: CaseRow, instances: readonly InstanceView[]): Step[] {
  const { firstPartUs, orderedUs, parts, closed, late, contradictions } = row;
  const steps: Step[] = [
    { at: formatTimestamp(BigInt(firstPartUs)), what: 'ordered', parts },
    ...(orderedUs === firstPartUs ? [] : [{ at: formatTimestamp(BigInt(orderedUs)), what: 'last_part' }]),
    ...acksOf(row, instances),
  ];
  if (late !== undefined) {
    const { log, index, appendedUs } = late;
    steps.push({ at: formatTimestamp(BigInt(appendedUs)), what: 'late', entry: { log, index: Number(index) } });
  }
  if (closed !== undefined) {
    const { appendedUs, result, log, index } = closed;
    steps.push({
      at: formatTimestamp(BigInt(appendedUs)),
      what: 'closed',
      result,
      entry: { log, index: Number(index) },
    });
  }
  for (const { appendedUs, saidIn, point } of contradictions) {
    steps.push({
      at: formatTimestamp(BigInt(appendedUs)),
      what: 'reopened',
      ...(point === undefined ? {} : { point }),
      entry: { log: saidIn.log, index: Number(saidIn.index) },
    });
  }
  return steps.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

/** When the first and the last instance of each point attested it. */
function acksOf({ closed }: CaseRow, instances: readonly InstanceView[]): Step[] {
  const times = new Map<string, string[]>();
  for (const { point, status, ack } of instances) {
    if ((status !== 'acked' && status !== 'partial') || ack?.at === undefined) continue;
    times.set(point, [...(times.get(point) ?? []), ack.at]);
  }
  for (const { point, first_acked_at, last_acked_at } of (closed?.doc as ClosedDoc | undefined)?.points ?? []) {
    const said = [first_acked_at, last_acked_at].flatMap((us) => (us == null ? [] : [formatTimestamp(BigInt(us))]));
    if (said.length > 0) times.set(point, said);
  }
  return [...times].flatMap(([point, ats]) => {
    const sorted = ats.sort();
    const [first, last] = [sorted[0]!, sorted.at(-1)!];
    return [
      { at: first, what: 'first_ack', point },
      ...(last === first ? [] : [{ at: last, what: 'last_ack', point }]),
    ];
  });
}
