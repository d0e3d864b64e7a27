import { describe, expect, test } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import { readPack, type PackedRecord } from '../../src/eventlog/pack.js';
import { Batcher } from '../../src/intake/batcher.js';
import { PartitionTable } from '../../src/intake/partition.js';

const AT = { topic: 'decisions', partition: 0 } as const;
const record = (text: string): PackedRecord => ({ record: Buffer.from(text), digest: Buffer.alloc(16) });
const textsOf = (pack: Uint8Array): string[] =>
  [...readPack(pack)].map(({ record: bytes }) => Buffer.from(bytes).toString());

/** An event log whose appends are settled by hand. */
class ManualLog {
  readonly appends: { pack: Uint8Array; resolve: (offset: bigint) => void; reject: (error: unknown) => void }[] = [];

  append(_at: unknown, pack: Uint8Array): Promise<bigint> {
    return new Promise((resolve, reject) => this.appends.push({ pack, resolve, reject }));
  }

  get texts(): string[][] {
    return this.appends.map(({ pack }) => textsOf(pack));
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function open(packBytes = 512 * 1024, timeoutMs = 1_000): { log: ManualLog; batcher: Batcher } {
  const log = new ManualLog();
  return { log, batcher: new Batcher(log, AT, { packBytes, timeoutMs }) };
}

describe('batcher', () => {
  test('one goes out at once; what comes meanwhile collects and goes out together', async () => {
    const { log, batcher } = open();
    const first = batcher.append([record('a')]);
    await turn();
    expect(log.texts).toEqual([['a']]);
    const second = batcher.append([record('b'), record('c')]);
    const third = batcher.append([record('d')]);
    await turn();
    expect(log.appends).toHaveLength(1);
    log.appends[0]!.resolve(7n);
    expect(await first).toEqual([{ offset: 7n, place: 0 }]);
    await turn();
    expect(log.texts[1]).toEqual(['b', 'c', 'd']);
    log.appends[1]!.resolve(8n);
    expect(await second).toEqual([
      { offset: 8n, place: 0 },
      { offset: 8n, place: 1 },
    ]);
    expect(await third).toEqual([{ offset: 8n, place: 2 }]);
  });

  test('callers of the same moment share a pack', async () => {
    const { log, batcher } = open();
    void batcher.append([record('a')]);
    void batcher.append([record('b')]);
    await turn();
    expect(log.texts).toEqual([['a', 'b']]);
  });

  test('full packs go out side by side, and a caller’s places come in its order however they come back', async () => {
    const { log, batcher } = open(70_000);
    const big = (name: string): PackedRecord => record(name.repeat(40_000));
    const all = batcher.append([big('a'), big('b'), big('c')]);
    await turn();
    expect(log.appends).toHaveLength(2);
    log.appends[1]!.resolve(11n);
    await turn();
    expect(log.appends).toHaveLength(2);
    log.appends[0]!.resolve(10n);
    await turn();
    log.appends[2]!.resolve(12n);
    expect((await all).map(({ offset }) => offset)).toEqual([10n, 11n, 12n]);
  });

  test('an ambiguous append is made again with the same bytes; acknowledged only then', async () => {
    const { log, batcher } = open();
    const done = batcher.append([record('a')]);
    await turn();
    log.appends[0]!.reject(new KeelsonError('event_log_unavailable', 'cut'));
    await expect.poll(() => log.appends.length).toBe(2);
    expect(log.appends[1]!.pack).toBe(log.appends[0]!.pack);
    log.appends[1]!.resolve(3n);
    expect(await done).toEqual([{ offset: 3n, place: 0 }]);
  });

  test('when its time is over everyone in it is told, and the next go on', async () => {
    const { log, batcher } = open(512 * 1024, 30);
    const first = batcher.append([record('a')]);
    const second = batcher.append([record('b')]);
    const told = Promise.allSettled([first, second]);
    void turn().then(async () => {
      log.appends[0]!.reject(new KeelsonError('event_log_unavailable', 'cut'));
      await expect.poll(() => log.appends.length).toBe(2);
      log.appends[1]!.reject(new KeelsonError('event_log_unavailable', 'cut'));
    });
    for (const result of await told) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'event_log_unavailable' } });
    }
    const third = batcher.append([record('c')]);
    await turn();
    log.appends[2]!.resolve(1n);
    expect(await third).toHaveLength(1);
  });

  test('another error is final at once', async () => {
    const { log, batcher } = open();
    const done = batcher.append([record('a')]);
    await turn();
    log.appends[0]!.reject(new KeelsonError('overloaded', 'full'));
    await expect(done).rejects.toMatchObject({ code: 'overloaded' });
    expect(log.appends).toHaveLength(1);
  });

  test('nothing is nothing', async () => {
    const { log, batcher } = open();
    expect(await batcher.append([])).toEqual([]);
    expect(log.appends).toHaveLength(0);
  });
});

describe('partitions', () => {
  const many = new PartitionTable([
    { topic: 'lifecycle', partition: 0 },
    ...Array.from({ length: 8 }, (_, partition) => ({ topic: 'decisions' as const, partition })),
    ...Array.from({ length: 3 }, (_, partition) => ({ topic: 'activity' as const, partition })),
  ]);
  const of = (topic: 'decisions' | 'activity' | 'lifecycle', event: object, id = 'id'): number =>
    many.choose(topic, event as never, id).partition;

  test('decisions go by agent, else by id; the choice is for ever', () => {
    expect(of('decisions', { agent: 'spiffe://company.com/agent/deploy-bot' }, 'x')).toBe(
      of('decisions', { agent: 'spiffe://company.com/agent/deploy-bot' }, 'y'),
    );
    expect([of('decisions', { agent: 'a' }), of('decisions', { agent: 'b' }), of('decisions', {}, 'a')]).toEqual([
      3, 1, 3,
    ]);
    const used = new Set(Array.from({ length: 200 }, (_, i) => of('decisions', { agent: `agent-${i}` })));
    expect(used.size).toBe(8);
  });

  test('activity goes by token, else session, else id; lifecycle is one', () => {
    expect(of('activity', { token: { jti: 'j' }, session: 's' })).toBe(
      of('activity', { token: { jti: 'j' } }, 'other'),
    );
    expect(of('activity', { session: 's' }, 'a')).toBe(of('activity', { session: { id: 's' } }, 'b'));
    expect(of('lifecycle', { agent: 'x' })).toBe(0);
    expect(() => new PartitionTable([{ topic: 'decisions', partition: 0 }])).toThrow();
  });
});
