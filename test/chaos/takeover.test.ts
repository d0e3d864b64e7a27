/** Whoever decides is killed, frozen and replaced at every point between a cause and the end of its order. */
import { describe, it } from 'vitest';
import { POINTS } from '../revocation/processes/gates.js';
import { CAN_BE_FIRST, playAll, type Play } from '../revocation/processes/play.js';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';

/** One of each kind; CHAOS_TAKEOVERS=all: every one there is, which takes a quarter of an hour. */
const SOME: readonly Play[] = [
  ['part 2', 'frozen'],
  ['part 1 written', 'killed'],
  ['part 3', 'zombie first'],
];
const ALL: readonly Play[] = [
  ...POINTS.map((point): Play => [point, 'killed']),
  ...POINTS.map((point): Play => [point, 'frozen']),
  ...CAN_BE_FIRST.map((point): Play => [point, 'zombie first']),
];

const PLAYS = process.env.CHAOS_TAKEOVERS === 'all' ? ALL : SOME;

// Each mostly waits for a term to be free: side by side they take as long as one.
describe.concurrent('one order in force, with all its keys, whatever happens to whoever decides', () => {
  it('with the event log in Postgres', () => playAll({}, PLAYS));

  it.skipIf(!hasKafka())('with the event log in Kafka', async () => {
    const log = {
      KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
      KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
    };
    await playAll(log, PLAYS);
  });
});
