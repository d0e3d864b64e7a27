/** The tables of the projection: migrations/0080_provisioning.sql; fsck refolds into a scratch schema. */
import type { ClientBase } from 'pg';

export const TABLES = ['scim_resource', 'scim_name', 'scim_alias', 'scim_member'] as const;

/** A schema's name in SQL. @throws Error unless it is a plain lower-case one. */
export function quoted(schema: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Error(`not a schema's name: ${schema}`);
  return schema;
}

export async function createScratchTables(tx: ClientBase, schema: string): Promise<void> {
  for (const table of TABLES) {
    await tx.query(`create table ${quoted(schema)}.${table} (like keelson.${table} including all)`);
  }
}

export async function clearTables(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(`truncate ${TABLES.map((table) => `${quoted(schema)}.${table}`).join(', ')}`);
}
