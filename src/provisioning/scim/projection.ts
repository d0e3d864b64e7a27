/** What is provisioned, as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { PoolClient } from 'pg';
import type { Projection, ProjectionDifference } from '../../ledger/projection.js';
import { learnSchemas } from '../../ledger/schemas.js';
import type { OpeningVault } from './attributes.js';
import { ScimFold } from './fold.js';
import type { NameDigest } from './names.js';
import { clearTables, createScratchTables, quoted, TABLES } from './tables.js';

export interface ScimProjectionOptions {
  readonly vault: OpeningVault;
  readonly digest: NameDigest;
}

export const PROJECTION = 'provisioning';

export function scimProjection({ vault, digest }: ScimProjectionOptions): Projection {
  return {
    name: PROJECTION,
    open: async (tx, schema) =>
      new ScimFold({ schema: quoted(schema), schemas: await learnSchemas(tx), vault, digest }),
    clear: clearTables,
    createScratch: createScratchTables,
    compare: compareTables,
  };
}

/** Differences shown for each table. */
const SHOWN = 20;

async function* compareTables(
  tx: PoolClient,
  liveSchema: string,
  scratchSchema: string,
): AsyncGenerator<ProjectionDifference> {
  for (const table of TABLES) {
    const [live, scratch] = [`${quoted(liveSchema)}.${table}`, `${quoted(scratchSchema)}.${table}`];
    const { rows } = await tx.query<{ side: string; row: string }>(
      `(select 'only live' as side, md5(t::text) as row from (table ${live} except table ${scratch}) t limit ${SHOWN})
       union all
       (select 'only refolded' as side, md5(t::text) as row from (table ${scratch} except table ${live}) t limit ${SHOWN})`,
    );
    for (const { side, row } of rows) yield { reason: `${table}: a row is ${side} (${row})` };
  }
}
