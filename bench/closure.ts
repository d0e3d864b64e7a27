/**
 * What the identity graph costs: how fast it is folded again, in memory and into the tables; what it takes of memory; a dry run for a
 * person with many agents, beside the same walk as a recursive query in Postgres and over Maps; one question of the API.
 *
 *     npm run bench:closure -- [--tokens 1000000] [--agents 100000] [--owned 10000] [--decisions 4] [--rounds 5]
 */
import { parseArgs } from 'node:util';
import { EntryReader } from '../src/identity/entry-part.js';
import { foldEntry } from '../src/identity/fold.js';
import { Graph } from '../src/identity/graph.js';
import { Identity } from '../src/identity/identity.js';
import { ROLE } from '../src/identity/kinds.js';
import { identityProjection, type GraphHolder } from '../src/identity/projection.js';
import { IdentityReader, keyOf } from '../src/identity/reader.js';
import type { Log } from '../src/ledger/log.js';
import type { FoldBatch } from '../src/ledger/projection.js';
import { batchesOf, BOSS, NOW_US, pseudonymOf, schemas, tokenEvent, type WorldSize } from './support/graph-world.js';
import { startCluster } from './support/cluster.js';
import { median } from './support/measure.js';

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1000000' },
    agents: { type: 'string', default: '100000' },
    owned: { type: 'string', default: '10000' },
    decisions: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
  },
});
const size: WorldSize = {
  tokens: Number(values.tokens),
  agents: Number(values.agents),
  owned: Number(values.owned),
  decisionsPerToken: Number(values.decisions),
};
const rounds = Number(values.rounds);
/** Entries of one fold: what the runner reads at once. */
const BATCH = 4096;
const TOPICS = ['lifecycle', 'activity', 'decisions'] as const;
const boss = pseudonymOf(BOSS).toString('hex');
const number = (value: number, digits = 0): string =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Median milliseconds of a call, the first one left out. */
async function timeMs(call: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const start = nowMs();
    await call();
    if (round >= 0) times.push(nowMs() - start);
  }
  return median(times);
}

/** What this process holds: objects and arrays. Arrays that nothing holds are given back a turn later. */
async function heldBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

interface Rate {
  readonly entries: number;
  readonly seconds: number;
  /** Of this process. */
  readonly cpuUs: number;
}

/** Folds the world, entries encoded off the clock; by log. */
async function foldWorld(fold: (log: number, entries: Uint8Array[]) => unknown): Promise<Rate[]> {
  const rates = TOPICS.map(() => ({ entries: 0, seconds: 0, cpuUs: 0 }));
  for (const { log, entries } of batchesOf(size, BATCH)) {
    const cpu = process.cpuUsage();
    const start = nowMs();
    await fold(log, entries);
    const { user, system } = process.cpuUsage(cpu);
    rates[log]!.cpuUs += user + system;
    rates[log]!.seconds += (nowMs() - start) / 1000;
    rates[log]!.entries += entries.length;
  }
  return rates;
}

function printRates(what: string, rates: readonly Rate[]): void {
  const sum = (pick: (rate: Rate) => number): number => rates.reduce((total, rate) => total + pick(rate), 0);
  const all: Rate = {
    entries: sum(({ entries }) => entries),
    seconds: sum(({ seconds }) => seconds),
    cpuUs: sum(({ cpuUs }) => cpuUs),
  };
  const cells = [all, ...rates].map(({ entries, seconds }) => (entries === 0 ? '-' : number(entries / seconds)));
  console.log(`| ${what} | ${cells.join(' | ')} | ${number(all.cpuUs / all.entries, 1)} |`);
}

function inMemory(): Rate[] | Promise<Rate[]> {
  const graph = new Graph();
  const reader = new EntryReader(schemas);
  const next = [0n, 0n, 0n];
  return foldWorld((log, entries) => {
    for (const bytes of entries) {
      const { atUs, part } = reader.read(bytes);
      foldEntry(graph, part!, { log, index: next[log]!++, atUs });
    }
    graph.takeChanges();
  });
}

function batchOf(log: Log, from: bigint, entries: readonly Uint8Array[]): FoldBatch {
  const bytes = Buffer.concat(
    entries.flatMap((entry) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
  return {
    log,
    from,
    to: from + BigInt(entries.length),
    pages: [{ firstIndex: from, count: entries.length, entries: bytes }],
  };
}

/** The walk as one would write it first: children by parent in Maps, a Set of what was reached. */
function walkMaps(children: ReadonlyMap<string, readonly string[]>, owned: readonly string[], root: string): number {
  const reached = new Set([root, ...owned]);
  for (const one of reached) for (const child of children.get(one) ?? []) reached.add(child);
  return reached.size;
}

function mapsOf(graph: Graph): Map<string, string[]> {
  const { edges, nodes } = graph;
  const children = new Map<string, string[]>();
  for (let edge = 0; edge < edges.end; edge++) {
    if ((edges.roles(edge) & ROLE.names) === 0) continue;
    const parent = nodes.key(edges.parent(edge)).toString('hex');
    const list = children.get(parent);
    const child = nodes.key(edges.child(edge)).toString('hex');
    if (list === undefined) children.set(parent, [child]);
    else list.push(child);
  }
  return children;
}

const RECURSIVE = `
  with recursive below as (
    select $1::uuid as key
    union select key from keelson_identity.node where owner = $1 and phase <> 3
    union select e.child from keelson_identity.edge e join below b on b.key = e.parent where e.names_us is not null
  ) select count(*) from below`;

console.log(
  `\n${number(size.tokens)} tokens, ${number(size.agents)} agents, ${number(size.owned)} of them one person's, ` +
    `${size.decisionsPerToken} decisions a token`,
);
console.log('\n| entries a second | all | lifecycle | activity | decisions | CPU µs Node |\n|---|---|---|---|---|---|');
printRates('the graph alone', await inMemory());

const cluster = await startCluster();
try {
  const { database } = await cluster.createDatabase('closure');
  const logs: Log[] = [];
  for (const topic of TOPICS) {
    const path = `${topic}/0/g1`;
    const { rows } = await database.query<{ id: number }>(
      `insert into keelson.log (path, origin, topic, partition, generation) values ($1, $1, $2, 0, 1) returning id`,
      [path, topic],
    );
    logs.push({ id: rows[0]!.id, path, origin: path, topic, partition: 0 } as unknown as Log);
  }
  const holder: GraphHolder = { graph: undefined };
  const projection = identityProjection({
    clock: { nowUs: () => BigInt(NOW_US) },
    holder,
    backlog: () => Promise.resolve({ folded: 0, behind: size.agents + size.tokens * (1 + size.decisionsPerToken) }),
  });
  const before = await heldBytes();
  const fold = await database.transaction((tx) => projection.open(tx, 'keelson'));
  const next = [0n, 0n, 0n];
  const rates = await foldWorld((log, entries) =>
    database.transaction(async (tx) => {
      await fold.fold(tx, batchOf(logs[log]!, next[log]!, entries));
      next[log]! += BigInt(entries.length);
    }),
  );
  printRates('with its tables in Postgres', rates);
  const grown = (await heldBytes()) - before;
  const graph = holder.graph!;
  console.log(
    `\nmemory of the graph: ${number(graph.bytes / 1e6)} MB in its arrays, ${number(grown / 1e6)} MB by what the process grew` +
      ` (${number(graph.nodes.size)} nodes, ${number(graph.edges.end)} edges)`,
  );

  const identity = new Identity({
    graph,
    positions: new Map(),
    waitUntil: () => Promise.resolve(),
    lastUse: () => Promise.resolve(null),
  });
  const origins = [{ subjects: [boss] }, ...identity.ownedBy([boss])];
  const reach = await identity.reachOf(origins, NOW_US);
  const children = mapsOf(graph);
  const key = keyOf('principal', '', boss);
  const owned = [...graph.ownedBy(graph.nodes.find('principal', '', pseudonymOf(BOSS)))].map((node) =>
    graph.nodes.key(node).toString('hex'),
  );
  await database.query('analyze keelson_identity.edge, keelson_identity.node');
  const reader = new IdentityReader({ database, schema: 'keelson_identity', timeoutMs: 10_000 });
  const { jti, issuer } = tokenEvent(4711 % size.tokens, size).token as { jti: string; issuer: string };
  const us = BigInt(NOW_US);
  const cases: [string, () => unknown][] = [
    ['what ends with the person, in memory', () => identity.reachOf(origins, NOW_US)],
    ['the same walk over Maps and a Set', () => walkMaps(children, owned, key)],
    ['the same walk as a recursive query', () => database.query(RECURSIVE, [key])],
    ['API: a token with its edges', () => reader.node('token', issuer, jti, us, undefined, 50)],
    ['API: a token, a year ago', () => reader.node('token', issuer, jti, us, us - 31_536_000_000_000n, 50)],
    ['API: a client of many tokens', () => reader.node('client', issuer, 'client-1', us, undefined, 50)],
    [
      'API: the last page of a point’s edges',
      () => reader.edges('point', '', 'gateway-1', 'below', us, undefined, 100, { section: 3, after: 'f'.repeat(32) }),
    ],
    [
      'API: living tokens of an agent',
      () =>
        reader.tokens(
          { state: 'live', above: [[keyOf('agent', '', 'spiffe://company.com/agents/team-1/agent-1')]] },
          us,
          100,
        ),
    ],
    ['API: agents of an owner', () => reader.nodes({ kind: 'agent', owners: [key] }, us, 100)],
    ['API: agents unused since, none of them', () => reader.nodes({ kind: 'agent', unusedSinceDay: 1 }, us, 100)],
  ];
  console.log(`\nreached: ${number(reach.agents.length)} agents, ${number(reach.tokenCount)} tokens`);
  console.log('\n| question | ms |\n|---|---|');
  for (const [what, ask] of cases) console.log(`| ${what} | ${number(await timeMs(ask), 2)} |`);
} finally {
  await cluster.stop();
}
