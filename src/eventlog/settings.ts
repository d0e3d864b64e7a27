import { Type } from 'typebox';

/** The event log's settings. With `KEELSON_KAFKA_BROKERS` it is Kafka, else it lives in Postgres. */
export const eventlogSettings = Type.Object({
  KEELSON_EVENTLOG_DECISIONS_PARTITIONS: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 256,
    description: 'Partitions, and so logs, of decisions. Fixed within a generation of the ledger.',
  }),
  KEELSON_EVENTLOG_ACTIVITY_PARTITIONS: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 256,
    description: 'Partitions, and so logs, of activity. Fixed within a generation of the ledger.',
  }),
  KEELSON_EVENTLOG_MAX_WAITING_BYTES: Type.Integer({
    default: 67_108_864,
    minimum: 1_000_000,
    description: 'Bytes per topic that may wait to be appended; beyond it callers are told to come back.',
  }),
  KEELSON_EVENTLOG_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 100,
    description: 'How long appending is tried before the caller is told that the event log is unavailable.',
  }),
  KEELSON_EVENTLOG_KEEP: Type.Boolean({
    default: false,
    description: 'Postgres event log: keep what the ledger holds already, instead of trimming it.',
  }),
  KEELSON_KAFKA_BROKERS: Type.Optional(
    Type.String({ minLength: 1, description: 'Kafka bootstrap brokers, host:port with commas between.' }),
  ),
  KEELSON_KAFKA_TOPIC_PREFIX: Type.String({
    default: 'keelson.',
    pattern: '^[A-Za-z0-9._-]{1,64}$',
    description: 'In front of the names of the internal topics and of the consumer groups.',
  }),
  KEELSON_KAFKA_REPLICATION_FACTOR: Type.Integer({
    default: 3,
    minimum: 1,
    maximum: 32,
    description: 'Replicas of each internal topic: made with it, checked when present.',
  }),
  KEELSON_KAFKA_MIN_INSYNC_REPLICAS: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 32,
    description: 'Replicas that must have a pack before it is acknowledged.',
  }),
  KEELSON_KAFKA_SSL: Type.Boolean({ default: false, description: 'TLS to the brokers.' }),
  KEELSON_KAFKA_SSL_CA_FILE: Type.Optional(
    Type.String({
      description: 'PEM file of the authorities that the brokers are checked against, instead of the system.',
    }),
  ),
  KEELSON_KAFKA_SASL_MECHANISM: Type.Optional(
    Type.Union([Type.Literal('plain'), Type.Literal('scram-sha-256'), Type.Literal('scram-sha-512')], {
      description: 'SASL mechanism.',
    }),
  ),
  KEELSON_KAFKA_USERNAME: Type.Optional(Type.String({ description: 'SASL user name.' })),
  KEELSON_KAFKA_PASSWORD: Type.Optional(Type.String({ secret: true, description: 'SASL password.' })),
});
