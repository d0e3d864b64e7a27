import { expect, it } from 'vitest';
import { closeCase, FENCED_AFTER_US, type CaseInstance } from '../../src/revocation/cases/step.js';

const one = (name: string, seq?: number, retired = false): CaseInstance => ({
  instance: name,
  point: 'gateway',
  retired,
  ack: seq === undefined ? undefined : { seq, log: 'activity/0/g1', index: 1n },
});
const order = { order: 'o', seq: 7, orderedUs: 1, incomplete: [] };
const names = (some: readonly CaseInstance[] | undefined): string[] => (some ?? []).map(({ instance }) => instance);

it('a case goes on until every instance attested it or has no lease any more', () => {
  const instances = [one('a', 7), one('b', 6), one('c'), one('d', undefined, true)];
  expect(closeCase(order, instances, FENCED_AFTER_US - 1)).toBeUndefined();
  const outcome = closeCase(order, instances, FENCED_AFTER_US);
  expect(outcome).toMatchObject({ result: 'fenced', incomplete: [] });
  expect([names(outcome?.acked), names(outcome?.fenced)]).toEqual([['a'], ['b', 'c']]);
});

it('it is enforced once all attested, at once; retired ones do not count', () => {
  expect(closeCase(order, [one('a', 8), one('b', 7), one('d', 1, true)], 0)).toMatchObject({ result: 'enforced' });
});

it('it is incomplete where the order is, or where nobody is there to enforce it', () => {
  const incomplete = [{ reason: 'no_alias', issuer: 'https://idp' }] as const;
  expect(closeCase({ ...order, incomplete }, [one('a', 7)], 0)).toMatchObject({ result: 'incomplete', incomplete });
  expect(closeCase(order, [one('d', 7, true)], 0)).toMatchObject({ incomplete: [{ reason: 'no_instances' }] });
});

it('nobody has a lease for longer than the longest there is, by a clock that goes 1 % faster than theirs', () => {
  expect(FENCED_AFTER_US).toBe(60_600_000);
});
