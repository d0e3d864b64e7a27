/** A dry run counts over sums (src/identity/sums.ts): the same as over the tokens one by one, whatever was told before, at any time. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { closureOf } from '../../src/identity/closure.js';
import { EntryReader } from '../../src/identity/entry-part.js';
import { foldEntry } from '../../src/identity/fold.js';
import { DAY_US, Graph } from '../../src/identity/graph.js';
import { ROLE, type NodeKind } from '../../src/identity/kinds.js';
import { reachOf, type UseKind } from '../../src/identity/reach.js';
import { Sweep } from '../../src/identity/sweep.js';
import { logsArbitrary } from './random-events.js';
import { makeEntry, NOW_US, schemas, type TestEvent } from './support.js';

/** Before, between and after the times at which random tokens end. */
const TIMES_US = [1_749_999_999, 1_750_000_001, 1_750_000_002.5, NOW_US / 1e6, 1_900_000_001, 1_950_000_000].map(
  (seconds) => seconds * 1e6,
);

/** Token by token, with Sets. */
function reachOneByOne(graph: Graph, roots: readonly number[], nowUs: number) {
  const { nodes, edges, uses } = graph;
  const isPlace = (node: number): boolean => ['tool', 'environment'].includes(nodes.kind(node));
  const places = new Set(roots.filter(isPlace));
  const users: number[] = [];
  for (let use = 0; use < uses.count; use++) if (places.has(uses.used(use))) users.push(uses.user(use));
  for (let edge = 0; edge < edges.end; edge++) {
    if ((edges.roles(edge) & ROLE.related) !== 0 && places.has(edges.parent(edge))) users.push(edges.child(edge));
  }
  const living = users.filter((node) => nodes.has(node) && !places.has(node));
  const closure = closureOf(graph, [...roots, ...living], nowUs);
  const tokens = new Set([
    ...closure.nodes.filter((node) => nodes.kind(node) === 'token'),
    ...closure.rooted,
    ...closure.named,
    ...closure.unnamed,
  ]);
  const reached = new Set(closure.nodes);
  for (let edge = 0; edge < edges.end; edge++) {
    if (edges.roles(edge) === 0) continue;
    const [parent, child] = [edges.parent(edge), edges.child(edge)];
    if (nodes.kind(parent) === 'point' && tokens.has(child)) reached.add(parent);
    if (places.size === 0 && nodes.kind(parent) === 'tool' && closure.nodes.includes(child)) reached.add(parent);
  }
  for (let use = 0; use < uses.count && places.size === 0; use++) {
    if (closure.nodes.includes(uses.user(use))) reached.add(uses.used(use));
  }
  const ids = (kind: NodeKind): string[] =>
    [...reached]
      .filter((node) => nodes.kind(node) === kind)
      .map((node) => nodes.id(node))
      .sort();
  const count = (kind: NodeKind): number => closure.nodes.filter((node) => nodes.kind(node) === kind).length;
  const used = places.size > 0 ? [...places] : [...roots, ...closure.nodes, ...tokens];
  const day = Math.max(0, ...used.map((node) => graph.usedDay(node)));
  const asked = new Set<string>();
  for (const node of new Set(used)) {
    if (day > 0 && graph.usedDay(node) === day) asked.add(`${nodes.kind(node)} ${nodes.id(node)}`);
  }
  return {
    agents: ids('agent'),
    tools: ids('tool'),
    environments: ids('environment'),
    points: ids('point'),
    sessionCount: count('session'),
    delegationCount: count('delegation'),
    tokenCount: tokens.size,
    lastUsedAtUs: day === 0 ? null : BigInt(day * DAY_US),
    asked,
  };
}

const UNSEARCHED = new Set<NodeKind>(['client', 'grant', 'delegation', 'point', 'parent']);

async function reachInSums(graph: Graph, roots: readonly number[], nowUs: number) {
  const asked = new Set<string>();
  const { isLastUseWhole, ...reach } = await reachOf(graph, roots, nowUs, (kind: UseKind, ids) => {
    for (const id of ids) asked.add(`${kind} ${id}`);
    return Promise.resolve(null);
  });
  expect(isLastUseWhole).toBe(reach.lastUsedAtUs === null);
  const sorted = (names: readonly string[]): string[] => [...names].sort();
  return {
    ...reach,
    agents: sorted(reach.agents),
    tools: sorted(reach.tools),
    environments: sorted(reach.environments),
    points: sorted(reach.points),
    asked,
  };
}

async function compareAll(graph: Graph, nowUs: number, seed: number): Promise<void> {
  const { nodes } = graph;
  const all = Array.from({ length: nodes.end }, (_, node) => node).filter((node) => nodes.has(node));
  const groups = all.map((node, i) => [node, ...all.filter((_, other) => (other * 7 + i + seed) % 11 === 0)]);
  for (const roots of [...all.map((node) => [node]), ...groups]) {
    const distinct = [...new Set(roots)];
    const { asked, ...expected } = reachOneByOne(graph, distinct, nowUs);
    const searched = new Set([...asked].filter((name) => !UNSEARCHED.has(name.split(' ')[0] as NodeKind)));
    expect(await reachInSums(graph, distinct, nowUs)).toEqual({ ...expected, asked: searched });
  }
}

/** What is done with the graph: the next entry of a log is folded, it is asked at a time, or what has passed by then is dropped. */
const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ what: fc.constant('fold' as const), which: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('ask' as const, 'sweep' as const), which: fc.nat(5) }) },
);

it('is the same over sums as token by token', async () => {
  await fc.assert(
    fc.asyncProperty(
      logsArbitrary,
      fc.array(step, { maxLength: 150, size: 'max' }),
      fc.nat(10),
      async (logs, steps, seed) => {
        const graph = new Graph();
        const reader = new EntryReader(schemas);
        const next = logs.map(() => 0);
        const fold = (log: number): void => {
          const one: TestEvent | undefined = logs[log]![next[log]!];
          if (one === undefined) return;
          // Days apart, so that the last day of use is one token's.
          const { atUs, part } = reader.read(
            makeEntry(one.event, 1_700_000_000_000_000 + next[log]! * 40_000_000_000, one.producer),
          );
          foldEntry(graph, part!, { log, index: BigInt(next[log]!++), atUs });
        };
        for (const { what, which } of steps) {
          if (what === 'fold') fold(which);
          else if (what === 'ask') await compareAll(graph, TIMES_US[which]!, seed);
          else {
            graph.takeChanges();
            new Sweep(graph).step(TIMES_US[which]!);
          }
        }
        for (const nowUs of [NOW_US, TIMES_US[0]!]) await compareAll(graph, nowUs, seed);
      },
    ),
    { numRuns: Number(process.env['KEELSON_REACH_RUNS'] ?? 40) },
  );
}, 120_000);

it('counts on where there are more points than a sum has bits for', async () => {
  const graph = new Graph();
  const agent = graph.mention('agent', '', 'bot', 1);
  for (let i = 0; i < 100; i++) {
    const token = graph.mention('token', '', `t${i}`, 1);
    graph.hang(agent, token, ROLE.names, 1);
    graph.hang(graph.mention('point', '', `p${i}`, 1), token, ROLE.caches, 1);
    await compareAll(graph, NOW_US, 0);
  }
});

it('a token that lives on, after a sum had left it out, counts again', async () => {
  const graph = new Graph();
  const agent = graph.mention('agent', '', 'bot', 1);
  for (const [id, expiresUs] of [
    ['over', 1e6],
    ['alive', NOW_US + 1e6],
    ['for ever', 0],
  ] as const) {
    const token = graph.mention('token', '', id, 1);
    graph.describeToken(token, 1, expiresUs, undefined);
    graph.hang(agent, token, ROLE.names, 1);
  }
  const count = async (nowUs = NOW_US): Promise<number> => (await reachInSums(graph, [agent], nowUs)).tokenCount;
  expect(await count()).toBe(2);
  graph.describeToken(graph.nodes.find('token', '', 'over'), 1, NOW_US + 1, undefined);
  graph.describeToken(graph.nodes.find('token', '', 'for ever'), 1, NOW_US + 2, undefined);
  expect(await count()).toBe(3);
  expect(await count(NOW_US + 1)).toBe(2);
  expect(await count(NOW_US + 2)).toBe(1);
  expect(await count(0)).toBe(3);
});
