/** `npm run demo`: what it tells, that the README shows it so, and that it leaves nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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

interface Run {
  readonly code: number;
  readonly told: Told[];
  readonly complaints: string;
  /** Processes that heard the interrupt, beside the demo itself. */
  readonly others: string[];
}

/** Runs it; `begun` may interrupt it, as Ctrl-C in a terminal does: whatever is in its group. */
async function run(begun: (interrupt: () => void, told: readonly Told[]) => void = () => undefined): Promise<Run> {
  const child = spawn(process.execPath, [LAUNCHER, '--demo', '--json'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const told: Told[] = [];
  let others: string[] = [];
  const interrupt = (): void => {
    others = membersOf(child.pid!).filter((pid) => pid !== `${child.pid}`);
    process.kill(-child.pid!, 'SIGINT');
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line) as Told);
    begun(interrupt, told);
  });
  const complaints = text(child.stderr);
  const [code] = (await once(child, 'close')) as [number];
  return { code, told, complaints: await complaints, others };
}

/** Processes of a group; where there is a /proc to see them in. */
function membersOf(group: number): string[] {
  if (!existsSync('/proc/self/stat')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      // Behind the name, which may hold anything: state, parent, group.
      return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[2]) === group;
    } catch {
      return false;
    }
  });
}

/** Processes that the demo started, which have our folder in their environment; where there is a /proc to see them in. */
async function processesLeft(): Promise<string[]> {
  const all = await readdir('/proc').catch(() => []);
  const environments = all.map((pid) => readFile(join('/proc', pid, 'environ'), 'utf8').catch(() => ''));
  return (await Promise.all(environments)).filter((one) => one.includes(folder));
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

const moments: readonly [string, (told: readonly Told[]) => boolean | Promise<boolean>][] = [
  ['before anything is there', () => true],
  // The gateways are just starting.
  [
    'once somebody has joined',
    async () => (await readdir(folder, { recursive: true })).some((at) => at.endsWith('membership.json')),
  ],
  ['once agents have their tokens', (told) => told.at(-1)!.event === 'agent'],
];
it.each(moments)(
  'ends at Ctrl-C %s, and takes everything away',
  async (_, isEnough) => {
    let isInterrupted = false;
    const { code, told, complaints, others } = await run((interrupt, sofar) => {
      if (sofar.length > 1) return;
      const looking = setInterval(() => {
        void Promise.resolve(isEnough(sofar)).then((enough) => {
          if (!enough || isInterrupted) return;
          clearInterval(looking);
          isInterrupted = true;
          interrupt();
        });
      }, 10);
    });
    // Who heard it for themselves would end before the demo knows why.
    expect([code, complaints, others]).toEqual([130, '', []]);
    expect(told.map(({ event }) => event)).not.toContain('webhook');
    expect(await readdir(folder)).toEqual([]);
    expect(await processesLeft()).toEqual([]);
  },
  120_000,
);
