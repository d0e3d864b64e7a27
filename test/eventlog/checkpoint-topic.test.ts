import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { CheckpointTopic } from '../../src/eventlog/kafka/checkpoint-topic.js';
import type { PartitionFetcher } from '../../src/eventlog/kafka/partition-fetcher.js';
import type { ProducerLane } from '../../src/eventlog/kafka/producer-lane.js';

const notes = [
  ['o/a', 'a 0'],
  ['o/b', 'b 0'],
  ['o/a', 'a 1'],
  ['o/b', 'b 1'],
];

/** A memory over a broker that answers nothing at the offsets `silent`. */
function memory(silent: readonly number[]): CheckpointTopic {
  const fetcher = {
    bounds: async () => ({ start: 0n, end: BigInt(notes.length) }),
    fetch: async (from: bigint) => {
      if (silent.includes(Number(from))) return undefined;
      const pack = Buffer.from(JSON.stringify(notes[Number(from)]));
      return { from, to: from + 1n, messages: [{ offset: from, appendedAtUs: 0n, pack }] };
    },
  } as unknown as PartitionFetcher;
  return new CheckpointTopic(undefined as unknown as ProducerLane, fetcher, 1000, pino({ level: 'silent' }));
}

describe('recall', () => {
  it('answers the newest note of an origin, or that there is none', async () => {
    expect(await memory([]).recall('o/a')).toBe('a 1');
    expect(await memory([]).recall('o/none')).toBeUndefined();
  });

  it('never takes a silent broker for an older memory, or none', async () => {
    for (const silent of [0, 2, 3]) {
      await expect(memory([silent]).recall('o/a')).rejects.toMatchObject({ code: 'event_log_unavailable' });
    }
  });
});
