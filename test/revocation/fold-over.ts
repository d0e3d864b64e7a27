/** Folding from a state that was put away: as if from the beginning, wherever that was. */
import { expect } from 'vitest';
import { dumpState, restoreState } from '../../src/revocation/state-dump.js';
import { RevocationState, type KeyMaterial } from '../../src/revocation/state.js';

type FoldOne = (state: RevocationState, index: number, entry: Uint8Array) => void;

/** Folds entries, with the state put away and taken up again somewhere on the way. */
export function foldOver(material: KeyMaterial, entries: readonly Uint8Array[], fold: FoldOne): RevocationState {
  const place = (entries.length * 7919) % (entries.length + 1);
  let state = new RevocationState(material);
  entries.forEach((entry, index) => {
    if (index === place) state = restoreState(material, dumpState(state));
    fold(state, index, entry);
  });
  return place === entries.length ? restoreState(material, dumpState(state)) : state;
}

/** The same, held against the state that is folded in one go. */
export function checkFoldOver(material: KeyMaterial, entries: readonly Uint8Array[], fold: FoldOne): RevocationState {
  const whole = new RevocationState(material);
  entries.forEach((entry, index) => fold(whole, index, entry));
  const state = foldOver(material, entries, fold);
  expectSame(state, whole);
  return state;
}

/** All that can be asked of two states. */
export function expectSame(one: RevocationState, other: RevocationState): void {
  expect([...dumpState(one)]).toEqual([...dumpState(other)]);
  for (const part of ['causes', 'keys', 'behind', 'newOwners', 'candidates', 'deadTokens'] as const) {
    expect(one[part]).toEqual(other[part]);
  }
  const subjects = [...other.causes.values()].flatMap((cause) => [...cause.subjects, cause.principal ?? '']);
  for (const subject of subjects) {
    const about = (state: RevocationState): string[] => state.about([subject]).map(({ order }) => order);
    expect(about(one)).toEqual(about(other));
  }
  for (const { id, target } of other.causes.values()) {
    expect(one.find(id)?.order).toBe(other.find(id)?.order);
    if (target === undefined || target.type === 'key') continue;
    const heard = (state: RevocationState): unknown => {
      const before = new Map(state.touched);
      state.touched.clear();
      for (const issuer of ['', target.issuer]) {
        for (const name of [target.value, target.digest ?? target.value]) {
          state.hear([], [{ type: target.type as 'agent', issuer, id: name }]);
        }
      }
      const touched = new Map(state.touched);
      state.touched.clear();
      for (const [order, index] of before) state.touched.set(order, index);
      return touched;
    };
    expect(heard(one)).toEqual(heard(other));
  }
}
