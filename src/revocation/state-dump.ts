/**
 * The folded state as lines of JSON, and back: equal states make equal lines, and what is folded on from them is as if all had been
 * folded. Of a state that somebody decides on, what they noted for themselves is left out: who takes over knows it no more, either. Pure.
 */
import { formatHex } from '../core/bytes.js';
import type { Fact } from '../protocol/fact.js';
import { RevocationTable, type TableRest } from '../protocol/revocation-table.js';
import type { Cause, OrderKey } from './cause.js';
import { parseHex } from './hex.js';
import { canaryOf, RevocationState, type KeyMaterial } from './state.js';

/** Raised where these lines, or what the fold makes of an entry, mean something else than before. */
export const DUMP_FORM = 1;

/** Of a long list so many items are in a line. */
const LINE_ITEMS = 256;

type FactRow = readonly [
  key: string,
  blocked: boolean,
  cutoffUs: number | null,
  stalenessUs: number | null,
  seq: number,
];

/** What the lines begin with, and what they hold. */
interface Lists {
  readonly fact: FactRow;
  readonly open: readonly [key: string, orders: readonly string[]];
  readonly cause: Cause;
  readonly waiting: string;
  readonly key: readonly [order: string, key: string, type: OrderKey['type'], change: OrderKey['change']];
  readonly person: readonly [producer: string, subject: string];
  readonly leaver: readonly [producer: string, subject: string, atUs: number];
  readonly groups: readonly [name: string, groups: readonly string[]];
  readonly touched: readonly [order: string, index: number];
  readonly newOwner: readonly [key: string, owner: string];
  readonly candidate: readonly [key: string, owner: string];
  readonly deadToken: string;
}
type List = keyof Lists;

/** What there is one of. */
interface Head {
  readonly term: string;
  readonly tableIndex: string;
  readonly seq: number;
  readonly chainHash: string;
  readonly stateHash: string;
  readonly facts: number;
  readonly expiries: number;
  readonly holder: string | null;
  readonly index: number;
  readonly graphIndex: number;
}

/** The lines of a state, the head first. It must not change meanwhile. */
export function* dumpState(state: RevocationState): Generator<string, void, undefined> {
  yield JSON.stringify(headOf(state));
  yield* linesOf('fact', factRows(state.table));
  yield* linesOf('open', openRows(state.table));
  yield* linesOf('cause', state.causes.values());
  yield* linesOf('waiting', state.waiting);
  yield* linesOf('key', keyRows(state.keys));
  yield* linesOf('person', personRows(state));
  yield* linesOf('leaver', leaverRows(state));
  yield* linesOf('groups', state.groups);
  yield* linesOf('touched', state.touched);
  yield* linesOf('newOwner', state.newOwners);
  yield* linesOf('candidate', state.candidates);
  yield* linesOf('deadToken', state.deadTokens);
}

/**
 * The state that lines were made of.
 * @throws Error where they are not such lines
 */
export function restoreState(material: KeyMaterial, lines: Iterable<string>): RevocationState {
  const [first, ...rest] = lines;
  const head = JSON.parse(first ?? '') as Head;
  const lists = new Map<string, unknown[]>();
  for (const line of rest) {
    const [name, ...items] = JSON.parse(line) as [string, ...unknown[]];
    const list = lists.get(name);
    if (list === undefined) lists.set(name, items);
    else for (const item of items) list.push(item);
  }
  const take = <L extends List>(name: L): readonly Lists[L][] => (lists.get(name) ?? []) as Lists[L][];
  const state = new RevocationState(material, restoreTable(material, head, take('fact'), take('open')));
  if (formatHex(state.table.head().stateHash) !== head.stateHash)
    throw new Error('the state hash is not of these facts');
  for (const cause of take('cause')) state.add(cause);
  state.waiting.clear();
  for (const order of take('waiting')) state.waiting.add(order);
  for (const [order, key, type, change] of take('key')) {
    const held = state.keys.get(order);
    if (held === undefined) state.keys.set(order, new Map([[key, { type, change }]]));
    else held.set(key, { type, change });
  }
  for (const [producer, subject] of take('person')) state.source(producer).population.add(subject);
  for (const [producer, subject, atUs] of take('leaver')) {
    state.source(producer).leavers.set(subject, atUs);
  }
  for (const [name, groups] of take('groups')) state.groups.set(name, groups);
  for (const [order, index] of take('touched')) state.touched.set(order, index);
  for (const [key, owner] of take('newOwner')) state.newOwners.set(key, owner);
  for (const [key, owner] of take('candidate')) state.candidates.set(key, owner);
  for (const key of take('deadToken')) state.deadTokens.add(key);
  state.expiries = head.expiries;
  state.holder = head.holder ?? undefined;
  state.index = head.index;
  state.graphIndex = head.graphIndex;
  state.forgetChanges();
  return state;
}

const headOf = ({ table, expiries, holder, index, graphIndex }: RevocationState): Head => {
  const { seq, chainHash, stateHash } = table.head();
  return {
    term: String(table.term),
    tableIndex: String(table.index),
    seq,
    chainHash: formatHex(chainHash),
    stateHash: formatHex(stateHash),
    facts: table.facts.size,
    expiries,
    holder: holder ?? null,
    index,
    graphIndex,
  };
};

function restoreTable(
  { hasher, guardKey }: KeyMaterial,
  { term, tableIndex, seq, chainHash, facts: count }: Head,
  facts: readonly FactRow[],
  open: readonly Lists['open'][],
): RevocationTable {
  const rest: TableRest = {
    term: BigInt(term),
    index: BigInt(tableIndex),
    head: { seq, chainHash: parseHex(chainHash) },
    facts: factsOf(facts),
    count,
    open: openOf(open),
  };
  return RevocationTable.restore(hasher, canaryOf({ hasher, guardKey }), rest);
}

function* factsOf(rows: readonly FactRow[]): Generator<Fact & { seq: number }> {
  for (const [key, blocked, cutoffUs, stalenessUs, seq] of rows) {
    const fact = { key: parseHex(key), blocked, cutoffUs: cutoffUs ?? undefined, seq };
    yield stalenessUs === null ? fact : { ...fact, stalenessUs };
  }
}

function* openOf(rows: readonly Lists['open'][]): TableRest['open'] {
  for (const [key, orders] of rows) yield { key: parseHex(key), orders };
}

function* linesOf<L extends List>(name: L, items: Iterable<Lists[L]>): Generator<string, void, undefined> {
  let line: [L, ...Lists[L][]] = [name];
  for (const item of items) {
    if (line.push(item) <= LINE_ITEMS) continue;
    yield JSON.stringify(line);
    line = [name];
  }
  if (line.length > 1) yield JSON.stringify(line);
}

function* factRows({ facts }: RevocationTable): Generator<FactRow> {
  for (const { key, blocked, cutoffUs, stalenessUs } of facts.facts()) {
    yield [formatHex(key), blocked, cutoffUs ?? null, stalenessUs ?? null, facts.seqAt(facts.find(key))];
  }
}

function* openRows({ orders }: RevocationTable): Generator<Lists['open']> {
  for (const { key, orders: open } of orders.entries()) yield [formatHex(key), open];
}

function* keyRows(keys: RevocationState['keys']): Generator<Lists['key']> {
  for (const [order, held] of keys) for (const [key, { type, change }] of held) yield [order, key, type, change];
}

function* personRows({ sources }: RevocationState): Generator<Lists['person']> {
  for (const [producer, { population }] of sources) for (const subject of population) yield [producer, subject];
}

function* leaverRows({ sources }: RevocationState): Generator<Lists['leaver']> {
  for (const [producer, { leavers }] of sources) for (const [subject, atUs] of leavers) yield [producer, subject, atUs];
}
