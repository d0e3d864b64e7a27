/** What a guard remembers over a restart: never back, nothing trusted, and whatever is damaged is not used. */
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { check, KnownToken } from '../../src/guard/check.js';
import type { GuardCore } from '../../src/guard/core.js';
import { Memory } from '../../src/guard/memory.js';
import { step } from '../../src/guard/step.js';
import { keyOf, makeGuard, ModelFeed } from './support.js';

let folder: string;
let feed: ModelFeed;
const problems: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-memory-'));
  feed = new ModelFeed();
  problems.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name: string): string => join(folder, name);

/** One life of an instance. */
async function live(messages: readonly Uint8Array[], then?: (core: GuardCore) => void): Promise<GuardCore> {
  const { core } = makeGuard();
  const memory = new Memory(folder, core, (error) => problems.push(error.message));
  await memory.load();
  for (const bytes of messages) {
    const input = { kind: 'message', bytes } as const;
    memory.remember(input, step(core, input));
  }
  then?.(core);
  await memory.close();
  return core;
}

const ANA = { issuer: 'https://idp', subject: 'ana', issuedAtUs: 1_789_000_000_000_000 };

function story(): Uint8Array[] {
  feed.block(keyOf('principal', 'bob'));
  const messages = [feed.keySet(), feed.snapshot()];
  feed.block(keyOf('principal', 'ana'));
  return [...messages, feed.frame(2)];
}

it('goes on where it was, and trusts nothing of it without a grant', async () => {
  await live(story());
  const core = await live([], (again) => {
    expect(again.table!.head()).toEqual(feed.table.head());
    expect(check(again, KnownToken.of(again, ANA), undefined)).toMatchObject({ reason: 'starting' });
    const [sent] = step(again, { kind: 'tick', random: new Uint8Array(16) });
    step(again, { kind: 'message', bytes: feed.grant(sent!.kind === 'send' ? sent!.bytes : new Uint8Array(0)) });
    expect(check(again, KnownToken.of(again, ANA), undefined)).toMatchObject({ reason: 'blocked' });
  });
  expect(core.lease).toBeDefined();
  expect(problems).toEqual([]);
});

it('is never behind its floor, whatever becomes of what was said', async () => {
  const old = new ModelFeed();
  old.block(keyOf('principal', 'bob'));
  await live([...story(), feed.keySet(3)]);
  await rm(file('feed'));
  const core = await live([old.keySet(2), old.keySet(3), old.frame(0)]);
  expect([core.seq, core.keySetVersion, core.isCurrent]).toEqual([4, 3, false]);
  expect(core.keySet?.version).toBe(3);
  expect(check(core, KnownToken.of(core, ANA), undefined)).toMatchObject({ reason: 'starting' });
  await live([]);
  expect(await readFile(file('floor'), 'utf8')).toContain('\n1\n4\n3\n');
});

it('leaves feed keys behind that its floor is beyond', async () => {
  await live(story());
  const [floor, said] = [await readFile(file('floor')), await readFile(file('feed'))];
  await live([feed.keySet(2)]);
  await writeFile(file('feed'), said);
  const core = await live([]);
  expect([core.keySet, core.keySetVersion, core.feedKeys()]).toEqual([undefined, 2, []]);
  expect(await readFile(file('floor'))).not.toEqual(floor);
});

it.each([
  ['a bit', 1],
  ['the last byte', 0x80],
])('says so where the floor has %s flipped, and goes on by what was said', async (_, mask) => {
  await live(story());
  const bytes = await readFile(file('floor'));
  bytes[mask === 1 ? 20 : bytes.length - 1]! ^= mask;
  await writeFile(file('floor'), bytes);
  const core = await live([]);
  expect(problems).toEqual([expect.stringContaining('is not used')]);
  expect([core.seq, core.isCurrent]).toEqual([4, true]);
});

it('does not take another generation’s floor for its own', async () => {
  await live(story());
  const text = (await readFile(file('floor'), 'utf8')).split('\n');
  await rm(file('feed'));
  expect(text[2]).toBe('1');
  const { core } = makeGuard();
  const { membership } = core.options;
  Object.assign(core.options, { membership: { ...membership, generation: 2 } });
  const memory = new Memory(folder, core, (error) => problems.push(error.message));
  await memory.load();
  await memory.close();
  expect([core.seq, problems]).toEqual([0, []]);
});

it('cut off or changed anywhere, what was said is used as far as it can be verified, and said on', async () => {
  const messages = story();
  await live(messages);
  const whole = await readFile(file('feed'));
  const floor = await readFile(file('floor'));
  const ends = messages.reduce<number[]>((at, { length }) => [...at, at.at(-1)! + 4 + length], [0]);
  expect(ends.at(-1)).toBe(whole.length);
  for (const end of [0, 3, ends[1]! - 1, ends[1]!, ends[2]! - 1, ends[2]!, whole.length - 1]) {
    await writeFile(file('feed'), whole);
    await truncate(file('feed'), end);
    await writeFile(file('floor'), floor);
    const core = await live([]);
    expect([core.table!.seq, core.isCurrent]).toEqual([end < ends[2]! ? 0 : 2, false]);
    expect((await stat(file('feed')).catch(() => ({ size: 0 }))).size).toBe(ends.filter((at) => at <= end).at(-1));
    await live([feed.keySet(), feed.snapshot()]);
    expect((await live([])).table!.seq).toBe(4);
  }
  problems.length = 0;
  for (let at = 4; at < whole.length; at += 7) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 4;
    await writeFile(file('feed'), bytes);
    const core = await live([]);
    expect(core.isCurrent).toBe(false);
    expect(core.seq).toBe(4);
  }
  expect(problems.length).toBeGreaterThan(0);
});

it('where nothing can be written, says so and goes on', async () => {
  await writeFile(file('no-folder'), '');
  const { core } = makeGuard();
  const memory = new Memory(join(file('no-folder'), 'x'), core, (error) => problems.push(error.message));
  await memory.load();
  for (const bytes of story()) {
    const input = { kind: 'message', bytes } as const;
    memory.remember(input, step(core, input));
  }
  await memory.close();
  expect(core.table!.seq).toBe(4);
  expect(problems).toEqual([expect.stringContaining('nothing is remembered')]);
});
