/**
 * The tables of the projection, made by the service itself (migrations/0060_identity.sql says why). Rows name nodes by their keys
 * (nodes.ts), which are the same after a rebuild. Times are microseconds since 1970; where there may be none it is 0, or null.
 *
 * - `node`: everything but tokens;
 * - `token`: every token an enforcement point ever told of, living or not; never the token itself;
 * - `edge`: what hangs on what, and for each role (kinds.ts) since when;
 * - `use`: who used what, and since when;
 * - `link`, `absent`: who is one human, from when until when;
 * - `history`: which entries are about a node, and how each says the node is from then on;
 * - `verdict`: what checking a registration came to.
 */
import type { ClientBase } from 'pg';
import { ROLES } from './kinds.js';
import { VERDICT_COLUMNS } from './verdicts.js';

/** Where the live projection is; fsck's scratch schemas are used as they are. */
export const identitySchema = (schema: string): string => (schema === 'keelson' ? 'keelson_identity' : quoted(schema));

function quoted(schema: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Error(`not a schema's name: ${schema}`);
  return schema;
}

/** Every table, each with the columns that make it up: what a comparison looks at. */
export const TABLES = ['node', 'token', 'edge', 'use', 'link', 'absent', 'history', 'verdict'] as const;

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
      registered_us bigint not null,
      phase smallint not null,
      expires_us bigint not null,
      owner uuid,
      successor uuid,
      on_owner_leave text,
      risk_level text,
      -- The last day (since 1970) on which a decision named it; 0: none did.
      used_day int not null
    ) with (fillfactor = 90);
    create index on ${schema}.node (kind, key);
    create index on ${schema}.node (owner, key) where owner is not null;
    create index on ${schema}.node (successor, key) where successor is not null;
    create table ${schema}.token (
      key uuid primary key,
      issuer text not null,
      id text not null,
      digests text[] not null,
      first_us bigint not null,
      issued_us bigint not null,
      expires_us bigint not null,
      accepted_us bigint not null,
      ended_us bigint not null,
      used_day int not null
    ) with (fillfactor = 90);
    create index on ${schema}.token using hash (id);
    create index on ${schema}.token using gin (digests) where digests <> '{}';
    create index on ${schema}.token (expires_us) where ended_us = 0;
    create table ${schema}.edge (
      parent uuid not null,
      child uuid not null,
      ${ROLES.map((role) => `${role}_us bigint`).join(', ')},
      primary key (parent, child)
    );
    create index on ${schema}.edge (child, parent);
    create table ${schema}.use (
      subject uuid not null,
      object uuid not null,
      first_us bigint not null,
      primary key (subject, object)
    );
    create index on ${schema}.use (object, subject);
    create table ${schema}.link (
      source text not null,
      alias uuid not null,
      principal uuid not null,
      index bigint not null,
      at_us bigint not null,
      until_us bigint,
      primary key (alias, source, index)
    );
    create index on ${schema}.link (principal, alias);
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
      -- Null: the entry says nothing of these.
      phase smallint,
      expires_us bigint,
      owner uuid,
      successor uuid,
      on_owner_leave text,
      risk_level text,
      primary key (node, at_us, log, index)
    );
    create index on ${schema}.history (owner, node) where owner is not null;
    create index on ${schema}.history (successor, node) where successor is not null;
    create table ${schema}.verdict (${VERDICT_COLUMNS})`);
}

export async function clearTables(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(`truncate ${TABLES.map((table) => `${schema}.${table}`).join(', ')}`);
}
