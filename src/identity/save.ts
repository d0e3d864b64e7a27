/** What folding changed, into the tables, in the transaction of the batch. One statement a table. */
import type { ClientBase } from 'pg';
import type { Changes, NodeState } from './changes.js';
import type { Graph } from './graph.js';
import { ROLES } from './kinds.js';
import { saveVerdicts } from './verdicts.js';

/**
 * Writes changes.
 * @returns the keys (32 hex digits) of nodes that are new in memory, but not in the tables: what memory had dropped.
 */
export async function saveChanges(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  changes: Changes,
): Promise<readonly string[]> {
  const tokens: number[] = [];
  const nodes: number[] = [];
  for (const node of changes.nodes) (graph.nodes.kind(node) === 'token' ? tokens : nodes).push(node);
  const returned = [
    ...(await saveNodes(tx, schema, graph, nodes, changes)),
    ...(await saveTokens(tx, schema, graph, tokens, changes)),
  ];
  await saveEdges(tx, schema, graph, changes);
  await saveUses(tx, schema, graph, changes);
  await saveLinks(tx, schema, graph, changes);
  await saveHistory(tx, schema, graph, changes);
  await saveVerdicts(tx, schema, changes.verdicts, (node) => uuid(graph, node));
  return returned;
}

const uuid = (graph: Graph, node: number): string | null => (node < 0 ? null : graph.nodes.key(node).toString('hex'));

/** Which of the rows that a statement wrote (`saved`) were there before, though the node is new in memory. */
const RETURNED = `returning key, xmax <> 0 as was_there)
  select replace(key::text, '-', '') as key from saved
  where was_there and key in (select f.key from unnest($1::uuid[], $2::bool[]) as f (key, fresh) where f.fresh)`;

/**
 * A row may hold more than memory does, which drops what is over: the least and greatest are kept, and state only changes where
 * lifecycle told it, or a session ended.
 */
async function saveNodes(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  list: readonly number[],
  { told, fresh }: Changes,
): Promise<string[]> {
  if (list.length === 0) return [];
  const { nodes } = graph;
  const registrations = list.map((node) => graph.registrations.get(node));
  const ofLast = (column: string): string =>
    `${column} = case when excluded.told >= 0 then excluded.${column} else n.${column} end`;
  const { rows } = await tx.query<{ key: string }>(
    `with saved as (
     insert into ${schema}.node as n
       (key, kind, issuer, id, first_us, told, registered_us, phase, expires_us, owner, successor, on_owner_leave, risk_level, used_day)
     select * from unnest($1::uuid[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::int8[], $8::int8[], $9::int2[],
                          $10::int8[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::int[])
     on conflict (key) do update set
       first_us = least(n.first_us, excluded.first_us),
       told = greatest(n.told, excluded.told),
       registered_us = case when n.registered_us = 0 then excluded.registered_us when excluded.registered_us = 0 then n.registered_us
                            else least(n.registered_us, excluded.registered_us) end,
       phase = case when n.kind = 'session' then greatest(n.phase, excluded.phase)
                    when excluded.told >= 0 then excluded.phase else n.phase end,
       expires_us = case when n.kind = 'session' then greatest(n.expires_us, excluded.expires_us)
                         when excluded.told >= 0 then excluded.expires_us else n.expires_us end,
       ${['owner', 'successor', 'on_owner_leave', 'risk_level'].map(ofLast).join(', ')},
       used_day = greatest(n.used_day, excluded.used_day)
     ${RETURNED}`,
    [
      list.map((node) => uuid(graph, node)),
      list.map((node) => fresh.has(node)),
      list.map((node) => nodes.kind(node)),
      list.map((node) => nodes.issuer(node)),
      list.map((node) => nodes.id(node)),
      list.map((node) => graph.firstUs(node)),
      list.map((node) => told.get(node)?.index ?? -1n),
      list.map((node) => told.get(node)?.registeredUs ?? 0),
      list.map((node) => graph.phase(node)),
      list.map((node) => graph.expiresUs(node)),
      registrations.map((one) => uuid(graph, one?.owner ?? -1)),
      registrations.map((one) => uuid(graph, one?.successor ?? -1)),
      registrations.map((one) => one?.onOwnerLeave ?? null),
      registrations.map((one) => one?.riskLevel ?? null),
      list.map((node) => graph.usedDay(node)),
    ],
  );
  return rows.map(({ key }) => key);
}

/** Text as an element of an array. */
const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** The earlier of two times of which either may be 0: none. */
const earliest = (column: string): string =>
  `${column} = case when t.${column} = 0 then excluded.${column} when excluded.${column} = 0 then t.${column}
                    else least(t.${column}, excluded.${column}) end`;

async function saveTokens(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  list: readonly number[],
  { digests, accepted, ended, fresh }: Changes,
): Promise<string[]> {
  if (list.length === 0) return [];
  const { rows } = await tx.query<{ key: string }>(
    `with saved as (
     insert into ${schema}.token as t
       (key, issuer, id, digests, first_us, issued_us, expires_us, accepted_us, ended_us, used_day)
     select key, issuer, id, digests::text[], first_us, issued_us, expires_us, accepted_us, ended_us, used_day
     from unnest($1::uuid[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int[])
       as given (key, issuer, id, digests, first_us, issued_us, expires_us, accepted_us, ended_us, used_day)
     on conflict (key) do update set
       digests = case when excluded.digests <@ t.digests then t.digests
                      else array(select distinct one from unnest(t.digests || excluded.digests) as one order by one) end,
       first_us = least(t.first_us, excluded.first_us),
       expires_us = greatest(t.expires_us, excluded.expires_us),
       used_day = greatest(t.used_day, excluded.used_day),
       ${['issued_us', 'accepted_us', 'ended_us'].map(earliest).join(', ')}
     ${RETURNED}`,
    [
      list.map((token) => uuid(graph, token)),
      list.map((token) => fresh.has(token)),
      list.map((token) => graph.nodes.issuer(token)),
      list.map((token) => graph.nodes.id(token)),
      list.map((token) => `{${[...(digests.get(token) ?? [])].sort().map(quote).join(',')}}`),
      list.map((token) => graph.firstUs(token)),
      list.map((token) => graph.issuedUs(token)),
      list.map((token) => graph.expiresUs(token)),
      list.map((token) => accepted.get(token) ?? 0),
      list.map((token) => ended.get(token) ?? 0),
      list.map((token) => graph.usedDay(token)),
    ],
  );
  return rows.map(({ key }) => key);
}

async function saveEdges(tx: ClientBase, schema: string, graph: Graph, { edges: changed }: Changes): Promise<void> {
  if (changed.size === 0) return;
  const { edges } = graph;
  const list = [...changed];
  const columns = ROLES.map((role) => `${role}_us`);
  await tx.query(
    `insert into ${schema}.edge as e (parent, child, ${columns.join(', ')})
     select * from unnest($1::uuid[], $2::uuid[], ${ROLES.map((_, i) => `$${i + 3}::int8[]`).join(', ')})
     on conflict (parent, child) do update set
       ${columns.map((column) => `${column} = least(e.${column}, excluded.${column})`).join(', ')}`,
    [
      list.map(([edge]) => uuid(graph, edges.parent(edge))),
      list.map(([edge]) => uuid(graph, edges.child(edge))),
      ...ROLES.map((_, i) => list.map(([, since]) => since[i] || null)),
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
