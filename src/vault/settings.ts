import { Type } from 'typebox';

export const vaultSettings = Type.Object({
  KEELSON_SUBJECT_CACHE: Type.Integer({
    default: 100_000,
    minimum: 1_000,
    maximum: 10_000_000,
    description:
      'Subjects whose keys are kept in memory (about 400 bytes each): these go on while the database is down.',
  }),
  KEELSON_QUARANTINE_DAYS: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 3_650,
    description: 'How long the original of what could not become an event is kept.',
  }),
});
