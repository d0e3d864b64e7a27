/** `npm run demo`: what it tells, that the README shows it so, and that it leaves nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, type Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildProgram, LAUNCHER } from '../support/server.js';

interface Told {
  readonly event: string;
  readonly [member: string]: unknown;
}

const SCREEN = new URL('../../examples/demo/screen.mjs', import.meta.url);
const README = new URL('../../README.md', import.meta.url);
/** All that the demo makes is below it. */
let folder: string;

beforeEach(async () => {
  await buildProgram();
  folder = await mkdtemp(join(tmpdir(), 'keelson-demo-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs it, as Ctrl-C would end it where `isEnough`. */
async function run(isEnough: (told: Told) => boolean = () => false): Promise<{ code: number; told: Told[] }> {
  const child = spawn(process.execPath, [LAUNCHER, '--demo', '--json'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const told: Told[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line) as Told);
    if (isEnough(told.at(-1)!)) child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, told };
}

/** The same events for reading, without colours. */
async function show(told: readonly Told[]): Promise<string> {
  const { makeScreen } = (await import(fileURLToPath(SCREEN))) as {
    makeScreen: (out: Writable) => (told: Told) => void;
  };
  const out = new PassThrough();
  const say = makeScreen(out);
  for (const one of told) say(one);
  out.end();
  return text(out);
}

/** What is another in each run becomes the same: names, numbers, who was first, and the spaces that make columns of them. */
const shapeOf = (shown: string): string[] =>
  shown
    .replace(/\b[0-9a-f]{32,}\b/g, 'ID')
    .replace(/\b[0-9a-f]{8}\b/g, 'TOKEN')
    .replace(/\d+(\.\d+)?/g, '0')
    .replace(/through (east|west|north)/g, 'through GATEWAY')
    .replace(/ +/g, ' ')
    .trim()
    .split('\n');

it('tells how each instance refuses, the others go on, and the case ends, as the README shows it', async () => {
  const { code, told } = await run();
  const shown = await show(told);
  expect(code, shown).toBe(0);
  expect(told.filter(({ event }) => event === 'refused')).toHaveLength(3);
  expect(shown.split('\n').filter((line) => line.length > 100)).toEqual([]);
  expect(shown).not.toMatch(/\x1b/);
  const readme = await readFile(README, 'utf8');
  const [, block] = /<!-- demo [^>]*-->\n```text\n(.*?)```/s.exec(readme)!;
  expect(shapeOf(block!)).toEqual(shapeOf(shown));
  expect(await readdir(folder)).toEqual([]);
}, 180_000);

it('ends at Ctrl-C, and takes everything away', async () => {
  const { code, told } = await run(({ event }) => event === 'agent');
  expect(code).toBe(130);
  expect(told.at(-1)).toMatchObject({ event: 'agent' });
  expect(await readdir(folder)).toEqual([]);
}, 120_000);
