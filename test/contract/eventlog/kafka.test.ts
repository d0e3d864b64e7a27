import { afterAll, beforeAll, describe } from 'vitest';
import kafkajs from 'kafkajs';
import { pino } from 'pino';
import { openKafkaEventLog } from '../../../src/eventlog/kafka/event-log.js';
import { hasOwnKafka, startKafka, topicPrefix, type KafkaBroker } from '../../support/kafka.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { describeEventLog, type Harness } from './contract.js';

describe.skipIf(!hasOwnKafka())('Kafka', () => {
  let broker: KafkaBroker;
  let proxy: TcpProxy;

  beforeAll(async () => {
    proxy = await TcpProxy.listen({ port: 0 });
    broker = await startKafka({ advertisedPort: proxy.port });
    proxy.target = { port: broker.port };
  });
  afterAll(async () => {
    await proxy.close();
    await broker.remove();
  });

  async function start(): Promise<Harness> {
    const prefix = topicPrefix();
    const admin = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    const open: Harness['open'] = (options = {}) =>
      openKafkaEventLog({
        connection: { brokers: [broker.brokers] },
        prefix,
        replicationFactor: 1,
        minInsyncReplicas: 1,
        logger: pino({ level: process.env['LOG'] ?? 'silent' }),
        ...options,
      });
    return {
      proxy,
      open,
      // Request header: size, api key (0 is Produce), version.
      isAppend: (sent) => sent.length > 100 && sent.readInt16BE(4) === 0,
      async truncate(at, before) {
        // Asked first, so that the client knows the partition's leader.
        await admin.fetchTopicOffsets(prefix + at.topic);
        await admin.deleteTopicRecords({
          topic: prefix + at.topic,
          partitions: [{ partition: at.partition, offset: String(before) }],
        });
      },
      async makeAnew(at) {
        await admin.deleteTopics({ topics: [prefix + at.topic] });
        for (;;)
          try {
            await (await open()).close();
            return;
          } catch {
            // The name is not free yet.
          }
      },
      close: () => admin.disconnect(),
    };
  }

  describeEventLog('event log in Kafka', start);
});
