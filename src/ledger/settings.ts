import { Type, type Static } from 'typebox';

/** What the ledger takes from the environment. */
export const ledgerSettings = Type.Object({
  KEELSON_LEDGER_BATCH_BYTES: Type.Integer({
    default: 1_048_576,
    minimum: 65_536,
    maximum: 16_777_216,
    description: 'Packs taken into one transaction under load, bytes. Idle, a batch is whatever is there.',
  }),
  KEELSON_LEDGER_CHECK_S: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 3600,
    description: 'Seconds between two comparisons of each log with its partition of the event log.',
  }),
  KEELSON_PUBLISH_INTERVAL_MS: Type.Integer({
    default: 50,
    minimum: 1,
    maximum: 10_000,
    description: 'Milliseconds between two signed checkpoints of a log under load. Idle, one is signed at once.',
  }),
  KEELSON_PUBLIC_TILES: Type.Boolean({
    default: true,
    description:
      'Whether checkpoints and hash tiles are shown without a token. Entry bundles always need the read scope.',
  }),
});
export type LedgerSettings = Static<typeof ledgerSettings>;
