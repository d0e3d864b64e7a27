import { Type, type Static } from 'typebox';

/** What access reads from the environment. */
export const accessSettings = Type.Object({
  KEELSON_TOKEN_FRESH_MS: Type.Integer({
    default: 5_000,
    minimum: 0,
    maximum: 60_000,
    description:
      'How long a checked token (and a producer’s configuration) is not checked again: a revocation takes effect within it',
  }),
  KEELSON_TOKEN_GRACE_MS: Type.Integer({
    default: 15 * 60_000,
    minimum: 0,
    description: 'How long known tokens go on while the database can’t be asked',
  }),
  KEELSON_TOKEN_CACHE_ENTRIES: Type.Integer({ default: 10_000, minimum: 1, description: 'Tokens kept in memory' }),
});
export type AccessSettings = Static<typeof accessSettings>;
