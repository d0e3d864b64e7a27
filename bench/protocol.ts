/**
 * What a guard's table costs: a look-up, a check of eight keys, a change, its memory; beside it, in the same run, a `Set` of hex strings
 * as one would write it first.
 *
 *     node --expose-gc --import ./test/support/typescript.mjs bench/protocol.ts [--keys 1000000] [--rounds 5]
 */
import { randomFillSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import { nodeHasher } from '../src/platform/hasher.js';
import { checkToken } from '../src/protocol/check.js';
import { FactTable } from '../src/protocol/fact-table.js';
import { keysOfToken } from '../src/protocol/token-keys.js';
import { median } from './support/measure.js';

const { values } = parseArgs({
  options: { keys: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '5' } },
});
const count = Number(values.keys);
const rounds = Number(values.rounds);
const LOOK_UPS = 1_000_000;
const KEYS_A_TOKEN = 8;

const randomKeys = (n: number): Uint8Array => randomFillSync(new Uint8Array(n * 16));
const cut = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: bytes.length / 16 }, (_, i) => bytes.subarray(i * 16, i * 16 + 16));
const hexOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, 16).toString('hex');

/** CPU nanoseconds that `run` takes per call, of `calls`. */
function timeNs(calls: number, run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / calls;
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const present = randomKeys(count);
const table = new FactTable(nodeHasher);
const changeNs = timeNs(count, () => {
  for (let at = 0; at < present.length; at += 16) table.put(present, at, true, undefined);
});
const heapBefore = heapBytes();
const strings = new Set<string>();
for (let at = 0; at < present.length; at += 16) strings.add(hexOf(present.subarray(at, at + 16)));
const stringBytes = heapBytes() - heapBefore;

const absent = cut(randomKeys(LOOK_UPS));
const hits = Array.from({ length: LOOK_UPS }, () => {
  const at = Math.floor(Math.random() * count) * 16;
  return present.subarray(at, at + 16);
});
const tokens = Array.from({ length: LOOK_UPS / KEYS_A_TOKEN }, (_, i) =>
  absent.slice(i * KEYS_A_TOKEN, (i + 1) * KEYS_A_TOKEN),
);
const facts = { issuer: 'https://as.example', jti: 'jti', subject: 'user', clientId: 'client', agents: ['agent'] };

let found = 0;
const runs: [string, number, () => void][] = [
  ['look-up, absent', LOOK_UPS, () => absent.forEach((key) => (found += table.find(key) >= 0 ? 1 : 0))],
  ['look-up, present', LOOK_UPS, () => hits.forEach((key) => (found += table.find(key) >= 0 ? 1 : 0))],
  [
    'the same in a Set of hex, absent',
    LOOK_UPS,
    () => absent.forEach((key) => (found += strings.has(hexOf(key)) ? 1 : 0)),
  ],
  [
    'the same in a Set of hex, present',
    LOOK_UPS,
    () => hits.forEach((key) => (found += strings.has(hexOf(key)) ? 1 : 0)),
  ],
  [
    `check of a token of ${KEYS_A_TOKEN} keys`,
    tokens.length,
    () => tokens.forEach((keys) => (found += checkToken(table, keys, 1, 1, 1).revoked ? 1 : 0)),
  ],
  [
    'keys of a token (6)',
    20_000,
    () => {
      for (let i = 0; i < 20_000; i++) found += keysOfToken(nodeHasher, present.subarray(0, 32), facts).length;
    },
  ],
];
const times = runs.map((): number[] => []);
for (let round = -1; round < rounds; round++) {
  runs.forEach(([, calls, run], i) => {
    const ns = timeNs(calls, run);
    if (round >= 0) times[i]!.push(ns); // the first one warms up
  });
}
console.log(`\n${count.toLocaleString('en')} keys`);
console.log('| what | CPU ns |\n|---|---|');
runs.forEach(([what], i) => console.log(`| ${what} | ${median(times[i]!).toFixed(0)} |`));
console.log(`| change, hashed into chain and state | ${changeNs.toFixed(0)} |`);
console.log(`\n${(table.byteLength / count).toFixed(1)} bytes a key; the Set ${(stringBytes / count).toFixed(1)}`);
if (found === 0) throw new Error('nothing was found');
