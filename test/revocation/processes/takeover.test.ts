/** Whoever decides dies, freezes or comes back between a cause and the end of its order; at all points: test/chaos/takeover.test.ts. */
import { describe, it } from 'vitest';
import { hasKafka, kafkaBrokers, topicPrefix } from '../../support/kafka.js';
import { playAll } from './play.js';

const TIMEOUT_MS = 240_000;

// Each mostly waits for a term to be free.
describe.concurrent('whoever decides is lost between two parts', () => {
  it(
    'a zombie’s parts count before the next term begins, and for nothing after, with the event log in Postgres',
    () =>
      playAll({}, [
        ['part 2', 'frozen'],
        ['part 3', 'zombie first'],
      ]),
    TIMEOUT_MS,
  );

  it.skipIf(!hasKafka())(
    'a part that is written and not reported is there once, with the event log in Kafka',
    async () => {
      const log = {
        KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
        KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
        KEELSON_KAFKA_REPLICATION_FACTOR: '1',
        KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
      };
      await playAll(log, [['part 1 written', 'killed']]);
    },
    TIMEOUT_MS,
  );
});
