import { Type, type Static } from 'typebox';

/** What search reads from the environment. */
export const searchSettings = Type.Object({
  KEELSON_SEARCH_PART_ROWS: Type.Integer({
    default: 32_768,
    minimum: 16,
    maximum: 1_048_576,
    description:
      'Rows of a part of the search projection when it is closed and indexed under load; a sixteenth of it when quiet',
  }),
  KEELSON_SEARCH_MERGED_ROWS: Type.Integer({
    default: 8_388_608,
    minimum: 16,
    description: 'Rows of a part at most after merging',
  }),
  KEELSON_SEARCH_NAMES: Type.Integer({
    default: 200_000,
    minimum: 2,
    description: 'Names (agents, tools, pseudonyms …) that the search projection holds in memory',
  }),
  KEELSON_SEARCH_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 10,
    description: 'How long one statement of a search may take; then it is answered `timeout`',
  }),
  KEELSON_SEARCH_RANGE_DAYS: Type.Integer({
    default: 31,
    minimum: 1,
    maximum: 3_660,
    description:
      'Longest range of time that bounds a search by itself, without event, agent, principal, tool, token or session',
  }),
});
export type SearchSettings = Static<typeof searchSettings>;
