import { describe, expect, it } from 'vitest';
import { describeClosed } from '../../src/revocation/cases/entry.js';
import { closeCase, gapsOf, standingsOf, type CaseOutcome } from '../../src/revocation/cases/outcome.js';
import { FENCED_AFTER_US, type CaseInstance, type OpenCase } from '../../src/revocation/cases/standing.js';
import { CasesState, RETIRED_AFTER_US, stepCases } from '../../src/revocation/cases/step.js';
import { DEFAULT_STALENESS_US } from '../../src/protocol/staleness.js';
import { viewCase } from '../../src/revocation/cases/views.js';
import type { KeyType } from '../../src/protocol/keys.js';

const ack = (seq: number, more: Partial<NonNullable<CaseInstance['ack']>> = {}): CaseInstance['ack'] => ({
  seq,
  log: 'activity/0/g1',
  index: BigInt(seq),
  appendedUs: 1_000_000 * seq,
  isTrue: true,
  keyTypes: ['principal', 'token'],
  mappingHash: '00',
  ...more,
});
const one = (instance: string, seq?: number, more: Partial<CaseInstance> = {}): CaseInstance => ({
  instance,
  point: 'gateway',
  joinedIndex: 1n,
  retired: undefined,
  quarantined: false,
  failOpen: [],
  leasesEndUs: Infinity,
  ack: seq === undefined ? undefined : ack(seq),
  ...more,
});
const order: OpenCase = {
  order: 'o',
  seq: 7,
  index: 50n,
  orderedUs: 1,
  keyTypes: ['principal'],
  incomplete: [],
  signalled: [],
  contradictions: [],
};
const standings = (outcome: CaseOutcome | undefined): Record<string, string> =>
  Object.fromEntries((outcome?.instances ?? []).map(({ instance, standing }) => [instance, standing]));

describe('a case', () => {
  it('goes on until every instance attested it or has no lease any more', () => {
    const instances = [one('a', 7), one('b', 6), one('c')];
    expect(closeCase(order, instances, FENCED_AFTER_US - 1)).toBeUndefined();
    const outcome = closeCase(order, instances, FENCED_AFTER_US);
    expect(outcome).toMatchObject({ result: 'fenced', incomplete: [] });
    expect(standings(outcome)).toEqual({ a: 'acked', b: 'fenced', c: 'fenced' });
  });

  it('is enforced at once when all attested it', () => {
    expect(closeCase(order, [one('a', 8), one('b', 7)], 0)).toMatchObject({ result: 'enforced' });
  });

  it('does not wait for who has no lease, and names them; with nobody else it is fenced', () => {
    const gone = one('b', 3, { leasesEndUs: -Infinity });
    const outcome = closeCase(order, [one('a', 7), gone], 0);
    expect(outcome).toMatchObject({ result: 'enforced' });
    expect(standings(outcome)).toEqual({ a: 'acked', b: 'absent' });
    expect(closeCase(order, [gone], 0)).toMatchObject({ result: 'fenced' });
  });

  it('waits for the lease of who was retired, as for that of anybody', () => {
    const retired = one('b', 6, { retired: 'silent' });
    expect(closeCase(order, [one('a', 7), retired], FENCED_AFTER_US - 1)).toBeUndefined();
    expect(closeCase(order, [one('a', 7), retired], FENCED_AFTER_US)).toMatchObject({ result: 'fenced' });
    const outcome = closeCase(order, [one('a', 7), { ...retired, leasesEndUs: -Infinity }], 0);
    expect(outcome).toMatchObject({ result: 'enforced' });
    expect(standings(outcome)).toEqual({ a: 'acked' });
  });

  it('does not wait for who joined later: their first table held it', () => {
    expect(closeCase(order, [one('a', 7), one('b', undefined, { joinedIndex: 51n })], 0)).toMatchObject({
      result: 'enforced',
    });
    expect(closeCase(order, [one('a', 7), one('b', undefined, { joinedIndex: 50n })], 0)).toBeUndefined();
  });

  it('is incomplete where the order is, or where nobody was there to enforce it', () => {
    const incomplete = [{ reason: 'no_alias', issuer: 'https://idp' }] as const;
    expect(closeCase({ ...order, incomplete }, [one('a', 7)], 0)).toMatchObject({ result: 'incomplete', incomplete });
    const later = one('d', undefined, { joinedIndex: 51n });
    expect(closeCase(order, [later], 0)).toMatchObject({ incomplete: [{ reason: 'no_instances' }] });
  });

  it('is incomplete where a mapping can not find keys of a type that the order holds: the points are named', () => {
    const keyTypes: KeyType[] = ['principal', 'grant', 'session'];
    const blind = [one('b', 7), one('c', 9, { ack: ack(9, { keyTypes: ['principal', 'session'] }) })];
    const proxy = one('p', 7, { point: 'proxy' });
    const sees = one('a', 7, { ack: ack(7, { keyTypes }) });
    const outcome = closeCase({ ...order, keyTypes }, [sees, ...blind, proxy], 0);
    expect(outcome).toMatchObject({
      result: 'incomplete',
      incomplete: [
        { reason: 'unmapped_keys', point: 'gateway', count: 2, keyTypes: ['grant', 'session'] },
        { reason: 'unmapped_keys', point: 'proxy', count: 1, keyTypes: ['grant', 'session'] },
      ],
    });
    expect(standings(outcome)).toEqual({ a: 'acked', b: 'partial', c: 'partial', p: 'partial' });
  });

  it('takes an ack of another table for none: it waits for a true one, and is incomplete', () => {
    const liar = one('b', 7, { ack: ack(7, { isTrue: false }) });
    expect(closeCase(order, [one('a', 7), liar], FENCED_AFTER_US - 1)).toBeUndefined();
    const incomplete = [{ reason: 'contradicting_ack', point: 'gateway', instance: 'b' }];
    expect(closeCase(order, [one('a', 7), liar], FENCED_AFTER_US)).toMatchObject({ result: 'incomplete', incomplete });
    // Nobody knows the table at that seq yet: neither true nor false.
    const early = one('b', 9, { ack: ack(9, { isTrue: undefined }) });
    expect(closeCase(order, [one('a', 7), early], 0)).toBeUndefined();
  });

  it('is incomplete where tools fail open for who has not attested it: no lease fences those', () => {
    const failOpen = ['search'];
    expect(closeCase(order, [one('a', 7, { failOpen })], 0)).toMatchObject({ result: 'enforced' });
    expect(closeCase(order, [one('a', 7), one('b', 6, { failOpen })], FENCED_AFTER_US - 1)).toBeUndefined();
    const incomplete = [{ reason: 'unfenced', point: 'gateway', count: 1 }];
    expect(closeCase(order, [one('b', 6, { failOpen })], FENCED_AFTER_US)).toMatchObject({ incomplete });
    const gone = one('b', 6, { failOpen, leasesEndUs: -Infinity });
    expect(closeCase(order, [one('a', 7), gone], 0)).toMatchObject({ result: 'incomplete', incomplete });
    // A day of silence proves nothing of where it is; somebody's word that it is gone is an entry.
    const silent = closeCase(order, [one('a', 7), { ...gone, retired: 'silent' }], 0);
    expect(silent).toMatchObject({ result: 'incomplete', incomplete });
    expect(standings(silent)).toEqual({ a: 'acked', b: 'unfenced' });
    expect(closeCase(order, [one('a', 7), { ...gone, retired: 'asked' }], 0)).toMatchObject({ result: 'enforced' });
  });

  it('is incomplete where a point can only be signalled, and ends at once where nobody else is there', () => {
    const signalled = ['crm'];
    const gap = { reason: 'signalled_only', point: 'crm' };
    expect(closeCase({ ...order, signalled }, [one('a', 7)], 0)).toMatchObject({
      result: 'incomplete',
      incomplete: [gap],
    });
    const effects = stepCases(
      new CasesState({ warnUs: 0, retryUs: 0, callUs: 0, quarantineUs: 0 }),
      { kind: 'looked', open: [{ ...order, signalled }, order], instances: [] },
      0,
    );
    expect(effects).toMatchObject([
      { kind: 'close', outcome: { result: 'incomplete', incomplete: [{ reason: 'no_instances' }, gap] } },
    ]);
  });

  it('is incomplete where something was allowed after it', () => {
    const contradictions = [{ log: 'decisions/0/g1', index: 3n, point: 'gateway', instance: undefined }];
    expect(closeCase({ ...order, contradictions }, [one('a', 7)], 0)).toMatchObject({
      result: 'incomplete',
      incomplete: [{ reason: 'allowed_after', log: 'decisions/0/g1', index: 3n, point: 'gateway' }],
    });
  });
});

it('nobody has a lease for longer than the longest there is, by a clock that goes 1 % faster than theirs', () => {
  expect(FENCED_AFTER_US).toBe(60_600_000);
  // A tool may only ask for less (src/revocation/fold-tools.ts), so no other lease is longer.
  expect(DEFAULT_STALENESS_US).toBe(60_000_000);
});

it('the entry names how each point ended it, and the instances that matter first', () => {
  const instances = [
    ...Array.from({ length: 200 }, (_, i) => one(`a${i}`, 7 + (i % 3))),
    one('z', 3),
    one('x', 7, { ack: ack(7, { keyTypes: [] }) }),
  ];
  const event = describeClosed(order, closeCase(order, instances, FENCED_AFTER_US)!, 5_000_000n);
  expect(event).toMatchObject({
    result: 'incomplete',
    points: [
      {
        point: 'gateway',
        acked: 200,
        fenced: 1,
        partial: 1,
        first_acked_at: '1970-01-01T00:00:07Z',
        last_acked_at: '1970-01-01T00:00:09Z',
      },
    ],
    incomplete: [{ reason: 'unmapped_keys', point: 'gateway', count: 1, key_types: ['principal'] }],
  });
  const named = event.instances as { instance: string }[];
  expect(named.slice(0, 2).map(({ instance }) => instance)).toEqual(['x', 'z']);
  expect(named).toHaveLength(150);
  expect(JSON.stringify(event).length).toBeLessThan(60_000);
});

it('is shown with what is not proven by all of its instances, though it looks closely at the doubtful ones alone', () => {
  const row = {
    ...order,
    complete: true,
    firstPartUs: 1,
    parts: 1,
    subjects: [],
    target: undefined,
    late: undefined,
    closed: undefined,
  };
  const sure = [one('a', 7), one('b'), one('c', undefined, { leasesEndUs: -Infinity })];
  const doubtful = [
    one('d', 7, { ack: ack(7, { keyTypes: ['token'] }) }),
    one('e', 7, { ack: ack(7, { isTrue: false }) }),
    one('f', 6, { leasesEndUs: -Infinity, failOpen: ['*'] }),
  ];
  const outside = [
    one('g', undefined, { joinedIndex: 51n }),
    one('h', 6, { leasesEndUs: -Infinity, retired: 'silent' }),
  ];
  for (const instances of [
    [],
    outside,
    sure,
    [...sure, ...outside],
    [...outside, ...doubtful],
    [...sure, ...doubtful],
  ]) {
    const concerned = standingsOf(order, instances, 0).filter(
      ({ standing }) => standing !== 'retired' && standing !== 'later',
    );
    const shown = viewCase({ ...row, contradictions: [] }, instances);
    expect(shown.incomplete).toEqual(gapsOf(order, concerned));
    expect(shown).toMatchObject({ acked: concerned.filter(({ standing }) => standing === 'acked').length });
  }
});

describe('what is done about a case', () => {
  const timers = { warnUs: 5, retryUs: 10, callUs: 30, quarantineUs: 40 };
  const looked = (...instances: CaseInstance[]) => ({ kind: 'looked', open: [order], instances }) as const;
  const kinds = (effects: readonly { readonly kind: string }[]): string[] => effects.map(({ kind }) => kind);

  it('warns, tells again, calls, puts out of service; each once, and begins anew with another part', () => {
    const state = new CasesState(timers);
    const gone = one('b');
    const step = (nowUs: number, of: OpenCase = order) =>
      stepCases(state, { kind: 'looked', open: [of], instances: [one('a', 7), gone] }, nowUs);
    expect(step(100)).toEqual([]);
    expect(step(104)).toEqual([]);
    expect(state.late).toBe(0);
    expect(step(105)).toMatchObject([{ kind: 'warn', waitedUs: 5, stragglers: [{ instance: 'b' }] }]);
    expect(step(106)).toEqual([]);
    expect(state.late).toBe(1);
    expect(step(111)).toMatchObject([{ kind: 'retry', instances: ['b'] }]);
    expect(kinds(step(141))).toEqual(['call', 'quarantine']);
    expect(step(142)).toEqual([]);
    expect(step(143, { ...order, seq: 8, index: 60n })).toEqual([]);
    expect(kinds(step(148, { ...order, seq: 8, index: 60n }))).toEqual(['warn']);
  });

  it('puts nobody out of service twice, and does nothing that is not asked for', () => {
    const state = new CasesState({ ...timers, warnUs: 0, retryUs: 0, callUs: 0 });
    const instances = [
      one('b', 1, { quarantined: true }),
      one('c', 1, { point: 'proxy' }),
      one('d', 1, { point: 'proxy' }),
    ];
    stepCases(state, looked(...instances), 0);
    expect(stepCases(state, looked(...instances), 50)).toMatchObject([{ kind: 'quarantine', points: ['proxy'] }]);
    const never = new CasesState({ warnUs: 0, retryUs: 0, callUs: 0, quarantineUs: 0 });
    stepCases(never, looked(one('b')), 0);
    expect(stepCases(never, looked(one('b')), FENCED_AFTER_US - 1)).toEqual([]);
  });

  it('closes it by how long it was seen to wait, not by any clock of others', () => {
    const state = new CasesState(timers);
    expect(stepCases(state, looked(one('a'), one('b', 7)), 1_000)).toEqual([]);
    const effects = stepCases(state, looked(one('a'), one('b', 7)), 1_000 + FENCED_AFTER_US);
    expect(effects).toMatchObject([{ kind: 'close', outcome: { result: 'fenced' } }]);
    expect(stepCases(state, { kind: 'looked', open: [], instances: [one('a')] }, 2_000 + FENCED_AFTER_US)).toEqual([]);
    expect(state.followed.size).toBe(0);
  });

  it('follows nothing where nobody ever joined', () => {
    expect(stepCases(new CasesState(timers), looked(), FENCED_AFTER_US * 2)).toEqual([]);
  });

  it('is loud about an ack of another table, once for each', () => {
    const state = new CasesState(timers);
    const liar = (seq: number) => one('b', seq, { ack: ack(seq, { isTrue: false }) });
    expect(stepCases(state, looked(liar(6)), 0)).toMatchObject([{ kind: 'contradicted', instance: { instance: 'b' } }]);
    expect(stepCases(state, looked(liar(6)), 1)).toEqual([]);
    expect(kinds(stepCases(state, looked(liar(7)), 2))).toEqual(['contradicted']);
    expect(stepCases(state, looked(one('b', 7)), 3)).toMatchObject([
      { kind: 'close', outcome: { result: 'enforced' } },
    ]);
  });

  it('retires who has been silent for a day', () => {
    const silentUs = new Map([
      ['a', RETIRED_AFTER_US - 1],
      ['b', RETIRED_AFTER_US],
    ]);
    expect(stepCases(new CasesState(timers), { kind: 'silence', instances: [], silentUs }, 0)).toEqual([
      { kind: 'retire', instance: 'b', silentUs: RETIRED_AFTER_US },
    ]);
  });
});
