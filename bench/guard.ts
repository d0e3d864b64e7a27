/**
 * What a check costs a host: the keys of a token that is seen first, the check after the table changed, and while it stands, clocks read
 * each time; the memory of the table. Beside it, in the same run: a `Set` of hex strings, and an introspection call over loopback.
 *
 *     npm run bench:guard -- [--facts 1000000] [--tokens 10000] [--rounds 5]
 */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomFillSync } from 'node:crypto';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { check, KnownTool, KnownToken } from '../src/guard/check.js';
import { GuardCore } from '../src/guard/core.js';
import { nodeClock } from '../src/guard/node-clock.js';
import { nodeHasher } from '../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../src/platform/signer.js';
import { FactTable } from '../src/protocol/fact-table.js';
import type { TokenFacts } from '../src/protocol/token-keys.js';
import { median } from './support/measure.js';

const { values } = parseArgs({
  options: {
    facts: { type: 'string', default: '1000000' },
    tokens: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
  },
});
const count = Number(values.facts);
const rounds = Number(values.rounds);
/** Cached by the host. */
const TOKENS = Number(values.tokens);
const CALLS = 2_000;

const random = new Uint8Array(32).fill(7);
const core = new GuardCore({
  hasher: nodeHasher,
  verifier: nodeVerifier,
  membership: {
    instance: random.subarray(0, 16),
    ledger: 'bench',
    generation: 1,
    guardKey: random,
    rootKey: random,
    signer: nodeSigner(random),
  },
  mapping: { hash: random, keyTypes: [] },
  clock: nodeClock,
});

/** Of eight keys. */
const factsOf = (i: number): TokenFacts => ({
  issuer: 'https://idp.example',
  jti: `token ${i}`,
  subject: `person ${i % 5_000}`,
  sessionId: `session ${i}`,
  clientId: `client ${i % 100}`,
  agents: [`spiffe://example/agent/${i % 1_000}`],
  environment: 'production',
  issuedAtUs: 1_700_000_000_000_000,
});

const heapBytes = (): number => {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};

const keys = randomFillSync(new Uint8Array(count * 16));
const table = new FactTable(nodeHasher);
for (let at = 0; at < keys.length; at += 16) table.put(keys, at, true, undefined);
core.table = table;
core.seq = table.seq;
/** As if granted just now. */
const grant = (): void => {
  core.time.read();
  core.lease = { sent: core.time.moment(), readAgeUs: 0 };
};
const hexOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, 16).toString('hex');
const before = heapBytes();
const set = new Set<string>();
for (let at = 0; at < keys.length; at += 16) set.add(hexOf(keys.subarray(at, at + 16)));
const setBytes = heapBytes() - before;

/** CPU nanoseconds a call. */
function timeNs(calls: number, run: () => void): number {
  const from = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(from);
  return ((user + system) * 1000) / calls;
}

let allowed = 0;
let tokens: KnownToken[] = [];
const tool = new KnownTool(core, 'deploy');
const strings: string[][] = [];
const checkAll = (): void => {
  for (const token of tokens) if (check(core, token, tool).allowed) allowed++;
};
const change = (): void => {
  table.put(randomFillSync(new Uint8Array(16)), 0, true, undefined);
  core.seq = table.seq;
};
const runs: [string, () => number][] = [
  ['a token seen first: its 8 keys', () => timeNs(TOKENS, () => void (tokens = firstSight()))],
  ['check after a change of the table', () => (change(), timeNs(TOKENS, checkAll))],
  ['check while the table stands', () => timeNs(TOKENS, checkAll)],
  [
    'the verdict alone, memoised',
    () =>
      timeNs(TOKENS, () => {
        for (const token of tokens) if (token.verdict(table, 0) === undefined) allowed++;
      }),
  ],
  [
    'the clocks alone',
    () =>
      timeNs(TOKENS, () => {
        for (let i = 0; i < TOKENS; i++) core.time.read();
      }),
  ],
  [
    'Set of hex, 8 keys that are hex already',
    () =>
      timeNs(TOKENS, () => {
        for (const names of strings) if (!names.some((name) => set.has(name))) allowed++;
      }),
  ],
  [
    'Set of hex, 8 keys made hex each time',
    () =>
      timeNs(TOKENS, () => {
        for (const { keys: all } of tokens) if (!all.some((key) => set.has(hexOf(key)))) allowed++;
      }),
  ],
];

function firstSight(): KnownToken[] {
  return Array.from({ length: TOKENS }, (_, i) => KnownToken.of(core, factsOf(i)));
}

/** Nanoseconds that a caller waits for an introspection endpoint that knows the answer at once, over a connection that is kept. */
async function introspectNs(): Promise<number> {
  const server = createServer((asked, answer) => {
    asked.resume();
    asked.once('end', () => answer.setHeader('content-type', 'application/json').end('{"active":true}'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { port } = server.address() as AddressInfo;
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const asked = request({ port, host: '127.0.0.1', method: 'POST', agent, headers }, (answer) => {
        answer.resume();
        answer.once('end', resolve);
      });
      asked.once('error', reject);
      asked.end('token=abc');
    });
  for (let i = 0; i < 200; i++) await ask();
  const from = process.hrtime.bigint();
  for (let i = 0; i < CALLS; i++) await ask();
  const ns = Number(process.hrtime.bigint() - from) / CALLS;
  agent.destroy();
  server.close();
  return ns;
}

const times = runs.map((): number[] => []);
const introspections: number[] = [];
for (let round = -1; round < rounds; round++) {
  grant();
  runs.forEach(([, run], i) => {
    const ns = run();
    if (strings.length === 0) strings.push(...tokens.map((token) => token.keys.map(hexOf)));
    if (round >= 0) times[i]!.push(ns); // the first one warms up
  });
  introspections.push(await introspectNs());
}
if (allowed === 0) throw new Error('nothing was allowed');
const unchanged = median(times[2]!);
const figure = (ns: number): string => ns.toLocaleString('en', { maximumFractionDigits: ns < 100 ? 1 : 0 });
console.log(
  `\n${count.toLocaleString('en')} facts; ${TOKENS.toLocaleString('en')} tokens of ${tokens[0]!.keys.length} keys; load of the machine ${loadavg()[0]!.toFixed(1)}`,
);
console.log('\n| what | ns | to an unchanged check |\n|---|---|---|');
runs.forEach(([what], i) => {
  const ns = median(times[i]!);
  console.log(`| ${what} | ${figure(ns)} | ${(ns / unchanged).toFixed(2)} |`);
});
const introspection = median(introspections);
console.log(
  `| an introspection call over loopback | ${figure(introspection)} | ${(introspection / unchanged).toFixed(0)} |`,
);
const fetched = new FactTable(nodeHasher, count).byteLength;
console.log(
  `\nbytes a fact: ${(fetched / count).toFixed(1)} from a snapshot, ${(table.byteLength / table.size).toFixed(1)} grown one by one; ` +
    `in the Set ${(setBytes / count).toFixed(1)}`,
);
