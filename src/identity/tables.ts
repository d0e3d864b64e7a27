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

/** Every table: what a comparison looks at. */
export const TABLES = ['node', 'token', 'edge', 'use', 'link', 'absent', 'history', 'verdict'] as const;
export type Table = (typeof TABLES)[number];

/** Columns, then indexes (`create` is left out, and which table it is on). */
const DEFINITIONS: Readonly<Record<Table, { readonly columns: string; readonly indexes: readonly string[] }>> = {
  node: {
    columns: `(
      key uuid not null,
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
    ) with (fillfactor = 90)`,
    indexes: [
      'primary key (key)',
      '(kind, key)',
      '(owner, key) where owner is not null',
      '(successor, key) where successor is not null',
    ],
  },
  token: {
    columns: `(
      key uuid not null,
      issuer text not null,
      id text not null,
      digests text[] not null,
      first_us bigint not null,
      issued_us bigint not null,
      expires_us bigint not null,
      accepted_us bigint not null,
      ended_us bigint not null,
      used_day int not null
    ) with (fillfactor = 90)`,
    indexes: [
      'primary key (key)',
      'using hash (id)',
      `using gin (digests) where digests <> '{}'`,
      '(expires_us) where ended_us = 0',
    ],
  },
  edge: {
    columns: `(
      parent uuid not null,
      child uuid not null,
      ${ROLES.map((role) => `${role}_us bigint`).join(', ')}
    )`,
    indexes: ['primary key (parent, child)', '(child, parent)'],
  },
  use: {
    columns: `(
      subject uuid not null,
      object uuid not null,
      first_us bigint not null
    )`,
    indexes: ['primary key (subject, object)', '(object, subject)'],
  },
  link: {
    columns: `(
      source text not null,
      alias uuid not null,
      principal uuid not null,
      index bigint not null,
      at_us bigint not null,
      until_us bigint
    )`,
    indexes: ['primary key (alias, source, index)', '(principal, alias)'],
  },
  absent: {
    columns: `(
      principal uuid not null,
      issuer text not null
    )`,
    indexes: ['primary key (principal, issuer)'],
  },
  history: {
    columns: `(
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
      risk_level text
    )`,
    indexes: [
      'primary key (node, at_us, log, index)',
      '(owner, node) where owner is not null',
      '(successor, node) where successor is not null',
    ],
  },
  verdict: { columns: `(${VERDICT_COLUMNS})`, indexes: ['primary key (node, registration, index)'] },
};

/** Makes the tables where they are missing. */
export async function createTables(tx: ClientBase, schema: string): Promise<void> {
  const { rows } = await tx.query<{ made: boolean }>('select to_regclass($1) is not null as made', [`${schema}.node`]);
  if (rows[0]!.made) return;
  await tx.query(
    TABLES.map((table) => createTable(table, `${schema}.${table}`) + createIndexes(table, `${schema}.${table}`)).join(
      '',
    ),
  );
}

/** Statements that make a table by a name, and its indexes. */
export const createTable = (table: Table, name: string): string =>
  `create table ${name} ${DEFINITIONS[table].columns};`;
export const createIndexes = (table: Table, name: string): string =>
  DEFINITIONS[table].indexes
    .map((index) =>
      index.startsWith('primary') ? `alter table ${name} add ${index};` : `create index on ${name} ${index};`,
    )
    .join('');

export async function clearTables(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(`truncate ${TABLES.map((table) => `${schema}.${table}`).join(', ')}`);
}
