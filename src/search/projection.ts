/** Search as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { Projection } from '../ledger/projection.js';
import type { Database } from '../platform/database.js';
import { compareSearch } from './compare.js';
import { EntryReader } from './entry-reader.js';
import { learnSchemas } from '../ledger/schemas.js';
import { readOpenPart, SearchFold } from './fold.js';
import { Housekeeper } from './housekeeping.js';
import { Dictionary } from './names.js';
import { keepParts, type MergeRule } from './parts.js';
import type { SearchSettings } from './settings.js';
import { clearTables, createTables, searchSchema } from './tables.js';

/** Neighbouring parts of a size that become one of the next. */
const MERGE_FAN = 16;

export interface SearchProjectionOptions {
  /** Where indexes are made and parts merged, beside the runner's own connection: two connections at most. */
  readonly database: Database;
  readonly settings: SearchSettings;
  /** Told what housekeeping failed at; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** How parts grow under these settings. */
export const mergeRule = (settings: SearchSettings): MergeRule => ({
  smallRows: Math.max(1, Math.floor(settings.KEELSON_SEARCH_PART_ROWS / MERGE_FAN)),
  fan: MERGE_FAN,
  maxRows: settings.KEELSON_SEARCH_MERGED_ROWS,
});

/** The search projection, complete with `clear` and `compare`. It does nothing until the runner opens it. */
export function searchProjection({ database, settings, onError }: SearchProjectionOptions): Projection {
  const rule = mergeRule(settings);
  const partRows = settings.KEELSON_SEARCH_PART_ROWS;
  return {
    name: 'search',
    async open(tx, target) {
      const schema = searchSchema(target);
      await createTables(tx, schema);
      const open = await readOpenPart(tx, schema);
      const reader = new EntryReader(await learnSchemas(tx));
      const dictionary = new Dictionary(schema, settings.KEELSON_SEARCH_NAMES);
      if (target !== 'keelson') {
        // Refolded to be compared, never searched: one part, no housekeeping.
        return new SearchFold(schema, open, dictionary, reader, { partRows: Infinity, smallRows: Infinity });
      }
      const { rows } = await tx.query<{ count: bigint }>(`select count(*) from ${schema}.part where state = 'full'`);
      const housekeeper = new Housekeeper({ database, schema, rule, onError }, Number(rows[0]!.count));
      return new SearchFold(schema, open, dictionary, reader, { partRows, smallRows: rule.smallRows }, housekeeper);
    },
    async clear(tx, target) {
      const schema = searchSchema(target);
      await createTables(tx, schema);
      await clearTables(tx, schema);
    },
    async createScratch(tx, target) {
      await keepParts(tx); // the live ones, until they are compared
      await createTables(tx, searchSchema(target));
    },
    compare: (tx, live, scratch) => compareSearch(tx, searchSchema(live), searchSchema(scratch)),
  };
}
