/** What folding changed, into the tables, in the transaction of the batch. One statement a table. */
import type { ClientBase } from 'pg';
import { boolArray, int2Array, int4Array, int8Array, textArray, uuidArray } from '../platform/binary-array.js';
import type { Changes, NodeState } from './changes.js';
import type { Graph } from './graph.js';
import { ROLES } from './kinds.js';
import { stagedName } from './staging.js';
import { saveVerdicts } from './verdicts.js';

/**
 * Writes changes.
 * @param isStaging whether rows of the large tables are staged (staging.ts).
 * @returns the keys (32 hex digits) of nodes that are new in memory, but not in the tables: what memory had dropped.
 */
export async function saveChanges(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  changes: Changes,
  isStaging: boolean,
): Promise<readonly string[]> {
  const tokens: number[] = [];
  const nodes: number[] = [];
  for (const node of changes.nodes) (graph.nodes.kind(node) === 'token' ? tokens : nodes).push(node);
  const save = isStaging ? stageRows : upsertRows;
  const returned = [
    ...(await save(tx, schema, graph, nodeRows(graph, changes), nodes, changes)),
    ...(await save(tx, schema, graph, tokenRows(graph, changes), tokens, changes)),
  ];
  await saveEdges(tx, schema, graph, changes, isStaging);
  await saveUses(tx, schema, graph, changes);
  await saveLinks(tx, schema, graph, changes);
  await saveHistory(tx, schema, graph, changes);
  await saveVerdicts(tx, schema, changes.verdicts, (node) => uuid(graph, node));
  return returned;
}

const keyOf = (graph: Graph, node: number): Buffer | null => (node < 0 ? null : graph.nodes.key(node));
const uuid = (graph: Graph, node: number): string | null => keyOf(graph, node)?.toString('hex') ?? null;

/** How nodes of a table are written. */
interface Rows {
  readonly table: 'node' | 'token';
  /** What is selected from the parameters from $2 on, in the order of the table's columns; the key is $1. */
  readonly select: string;
  readonly values: (list: readonly number[]) => Buffer[];
  /** What becomes of a row that is there (`r`). */
  readonly update: string;
}

/** Answers the keys of rows that were there before, though the node is new in memory. */
async function upsertRows(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  { table, select, values, update }: Rows,
  list: readonly number[],
  { fresh }: Pick<Changes, 'fresh'>,
): Promise<string[]> {
  if (list.length === 0) return [];
  const given = values(list);
  const { rows } = await tx.query<{ key: string }>(
    `with saved as (
       insert into ${schema}.${table} as r ${select} on conflict (key) do update set ${update}
       returning key, xmax <> 0 as was_there)
     select replace(key::text, '-', '') as key from saved
     where was_there and key in (select f.key from unnest($1::uuid[], $${given.length + 2}::bool[]) as f (key, fresh) where f.fresh)`,
    [uuidArray(list.map((node) => graph.nodes.key(node))), ...given, boolArray(list.map((node) => fresh.has(node)))],
  );
  return rows.map(({ key }) => key);
}

/** The same while rows are staged. What returned is written over its row at once: it is read from there. */
async function stageRows(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  rows: Rows,
  list: readonly number[],
  { fresh }: Pick<Changes, 'fresh'>,
): Promise<string[]> {
  if (list.length === 0) return [];
  const keys = (some: readonly number[]): Buffer => uuidArray(some.map((node) => graph.nodes.key(node)));
  const found = await tx.query<{ key: string }>(
    `select replace(key::text, '-', '') as key from ${schema}.${rows.table} where key = any($1::uuid[])`,
    [keys(list.filter((node) => fresh.has(node)))],
  );
  const there = new Set(found.rows.map(({ key }) => key));
  const isThere = (node: number): boolean => there.size > 0 && fresh.has(node) && there.has(uuid(graph, node)!);
  const staged = there.size === 0 ? list : list.filter((node) => !isThere(node));
  await tx.query(`insert into ${stagedName(schema, rows.table)} ${rows.select}`, [
    keys(staged),
    ...rows.values(staged),
  ]);
  return upsertRows(tx, schema, graph, rows, list.filter(isThere), { fresh });
}

/**
 * A row may hold more than memory does, which drops what is over: the least and greatest are kept, and state only changes where
 * lifecycle told it, or a session ended.
 */
function nodeRows(graph: Graph, { told }: Changes): Rows {
  const { nodes } = graph;
  const ofLast = (column: string): string =>
    `${column} = case when excluded.told >= 0 then excluded.${column} else r.${column} end`;
  return {
    table: 'node',
    select: `select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::int2[],
                                  $9::int8[], $10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::int[])`,
    values(list) {
      const registrations = list.map((node) => graph.registrations.get(node));
      return [
        textArray(list.map((node) => nodes.kind(node))),
        textArray(list.map((node) => nodes.issuer(node))),
        textArray(list.map((node) => nodes.id(node))),
        int8Array(list.map((node) => graph.firstUs(node))),
        int8Array(list.map((node) => told.get(node)?.index ?? -1n)),
        int8Array(list.map((node) => told.get(node)?.registeredUs ?? 0)),
        int2Array(list.map((node) => graph.phase(node))),
        int8Array(list.map((node) => graph.expiresUs(node))),
        uuidArray(registrations.map((one) => keyOf(graph, one?.owner ?? -1))),
        uuidArray(registrations.map((one) => keyOf(graph, one?.successor ?? -1))),
        textArray(registrations.map((one) => one?.onOwnerLeave ?? null)),
        textArray(registrations.map((one) => one?.riskLevel ?? null)),
        int4Array(list.map((node) => graph.usedDay(node))),
      ];
    },
    update: `
       first_us = least(r.first_us, excluded.first_us),
       told = greatest(r.told, excluded.told),
       ${earliest('registered_us')},
       phase = case when r.kind = 'session' then greatest(r.phase, excluded.phase)
                    when excluded.told >= 0 then excluded.phase else r.phase end,
       expires_us = case when r.kind = 'session' then greatest(r.expires_us, excluded.expires_us)
                         when excluded.told >= 0 then excluded.expires_us else r.expires_us end,
       ${['owner', 'successor', 'on_owner_leave', 'risk_level'].map(ofLast).join(', ')},
       used_day = greatest(r.used_day, excluded.used_day)`,
  };
}

/** Text as an element of an array. */
const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** The earlier of two times of which either may be 0: none. */
const earliest = (column: string): string =>
  `${column} = case when r.${column} = 0 then excluded.${column} when excluded.${column} = 0 then r.${column}
                    else least(r.${column}, excluded.${column}) end`;

function tokenRows(graph: Graph, { digests, accepted, ended }: Changes): Rows {
  return {
    table: 'token',
    select: `select key, issuer, id, digests::text[], first_us, issued_us, expires_us, accepted_us, ended_us, used_day
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int[])
       as given (key, issuer, id, digests, first_us, issued_us, expires_us, accepted_us, ended_us, used_day)`,
    values: (list) => [
      textArray(list.map((token) => graph.nodes.issuer(token))),
      textArray(list.map((token) => graph.nodes.id(token))),
      textArray(list.map((token) => `{${[...(digests.get(token) ?? [])].sort().map(quote).join(',')}}`)),
      int8Array(list.map((token) => graph.firstUs(token))),
      int8Array(list.map((token) => graph.issuedUs(token))),
      int8Array(list.map((token) => graph.expiresUs(token))),
      int8Array(list.map((token) => accepted.get(token) ?? 0)),
      int8Array(list.map((token) => ended.get(token) ?? 0)),
      int4Array(list.map((token) => graph.usedDay(token))),
    ],
    update: `
       digests = case when excluded.digests <@ r.digests then r.digests
                      else array(select distinct one from unnest(r.digests || excluded.digests) as one order by one) end,
       first_us = least(r.first_us, excluded.first_us),
       expires_us = greatest(r.expires_us, excluded.expires_us),
       used_day = greatest(r.used_day, excluded.used_day),
       ${['issued_us', 'accepted_us', 'ended_us'].map(earliest).join(', ')}`,
  };
}

async function saveEdges(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  { edges: changed }: Changes,
  isStaging: boolean,
): Promise<void> {
  if (changed.size === 0) return;
  const { edges, nodes } = graph;
  const list = [...changed];
  const columns = ROLES.map((role) => `${role}_us`);
  const upsert = `on conflict (parent, child) do update set
       ${columns.map((column) => `${column} = least(r.${column}, excluded.${column})`).join(', ')}`;
  await tx.query(
    `insert into ${isStaging ? stagedName(schema, 'edge') : `${schema}.edge`} as r (parent, child, ${columns.join(', ')})
     select * from unnest($1::uuid[], $2::uuid[], ${ROLES.map((_, i) => `$${i + 3}::int8[]`).join(', ')})
     ${isStaging ? '' : upsert}`,
    [
      uuidArray(list.map(([edge]) => nodes.key(edges.parent(edge)))),
      uuidArray(list.map(([edge]) => nodes.key(edges.child(edge)))),
      ...ROLES.map((_, i) => int8Array(list.map(([, since]) => since[i] || null))),
    ],
  );
}

async function saveUses(tx: ClientBase, schema: string, graph: Graph, { uses: changed }: Changes): Promise<void> {
  if (changed.size === 0) return;
  const { uses } = graph;
  const list = [...changed];
  await tx.query(
    `insert into ${schema}.use as u (subject, object, first_us) select * from unnest($1::uuid[], $2::uuid[], $3::int8[])
     on conflict (subject, object) do update set first_us = least(u.first_us, excluded.first_us)`,
    [
      list.map((use) => uuid(graph, uses.user(use))),
      list.map((use) => uuid(graph, uses.used(use))),
      list.map((use) => uses.firstUs(use)),
    ],
  );
}

async function saveLinks(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  { linked, unlinked, absent }: Changes,
): Promise<void> {
  if (linked.length > 0) {
    await tx.query(
      `insert into ${schema}.link (source, alias, principal, index, at_us)
       select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::int8[], $5::int8[])`,
      [
        linked.map(({ source }) => source),
        linked.map(({ alias }) => uuid(graph, alias)),
        linked.map(({ principal }) => uuid(graph, principal)),
        linked.map(({ index }) => index),
        linked.map(({ atUs }) => atUs),
      ],
    );
  }
  if (unlinked.size > 0) {
    const gone = [...unlinked.keys()];
    await tx.query(
      `update ${schema}.link as l set until_us = gone.until_us
       from unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[]) as gone (alias, source, index, until_us)
       where (l.alias, l.source, l.index) = (gone.alias, gone.source, gone.index)`,
      [
        gone.map(({ alias }) => uuid(graph, alias)),
        gone.map(({ source }) => source),
        gone.map(({ index }) => index),
        [...unlinked.values()],
      ],
    );
  }
  if (absent.length > 0) {
    await tx.query(
      `insert into ${schema}.absent (principal, issuer) select * from unnest($1::uuid[], $2::text[]) on conflict do nothing`,
      [absent.map(({ principal }) => uuid(graph, principal)), absent.map(({ issuer }) => issuer)],
    );
  }
}

async function saveHistory(tx: ClientBase, schema: string, graph: Graph, { history }: Changes): Promise<void> {
  if (history.length === 0) return;
  const ofState = <T>(of: (state: NodeState) => T): (T | null)[] =>
    history.map(({ state }) => (state === undefined ? null : of(state)));
  // An entry may name a node twice, and is one row.
  await tx.query(
    `insert into ${schema}.history (node, log, index, at_us, type, phase, expires_us, owner, successor, on_owner_leave, risk_level)
     select * from unnest($1::uuid[], $2::smallint[], $3::int8[], $4::int8[], $5::text[], $6::int2[], $7::int8[], $8::uuid[], $9::uuid[],
                          $10::text[], $11::text[])
     on conflict do nothing`,
    [
      history.map(({ node }) => uuid(graph, node)),
      history.map(({ log }) => log),
      history.map(({ index }) => index),
      history.map(({ atUs }) => atUs),
      history.map(({ type }) => type),
      ofState(({ phase }) => phase),
      ofState(({ expiresUs }) => expiresUs),
      ofState(({ registration }) => uuid(graph, registration?.owner ?? -1)),
      ofState(({ registration }) => uuid(graph, registration?.successor ?? -1)),
      ofState(({ registration }) => registration?.onOwnerLeave ?? null),
      ofState(({ registration }) => registration?.riskLevel ?? null),
    ],
  );
}
