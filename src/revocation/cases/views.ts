/** Cases as the API shows them. */
import { Type, type Static } from 'typebox';
import { formatTimestamp } from '../../events/time.js';
import type { CaseRow } from './cases.js';
import type { CaseTokens } from './tokens-port.js';
import { gapsOf, standingsOf, type CaseGap, type StandingInstance } from './outcome.js';
import type { CaseInstance } from './standing.js';

const Entry = Type.Object({ log: Type.String(), index: Type.Integer() });
const Gap = Type.Object(
  {
    reason: Type.String({ description: 'As a code: docs/revocation.md' }),
    issuer: Type.Optional(Type.String()),
    count: Type.Optional(Type.Integer()),
    point: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String()),
    keyTypes: Type.Optional(Type.Array(Type.String())),
    log: Type.Optional(Type.String()),
    index: Type.Optional(Type.Integer()),
  },
  { description: 'What is not proven' },
);
export const CaseView = Type.Object({
  order: Type.String(),
  seq: Type.Integer({ description: 'Who enforces the table up to this change, enforces the order' }),
  state: Type.String({ description: 'open, enforced, fenced, incomplete or reopened' }),
  result: Type.Optional(
    Type.String({ description: 'How it ended: enforced, fenced or incomplete; reopened: incomplete' }),
  ),
  orderedAt: Type.String({ description: 'When its last part was in the ledger' }),
  closedAt: Type.Optional(Type.String({ description: 'When the entry that closed it was' })),
  acked: Type.Integer({ description: 'Instances that attested it' }),
  partial: Type.Integer({ description: 'Instances that did, and can not find keys of every type that it names' }),
  contradicting: Type.Integer({ description: 'Instances that attested another table than there is' }),
  silent: Type.Integer({ description: 'Instances that did not attest it yet, and may have a lease from before' }),
  fenced: Type.Integer({ description: 'Instances that did not, and whose lease ran out that was granted before' }),
  unfenced: Type.Integer({ description: 'The same, where tools fail open: that proves nothing' }),
  absent: Type.Integer({ description: 'Instances that had no lease when it was ordered: nobody waits for them' }),
  incomplete: Type.Array(Gap),
  entry: Type.Optional(Entry),
});

const At = Type.String({ description: 'RFC 3339' });
const InstanceView = Type.Object({
  instance: Type.String(),
  point: Type.String(),
  status: Type.String({
    description: 'acked, partial, contradicting, silent, fenced, unfenced, absent, retired or later (joined after it)',
  }),
  ack: Type.Optional(
    Type.Object({
      seq: Type.Optional(Type.Integer()),
      log: Type.String(),
      index: Type.Integer(),
      at: Type.Optional(At),
      keyTypes: Type.Optional(Type.Array(Type.String())),
      mappingHash: Type.Optional(Type.String()),
    }),
  ),
  unmapped: Type.Optional(Type.Array(Type.String(), { description: 'Types of keys that it can not find' })),
  quarantined: Type.Optional(Type.Boolean({ description: 'Its point gets no leases' })),
  silentS: Type.Optional(Type.Integer({ description: 'Seconds since it asked for a lease, to some 20 s' })),
});
const PointView = Type.Object({
  point: Type.String(),
  acked: Type.Integer(),
  partial: Type.Integer(),
  contradicting: Type.Integer(),
  silent: Type.Integer(),
  fenced: Type.Integer(),
  unfenced: Type.Integer(),
  absent: Type.Integer(),
});
const Step = Type.Object({
  at: At,
  what: Type.String({ description: 'ordered, last_part, first_ack, last_ack, closed, reopened' }),
  point: Type.Optional(Type.String()),
  result: Type.Optional(Type.String()),
  parts: Type.Optional(Type.Integer()),
  entry: Type.Optional(Entry),
});
const TokensView = Type.Object(
  {
    count: Type.Integer({ description: 'Tokens that hang on whom or what the order is about' }),
    atLeast: Type.Boolean({ description: 'There are more than were counted' }),
    lastUsedAt: Type.Optional(At),
    tokens: Type.Array(
      Type.Object({
        issuer: Type.String(),
        id: Type.String(),
        digests: Type.Array(Type.String()),
        state: Type.String(),
        lastUsedOn: Type.Optional(Type.String({ description: 'The day of its last recorded use' })),
      }),
      { description: 'Those used last, 100 at most' },
    ),
  },
  { description: 'As the identity graph knows them now; absent where it can not be asked' },
);
export const CaseDetail = Type.Object({
  ...CaseView.properties,
  points: Type.Array(PointView),
  instances: Type.Array(InstanceView, {
    description: 'Of a closed case: as it was closed, as far as its entry names them',
  }),
  stragglers: Type.Array(InstanceView, { description: 'Who has not attested it, the longest silent first' }),
  timeline: Type.Array(Step),
  tokens: Type.Optional(TokensView),
});
export type CaseView = Static<typeof CaseView>;
export type CaseDetail = Static<typeof CaseDetail>;
type InstanceView = Static<typeof InstanceView>;
type Counts = Omit<Static<typeof PointView>, 'point'>;

const COUNTED = ['acked', 'partial', 'contradicting', 'silent', 'fenced', 'unfenced', 'absent'] as const;
const NO_COUNTS: Counts = { acked: 0, partial: 0, contradicting: 0, silent: 0, fenced: 0, unfenced: 0, absent: 0 };

/** How a case stands: as it was closed, else as it is. */
interface Standings {
  readonly instances: readonly InstanceView[];
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
export function viewTokens({ count, atLeast, lastUsedUs, tokens }: CaseTokens): Static<typeof TokensView> {
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
  const shown = standings.instances.map((one) => withSilence(one, silentUs));
  const late = new Set(['silent', 'contradicting', 'fenced', 'unfenced', 'absent']);
  return {
    ...sumUp(row, standings),
    points: standings.points.map((one) => ({ ...one })),
    instances: shown,
    stragglers: shown
      .filter(({ status }) => late.has(status))
      .sort((a, b) => (b.silentS ?? 0) - (a.silentS ?? 0) || (a.instance < b.instance ? -1 : 1)),
    timeline: timelineOf(row, standings),
  };
}

function standingsNow(row: CaseRow, instances: readonly CaseInstance[]): Standings {
  if (row.closed !== undefined) return standingsClosed(row, row.closed.doc as ClosedDoc);
  const all = standingsOf(row, instances, 0);
  const concerned = all.filter(({ standing }) => standing !== 'retired' && standing !== 'later');
  const points = new Map<string, Counts & { point: string }>();
  for (const { point, standing } of concerned) {
    const counts = points.get(point) ?? { point, ...NO_COUNTS };
    points.set(point, counts);
    counts[standing as (typeof COUNTED)[number]]++;
  }
  return { instances: all.map(viewInstance), points: [...points.values()], gaps: gapsOf(row, concerned) };
}

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
    instances: (instances ?? []).map(({ instance, point, status, log, index, acked_at, unmapped }) => ({
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

function viewGap({ keyTypes, index, ...more }: CaseGap): Static<typeof Gap> {
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

function timelineOf(row: CaseRow, { instances }: Standings): Static<typeof Step>[] {
  const { firstPartUs, orderedUs, parts, closed, contradictions } = row;
  const steps: Static<typeof Step>[] = [
    { at: formatTimestamp(BigInt(firstPartUs)), what: 'ordered', parts },
    ...(orderedUs === firstPartUs ? [] : [{ at: formatTimestamp(BigInt(orderedUs)), what: 'last_part' }]),
    ...acksOf(row, instances),
  ];
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
function acksOf({ closed }: CaseRow, instances: readonly InstanceView[]): Static<typeof Step>[] {
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
