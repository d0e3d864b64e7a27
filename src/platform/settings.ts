import { Type, type Static } from 'typebox';

/** What every process needs to know. `secret` settings can also be given as a file: KEELSON_…_FILE. */
export const platformSettings = Type.Object({
  KEELSON_DATA: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "Folder of the keys and the embedded database. Default: /var/lib/keelson for root, else the user's data folder " +
        '(~/.local/share/keelson; macOS: ~/Library/Application Support/keelson). Never inside the checkout.',
    }),
  ),
  KEELSON_DATABASE_URL: Type.Optional(
    Type.String({
      minLength: 1,
      secret: true,
      description: 'PostgreSQL 15 or newer, as the role keelson_writer. Default: the embedded PostgreSQL.',
    }),
  ),
  KEELSON_MIGRATION_URL: Type.Optional(
    Type.String({
      minLength: 1,
      secret: true,
      description:
        'The same database as a role that may run migrations: the first time a superuser, later a member of keelson_owner. ' +
        'Without it the service only checks that the schema is up to date.',
    }),
  ),
  KEELSON_DATABASE_POOL_SIZE: Type.Integer({
    default: 12,
    minimum: 4,
    maximum: 200,
    description: 'Connections of one process at most.',
  }),
  KEELSON_DATABASE_CONNECT_TIMEOUT_MS: Type.Integer({
    default: 5_000,
    minimum: 100,
    maximum: 60_000,
    description: 'How long a request waits for a connection.',
  }),
  KEELSON_DATABASE_STATEMENT_TIMEOUT_MS: Type.Integer({
    default: 30_000,
    minimum: 100,
    maximum: 3_600_000,
    description: 'How long one statement may take.',
  }),
  KEELSON_DATABASE_LOCK_TIMEOUT_MS: Type.Integer({
    default: 5_000,
    minimum: 100,
    maximum: 60_000,
    description: 'How long a statement waits for a lock.',
  }),
  KEELSON_DATABASE_IDLE_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 1_000,
    maximum: 120_000,
    description: 'After what time PostgreSQL ends a transaction in which nothing happens.',
  }),
  KEELSON_LEDGER_NAME: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$',
      description:
        'Name of the ledger, unique in the world: the first part of every log’s origin. Fixed at the first start. ' +
        'Default: keelson.local/ and a random word.',
    }),
  ),
  KEELSON_LOG_LEVEL: Type.Union(
    [
      Type.Literal('trace'),
      Type.Literal('debug'),
      Type.Literal('info'),
      Type.Literal('warn'),
      Type.Literal('error'),
      Type.Literal('fatal'),
    ],
    { default: 'info', description: 'Least severity that is logged (to standard error).' },
  ),
  KEELSON_LOG_FORMAT: Type.Union([Type.Literal('auto'), Type.Literal('json'), Type.Literal('text')], {
    default: 'auto',
    description: 'auto: text on a terminal, else one JSON object per line.',
  }),
});
export type PlatformSettings = Static<typeof platformSettings>;
