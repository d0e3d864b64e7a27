/**
 * The tables of the projection, made by the service itself (migrations/0060_identity.sql says why). Rows name nodes by their keys
 * (nodes.ts), which are the same after a rebuild.
 *
 * - `node`: everything but tokens;
 * - `token`: every token an enforcement point ever told of, living or not, with the keys of what it names (`names`), of who holds it
 *   (`users`), of what it was used under (`contexts`), and of the points that cache it (`points`), each sorted; never the token itself;
 * - `edge`: what hangs on what, between nodes that are no tokens; `roles` are those of kinds.ts;
 * - `use`: who used what, and since when;
 * - `link`, `absent`: who is one human;
 * - `history`: which entries are about a node.
 */
import type { ClientBase } from 'pg';

/** Where the live projection is; fsck's scratch schemas are used as they are. */
export const identitySchema = (schema: string): string => (schema === 'keelson' ? 'keelson_identity' : quoted(schema));

function quoted(schema: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Error(`not a schema's name: ${schema}`);
  return schema;
}

/** Every table, each with the columns that make it up: what a comparison looks at. */
export const TABLES = ['node', 'token', 'edge', 'use', 'link', 'absent', 'history'] as const;

/** Makes the tables where they are missing. */
export async function createTables(tx: ClientBase, schema: string): Promise<void> {
  const { rows } = await tx.query<{ made: boolean }>('select to_regclass($1) is not null as made', [`${schema}.node`]);
  if (rows[0]!.made) return;
  await tx.query(`
    create table ${schema}.node (
      key uuid primary key,
      kind text not null,
      issuer text not null,
      id text not null,
      first_us bigint not null,
      -- The entry of lifecycle that said last how it is; -1: none did.
      told bigint not null,
      ended boolean not null,
      expires_us bigint not null,
      owner uuid,
      successor uuid,
      on_owner_leave text
    ) with (fillfactor = 90);
    create index on ${schema}.node (kind, id, issuer);
    create index on ${schema}.node (owner) where owner is not null;
    create table ${schema}.token (
      key uuid primary key,
      issuer text not null,
      id text not null,
      digests text[] not null,
      first_us bigint not null,
      issued_us bigint not null,
      expires_us bigint not null,
      accepted boolean not null,
      ended boolean not null,
      names uuid[] not null,
      users uuid[] not null,
      contexts uuid[] not null,
      points uuid[] not null
    ) with (fillfactor = 90);
    create index on ${schema}.token using gin ((names || users || contexts || points));
    create index on ${schema}.token using gin (digests) where digests <> '{}';
    create table ${schema}.edge (
      parent uuid not null,
      child uuid not null,
      roles int not null,
      primary key (parent, child)
    );
    create index on ${schema}.edge (child);
    create table ${schema}.use (
      subject uuid not null,
      object uuid not null,
      first_us bigint not null,
      primary key (subject, object)
    );
    create index on ${schema}.use (object);
    create table ${schema}.link (
      source text not null,
      alias uuid not null,
      principal uuid not null,
      index bigint not null,
      primary key (alias, source)
    );
    create index on ${schema}.link (principal);
    create table ${schema}.absent (
      principal uuid not null,
      issuer text not null,
      primary key (principal, issuer)
    );
    create table ${schema}.history (
      node uuid not null,
      log smallint not null,
      index bigint not null,
      at_us bigint not null,
      type text not null,
      primary key (node, at_us, log, index)
    )`);
}

export async function clearTables(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(`truncate ${TABLES.map((table) => `${schema}.${table}`).join(', ')}`);
}
