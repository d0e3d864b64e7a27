/**
 * The tables of the projection. Made by the service itself (migrations/0050_search.sql says why), in its own schema or, while fsck
 * refolds, in a scratch one. Parts of a layout that changes are not altered but dropped and refolded.
 *
 * - `name`: the dictionary, a name's key → the integer in rows;
 * - `row`: what a part's table is made like; always empty. `keys` stays in the row, so that there is no second table behind each part;
 * - `part`: what parts there are; `part_<id>`: a part's rows, one for each entry;
 * - `holding`: the summary: which part holds which name in how many rows, for indexed parts;
 * - `alias`: pseudonyms that are one person's.
 *
 * A part is `open` (the one that rows go into), `full` (waiting for its indexes), `indexed`, or `dropped` (merged into another; its
 * table goes at the next housekeeping). Rows of a part that is not open never change.
 */
import type { ClientBase } from 'pg';

/** Where the live projection is; fsck's scratch schemas are used as they are. */
export const searchSchema = (schema: string): string => (schema === 'keelson' ? 'keelson_search' : quoted(schema));

function quoted(schema: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Error(`not a schema's name: ${schema}`);
  return schema;
}

export const partTable = (schema: string, part: number): string => `${schema}.part_${part}`;

/** The columns of a part, in the order in which rows are copied (rows.ts). */
export const PART_COLUMNS =
  'appended_at_us, index, occurred_at_us, event, log, risk, token, other_token, session, other_session, task, keys';

/** Makes the tables where they are missing. An empty projection has one open part. */
export async function createTables(tx: ClientBase, schema: string): Promise<void> {
  const { rows } = await tx.query<{ made: boolean }>('select to_regclass($1) is not null as made', [`${schema}.part`]);
  if (rows[0]!.made) return;
  await tx.query(`
    create table ${schema}.name (
      id int generated always as identity primary key,
      key uuid not null unique
    );
    create table ${schema}.row (
      appended_at_us bigint not null,
      index bigint not null,
      occurred_at_us bigint not null,
      event uuid not null,
      log smallint not null,
      risk double precision,
      token uuid,
      other_token uuid,
      session uuid,
      other_session uuid,
      task uuid,
      keys int[] not null
    );
    alter table ${schema}.row alter keys set storage plain;
    create table ${schema}.part (
      id int generated always as identity primary key,
      state text not null check (state in ('open', 'full', 'indexed', 'dropped')),
      rows bigint not null default 0,
      first_appended_us bigint, last_appended_us bigint, first_occurred_us bigint, last_occurred_us bigint,
      logs smallint[], last_indexes bigint[],
      check ((state = 'indexed') <= (last_indexes is not null))
    );
    create unique index on ${schema}.part (state) where state = 'open';
    create table ${schema}.holding (
      name int not null,
      part int not null,
      rows int not null,
      primary key (name, part)
    );
    create table ${schema}.alias (
      subject uuid not null,
      other uuid not null,
      primary key (subject, other)
    )`);
  await openPart(tx, schema);
}

/** Empties everything, and begins anew with an open part. Ids go on: a search under way meets no other table of the same name. */
export async function clearTables(tx: ClientBase, schema: string): Promise<void> {
  const { rows } = await tx.query<{ id: number }>(`select id from ${schema}.part order by id for update`);
  for (const { id } of rows) await tx.query(`drop table if exists ${partTable(schema, id)}`);
  await tx.query(`delete from ${schema}.part`);
  await tx.query(`truncate ${schema}.name, ${schema}.holding, ${schema}.alias`);
  await openPart(tx, schema);
}

/** Makes the part that rows go into from now on. Answers its id. */
export async function openPart(tx: ClientBase, schema: string): Promise<number> {
  return makePart(tx, schema, 'open');
}

/** Makes a part and its table, without indexes. */
export async function makePart(tx: ClientBase, schema: string, state: 'open' | 'full'): Promise<number> {
  const { rows } = await tx.query<{ id: number }>(`insert into ${schema}.part (state) values ($1) returning id`, [
    state,
  ]);
  const { id } = rows[0]!;
  await tx.query(
    `create table ${partTable(schema, id)} (like ${schema}.row including storage) with (autovacuum_enabled = false)`,
  );
  return id;
}
