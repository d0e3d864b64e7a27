import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandError } from '../../src/cli/exit.js';
import { cutBatches, prepareItem, PublicationState, type Prepared } from '../../src/cli/publication.js';
import type { Item } from '../../src/cli/items.js';

const item = (index: number, text: string): Item => ({ index, text });
async function* stream<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}
async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

describe('prepareItem', () => {
  it('leaves an event with an id as it stands', () => {
    const text = '{ "id": "a", "type": "agent.registered", "n": 12345678901234567890 }';
    expect(prepareItem(item(0, text))).toMatchObject({ id: 'a', text, endpoint: '/v1/events' });
  });

  it('gives an event without one an id of content and place, and rounds no number', () => {
    const text = '{"decision":"allow","n":0.1000,"big":12345678901234567890}';
    const [one, again, elsewhere] = [
      prepareItem(item(0, text)),
      prepareItem(item(0, text)),
      prepareItem(item(1, text)),
    ];
    expect(one).toEqual(again);
    expect(one.id).not.toBe(elsewhere.id);
    expect(one.endpoint).toBe('/v1/decisions');
    expect(one.text).toBe(`{"id":"${one.id}",${text.slice(1)}`);
    expect(JSON.parse(prepareItem(item(0, '{ }')).text)).toEqual({ id: prepareItem(item(0, '{ }')).id });
  });

  it.each(['[1]', '{"a":}', '{"a":1,}'])('refuses %s', (text) => {
    expect(() => prepareItem(item(3, text))).toThrow(CommandError);
  });
});

describe('cutBatches', () => {
  const of = (endpoint: Prepared['endpoint'], text: string): Prepared => ({
    item: item(0, text),
    id: text,
    text,
    endpoint,
  });

  it('keeps order and cuts by endpoint, count and bytes', async () => {
    const items = [...'aab']
      .map((text) => of('/v1/decisions', text))
      .concat([...'cd'].map((text) => of('/v1/events', text)));
    const cut = async (count: number, bytes: number): Promise<string[]> =>
      (await collect(cutBatches(stream(items), count, bytes))).map((batch) => batch.map(({ text }) => text).join(''));
    expect(await cut(100, 100)).toEqual(['aab', 'cd']);
    expect(await cut(2, 100)).toEqual(['aa', 'b', 'cd']);
    expect(await cut(100, 1)).toEqual(['a', 'a', 'b', 'c', 'd']);
  });
});

describe('PublicationState', () => {
  let folder: string;
  let path: string;
  const items = ['{"a":1}', '{"a":2}', '{"a":3}'].map((text, index) => item(index, text));
  const url = 'http://here';

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keelson-publication-'));
    path = join(folder, 'state');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const interrupted = async (): Promise<void> => {
    const state = await PublicationState.open(path, url);
    expect(await collect(state.skipPublished(stream(items)))).toEqual(items);
    await state.advance(items.slice(0, 2).map(prepareItem));
  };

  it('goes on behind what was published, and forgets when all of it is', async () => {
    await interrupted();
    const state = await PublicationState.open(path, url);
    expect(await collect(state.skipPublished(stream(items)))).toEqual(items.slice(2));
    await state.advance(items.slice(2).map(prepareItem));
    const again = await PublicationState.open(path, url);
    expect(await collect(again.skipPublished(stream(items)))).toEqual([]);
    await again.finish();
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });

  it('refuses another input, another server and a file of another kind', async () => {
    await interrupted();
    const changed = await PublicationState.open(path, url);
    await expect(collect(changed.skipPublished(stream([items[0]!, item(1, '{"a":9}'), items[2]!])))).rejects.toThrow(
      CommandError,
    );
    const shorter = await PublicationState.open(path, url);
    await expect(collect(shorter.skipPublished(stream(items.slice(0, 1))))).rejects.toThrow(CommandError);
    await expect(PublicationState.open(path, 'http://elsewhere')).rejects.toThrow(CommandError);
    await writeFile(path, 'something');
    await expect(PublicationState.open(path, url)).rejects.toThrow(CommandError);
  });
});
