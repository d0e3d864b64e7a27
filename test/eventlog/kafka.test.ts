import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openKafkaEventLog } from '../../src/eventlog/kafka/event-log.js';
import { KafkaClient, type Cluster } from '../../src/eventlog/kafka/client.js';
import { PartitionFetcher } from '../../src/eventlog/kafka/partition-fetcher.js';
import { planTopics, prepareTopics } from '../../src/eventlog/kafka/topics.js';
import type { EventLog } from '../../src/eventlog/port.js';
import { DECISIONS, Recorder, until } from '../contract/eventlog/contract.js';
import { hasKafka, hasOwnKafka, kafkaBrokers, startKafka, topicPrefix } from '../support/kafka.js';

const logger = pino({ level: 'silent' });
const single = { replicationFactor: 1, minInsyncReplicas: 1, logger };

describe.skipIf(!hasKafka())('on a real broker', () => {
  let brokers: string;
  let kafka: Kafka;
  let admin: Admin;
  let prefix: string;
  const open: EventLog[] = [];

  beforeAll(async () => {
    brokers = await kafkaBrokers();
    kafka = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
    admin = kafka.admin();
    await admin.connect();
    return () => admin.disconnect();
  });
  beforeEach(() => {
    prefix = topicPrefix();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((log) => log.close()));
  });

  async function openLog(options: object = {}): Promise<EventLog> {
    const log = await openKafkaEventLog({ connection: { brokers: [brokers] }, prefix, ...single, ...options });
    open.push(log);
    return log;
  }

  /** Changes one setting of a topic; the request replaces them all, so the others go along as they are. */
  async function changeSetting(topic: string, name: string, value: string): Promise<void> {
    const type = kafkajs.ConfigResourceTypes.TOPIC;
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name: topic }] });
    const configEntries = resources[0]!.configEntries
      .filter((entry) => !entry.isDefault && entry.configName !== name)
      .map((entry) => ({ name: entry.configName, value: entry.configValue }));
    configEntries.push({ name, value });
    await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] });
  }

  test('topics are made with the settings that the ledger needs', async () => {
    await openLog({ decisionsPartitions: 3, activityPartitions: 2 });
    const names = ['decisions', 'lifecycle', 'activity', 'checkpoints'].map((name) => prefix + name);
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    expect(names.map((name) => topics.find((topic) => topic.name === name)!.partitions.length)).toEqual([3, 1, 2, 1]);
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    });
    for (const { resourceName, configEntries } of resources) {
      const found = new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]));
      expect(found.get('message.timestamp.type')).toBe('LogAppendTime');
      expect(found.get('cleanup.policy')).toBe('delete');
      expect(found.get('unclean.leader.election.enable')).toBe('false');
      expect(found.get('retention.bytes')).toBe('-1');
      expect(found.get('retention.ms')).toBe(resourceName.endsWith('checkpoints') ? '-1' : '2592000000');
    }
  });

  test.each([
    ['decisions', 'message.timestamp.type', 'CreateTime'],
    ['lifecycle', 'cleanup.policy', 'compact'],
    ['activity', 'retention.ms', '86400000'],
    ['activity', 'retention.bytes', '1000000'],
    ['checkpoints', 'retention.ms', '2592000000'],
    ['decisions', 'unclean.leader.election.enable', 'true'],
    ['decisions', 'min.insync.replicas', '2'],
    ['decisions', 'max.message.bytes', '500000'],
  ])('%s with %s = %s is refused, and the refusal names them', async (topic, name, value) => {
    await (await openLog()).close();
    await changeSetting(prefix + topic, name, value);
    const refusal = await openLog().catch((error: unknown) => error as Error & { code: string });
    expect(refusal).toMatchObject({ code: 'event_log_misconfigured' });
    for (const part of [prefix + topic, name, value]) expect((refusal as Error).message).toContain(part);
  });

  test('several processes that start at once make them once, and each can use them right away', async () => {
    for (let round = 0; round < 2; round++) {
      prefix = topicPrefix();
      const logs = await Promise.all(Array.from({ length: 4 }, () => openLog({ activityPartitions: 4 })));
      await Promise.all(
        logs.flatMap((log) => [
          log.checkpoints.recall('nobody'),
          ...log.partitions.map((at) => log.bounds(at)),
          log.append(DECISIONS, Buffer.from('pack')),
        ]),
      );
      const { end } = await logs[0]!.bounds(DECISIONS);
      expect(end).toBeGreaterThanOrEqual(4n);
    }
  });

  /** A client whose broker answers so often that it does not host the partition, as one does that has not heard of a topic yet. */
  class LateClient extends KafkaClient {
    left = 2;
    override admin(): Admin {
      return this.#late(super.admin(), 'describeConfigs', 'fetchTopicMetadata');
    }
    override cluster(): Cluster {
      return this.#late(super.cluster(), 'fetchTopicsOffset');
    }
    #late<T extends object>(real: T, ...names: (keyof T)[]): T {
      return new Proxy(real, {
        get: (target, name) => {
          if (names.includes(name as keyof T) && this.left > 0) {
            this.left--;
            const error = {
              type: 'UNKNOWN_TOPIC_OR_PARTITION',
              message: 'This server does not host this topic-partition',
            };
            return () => Promise.reject(Object.assign(new Error(), error));
          }
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    }
  }

  test('a broker that does not know yet what was just made is asked again', async () => {
    const topics = {
      prefix,
      decisionsPartitions: 1,
      activityPartitions: 1,
      replicationFactor: 1,
      minInsyncReplicas: 1,
    };
    const client = new LateClient({ brokers: [brokers] }, logger);
    await prepareTopics(client, Object.values(planTopics(topics)), topics);
    client.left = 2;
    const fetcher = new PartitionFetcher(client, `${prefix}decisions`, 0);
    expect(await fetcher.bounds()).toEqual({ start: 0n, end: 0n });
    await fetcher.close();
    expect(client.left).toBe(0);
  });

  test('for a look beside the server nothing is made', async () => {
    await expect(openLog({ readOnly: true })).rejects.toMatchObject({
      code: 'event_log_misconfigured',
      message: expect.stringContaining(`${prefix}checkpoints`) as unknown,
    });
    expect((await admin.listTopics()).filter((name) => name.startsWith(prefix))).toEqual([]);
    await (await openLog()).close();
    await (await openLog({ readOnly: true })).close();
  });

  test('more replicas than there are brokers are refused', async () => {
    await expect(openLog({ replicationFactor: 3 })).rejects.toEqual(
      expect.objectContaining({ code: 'event_log_misconfigured' }),
    );
  });

  test('aborted transactions and control records are holes in contiguous ranges, at the end of the log too', async () => {
    const log = await openLog();
    const producer = kafka.producer({
      transactionalId: `${prefix}tx`,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const send = async (values: string[], end: 'commit' | 'abort'): Promise<void> => {
      const transaction = await producer.transaction();
      const messages = values.map((value) => ({ partition: 0, value }));
      await transaction.send({ topic: `${prefix}decisions`, messages });
      await transaction[end]();
    };
    await log.append(DECISIONS, Buffer.from('a'));
    for (let i = 0; i < 5; i++) await send([`gone ${i}`, `gone too ${i}`], 'abort');
    await send(['b', 'c'], 'commit');
    await log.append(DECISIONS, Buffer.from('d'));
    await send(['gone at the end'], 'abort');
    await producer.disconnect();
    const { end } = await log.bounds(DECISIONS);
    // a, five times two aborted and a marker, b, c and a marker, d, one aborted and a marker
    expect(end).toBe(1n + 15n + 3n + 1n + 2n);

    const recorder = new Recorder();
    await log.subscribe(recorder);
    await until(() => recorder.next.get('decisions/0') === end, 'the end of the log');
    expect(recorder.texts()).toEqual(['a', 'b', 'c', 'd']);
    const batches = recorder.batches.get('decisions/0')!;
    batches.forEach(({ from }, i) => expect(from).toBe(i === 0 ? 0n : batches[i - 1]!.to));
    for (let offset = 0n; offset < end; offset++) {
      const taken = recorder.taken().find((message) => message.offset === offset);
      expect((await log.read(DECISIONS, offset))?.offset).toBe(taken?.offset);
    }
    // From the middle of a hole, and from its last record.
    await log.close();
    for (const from of [3n, end - 1n]) {
      const again = await openLog();
      const late = new Recorder();
      late.next.set('decisions/0', from);
      await again.subscribe(late);
      await until(() => late.next.get('decisions/0') === end, `the end, from ${from}`);
      expect(late.batches.get('decisions/0')![0]!.from).toBe(from);
      await again.close();
    }
  });
});

describe.skipIf(!hasOwnKafka())('on a broker that dies', () => {
  test('50 callers while the broker is killed and comes back: every acknowledged pack is read at its offset', async () => {
    const broker = await startKafka();
    const log = await openKafkaEventLog({
      connection: { brokers: [broker.brokers], requestTimeoutMs: 3_000 },
      prefix: topicPrefix(),
      timeoutMs: 60_000,
      ...single,
    });
    try {
      const recorder = new Recorder();
      await log.subscribe(recorder);
      const appended = new Map<string, bigint>();
      let died = false;
      const callers = Array.from({ length: 50 }, async (_, caller) => {
        for (let i = 0; i < 5 || !died; i++)
          appended.set(`${caller}:${i}`, await log.append(DECISIONS, Buffer.from(`${caller}:${i}`)));
      });
      await until(() => recorder.taken().length > 500, 'a running log');
      await broker.kill();
      await broker.restart();
      died = true;
      await Promise.all(callers);
      // What was written twice, as its first answer was lost, is acknowledged where it stands last.
      const last = [...appended.values()].reduce((one, other) => (one > other ? one : other));
      await until(() => recorder.taken().some(({ offset }) => offset === last), 'all that was acknowledged', 50_000);
      const byOffset = new Map(
        recorder.taken().map((message) => [message.offset, Buffer.from(message.pack).toString()]),
      );
      for (const [text, offset] of appended) expect(byOffset.get(offset)).toBe(text);
    } finally {
      await log.close();
      await broker.remove();
    }
  }, 120_000);
});
