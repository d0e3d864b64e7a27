/** What folding changed, into the tables, in the transaction of the batch. One statement a table. */
import type { ClientBase } from 'pg';
import type { Changes, Graph } from './graph.js';
import { ROLE } from './kinds.js';

export async function saveChanges(tx: ClientBase, schema: string, graph: Graph, changes: Changes): Promise<void> {
  const tokens: number[] = [];
  const nodes: number[] = [];
  for (const node of changes.nodes) (graph.nodes.kind(node) === 'token' ? tokens : nodes).push(node);
  await saveNodes(tx, schema, graph, nodes, changes);
  await saveTokens(tx, schema, graph, tokens, changes);
  await saveEdges(tx, schema, graph, changes);
  await saveLinks(tx, schema, graph, changes);
  await saveHistory(tx, schema, graph, changes);
}

const uuid = (graph: Graph, node: number): string | null => (node < 0 ? null : graph.nodes.key(node).toString('hex'));

/**
 * A row may hold more than memory does, which forgets what ended long ago: the least and greatest are kept, and state only changes
 * where lifecycle told it, or a session ended.
 */
async function saveNodes(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  list: readonly number[],
  { told }: Changes,
): Promise<void> {
  if (list.length === 0) return;
  const { nodes } = graph;
  const registrations = list.map((node) => graph.registrations.get(node));
  await tx.query(
    `insert into ${schema}.node as n
       (key, kind, issuer, id, first_us, told, ended, expires_us, owner, successor, on_owner_leave)
     select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::bool[], $8::int8[],
                          $9::uuid[], $10::uuid[], $11::text[])
     on conflict (key) do update set
       first_us = least(n.first_us, excluded.first_us),
       told = greatest(n.told, excluded.told),
       ended = case when n.kind = 'session' then n.ended or excluded.ended when excluded.told >= 0 then excluded.ended else n.ended end,
       expires_us = case when n.kind = 'session' then greatest(n.expires_us, excluded.expires_us)
                         when excluded.told >= 0 then excluded.expires_us else n.expires_us end,
       owner = case when excluded.told >= 0 then excluded.owner else n.owner end,
       successor = case when excluded.told >= 0 then excluded.successor else n.successor end,
       on_owner_leave = case when excluded.told >= 0 then excluded.on_owner_leave else n.on_owner_leave end`,
    [
      list.map((node) => uuid(graph, node)),
      list.map((node) => nodes.kind(node)),
      list.map((node) => nodes.issuer(node)),
      list.map((node) => nodes.id(node)),
      list.map((node) => graph.firstUs(node)),
      list.map((node) => told.get(node) ?? -1n),
      list.map((node) => graph.isEnded(node)),
      list.map((node) => graph.expiresUs(node)),
      registrations.map((one) => uuid(graph, one?.owner ?? -1)),
      registrations.map((one) => uuid(graph, one?.successor ?? -1)),
      registrations.map((one) => one?.onOwnerLeave ?? null),
    ],
  );
}

/** The four lists of keys of a token, each as PostgreSQL writes an array, sorted. */
function tokenParents(graph: Graph, token: number): [string, string, string, string] {
  const { edges } = graph;
  const lists: [string[], string[], string[], string[]] = [[], [], [], []];
  for (let edge = edges.firstOfChild(token); edge >= 0; edge = edges.nextOfChild(edge)) {
    const roles = edges.roles(edge);
    const key = graph.nodes.key(edges.parent(edge)).toString('hex');
    if ((roles & ROLE.names) !== 0) lists[0].push(key);
    if ((roles & ROLE.user) !== 0) lists[1].push(key);
    if ((roles & ROLE.context) !== 0) lists[2].push(key);
    if ((roles & ROLE.caches) !== 0) lists[3].push(key);
  }
  return lists.map((list) => `{${list.sort().join(',')}}`) as [string, string, string, string];
}

/** Text as an element of an array. */
const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

const union = (column: string): string =>
  `case when t.${column} <@ excluded.${column} then excluded.${column}
        else array(select distinct key from unnest(t.${column} || excluded.${column}) as key order by key) end`;

async function saveTokens(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  list: readonly number[],
  { digests }: Changes,
): Promise<void> {
  if (list.length === 0) return;
  const parents = list.map((token) => tokenParents(graph, token));
  await tx.query(
    `insert into ${schema}.token as t
       (key, issuer, id, digests, first_us, issued_us, expires_us, accepted, ended, names, users, contexts, points)
     select key, issuer, id, digests::text[], first_us, issued_us, expires_us, accepted, ended,
            names::uuid[], users::uuid[], contexts::uuid[], points::uuid[]
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::bool[], $9::bool[],
                 $10::text[], $11::text[], $12::text[], $13::text[])
       as given (key, issuer, id, digests, first_us, issued_us, expires_us, accepted, ended, names, users, contexts, points)
     on conflict (key) do update set
       digests = ${union('digests')},
       first_us = least(t.first_us, excluded.first_us),
       issued_us = case when t.issued_us = 0 then excluded.issued_us when excluded.issued_us = 0 then t.issued_us
                        else least(t.issued_us, excluded.issued_us) end,
       expires_us = greatest(t.expires_us, excluded.expires_us),
       accepted = t.accepted or excluded.accepted,
       ended = t.ended or excluded.ended,
       names = ${union('names')}, users = ${union('users')}, contexts = ${union('contexts')}, points = ${union('points')}`,
    [
      list.map((token) => uuid(graph, token)),
      list.map((token) => graph.nodes.issuer(token)),
      list.map((token) => graph.nodes.id(token)),
      list.map((token) => `{${[...(digests.get(token) ?? [])].sort().map(quote).join(',')}}`),
      list.map((token) => graph.firstUs(token)),
      list.map((token) => graph.issuedUs(token)),
      list.map((token) => graph.expiresUs(token)),
      list.map((token) => graph.isAccepted(token)),
      list.map((token) => graph.isEnded(token)),
      ...([0, 1, 2, 3] as const).map((i) => parents.map((lists) => lists[i])),
    ],
  );
}

async function saveEdges(tx: ClientBase, schema: string, graph: Graph, changes: Changes): Promise<void> {
  const { edges, uses } = graph;
  if (changes.edges.length > 0) {
    await tx.query(
      `insert into ${schema}.edge as e (parent, child, roles) select * from unnest($1::uuid[], $2::uuid[], $3::int[])
       on conflict (parent, child) do update set roles = e.roles | excluded.roles`,
      [
        changes.edges.map((edge) => uuid(graph, edges.parent(edge))),
        changes.edges.map((edge) => uuid(graph, edges.child(edge))),
        changes.edges.map((edge) => edges.roles(edge)),
      ],
    );
  }
  if (changes.uses.length > 0) {
    await tx.query(
      `insert into ${schema}.use as u (subject, object, first_us) select * from unnest($1::uuid[], $2::uuid[], $3::int8[])
       on conflict (subject, object) do update set first_us = least(u.first_us, excluded.first_us)`,
      [
        changes.uses.map((use) => uuid(graph, uses.user(use))),
        changes.uses.map((use) => uuid(graph, uses.used(use))),
        changes.uses.map((use) => uses.firstUs(use)),
      ],
    );
  }
}

async function saveLinks(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  { linked, unlinked, absent }: Changes,
): Promise<void> {
  if (unlinked.length > 0) {
    await tx.query(
      `delete from ${schema}.link where (alias, source) in (select * from unnest($1::uuid[], $2::text[]) as gone (alias, source))`,
      [unlinked.map(({ alias }) => uuid(graph, alias)), unlinked.map(({ source }) => source)],
    );
  }
  if (linked.size > 0) {
    const links = [...linked];
    await tx.query(
      `insert into ${schema}.link (source, alias, principal, index)
       select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::int8[])
       on conflict (alias, source) do update set principal = excluded.principal, index = excluded.index`,
      [
        links.map(({ source }) => source),
        links.map(({ alias }) => uuid(graph, alias)),
        links.map(({ principal }) => uuid(graph, principal)),
        links.map(({ index }) => index),
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
  // An entry may name a node twice, and is one row.
  await tx.query(
    `insert into ${schema}.history (node, log, index, at_us, type)
     select * from unnest($1::uuid[], $2::smallint[], $3::int8[], $4::int8[], $5::text[]) on conflict do nothing`,
    [
      history.map(({ node }) => uuid(graph, node)),
      history.map(({ log }) => log),
      history.map(({ index }) => index),
      history.map(({ atUs }) => atUs),
      history.map(({ type }) => type),
    ],
  );
}
