/** The graph in memory out of the tables: everything but tokens that ended. */
import type { ClientBase } from 'pg';
import { Graph } from './graph.js';
import { ROLE, type NodeKind, type OnOwnerLeave } from './kinds.js';

const PAGE_ROWS = 20_000;

/** @param nowUs tokens that had ended by then stay in the tables alone. */
export async function loadGraph(tx: ClientBase, schema: string, nowUs: number): Promise<Graph> {
  const graph = new Graph();
  const byKey = new Map<string, number>();
  await tx.query('set local statement_timeout = 0');
  await loadNodes(tx, schema, graph, byKey);
  await loadTokens(tx, schema, graph, byKey, nowUs);
  await loadEdges(tx, schema, graph, byKey);
  await loadLinks(tx, schema, graph, byKey);
  graph.takeChanges();
  return graph;
}

/** Rows of a query, in pages, through a cursor. */
async function* pages<Row extends object>(
  tx: ClientBase,
  query: string,
  values: unknown[] = [],
): AsyncGenerator<Row[], void, undefined> {
  await tx.query(`declare identity_rows no scroll cursor for ${query}`, values);
  for (;;) {
    const { rows } = await tx.query<Row>(`fetch ${PAGE_ROWS} from identity_rows`);
    if (rows.length === 0) break;
    yield rows;
  }
  await tx.query('close identity_rows');
}

interface NodeRow {
  key: string;
  kind: NodeKind;
  issuer: string;
  id: string;
  first_us: bigint;
  ended: boolean;
  expires_us: bigint;
  owner: string | null;
  successor: string | null;
  on_owner_leave: OnOwnerLeave | null;
}

async function loadNodes(tx: ClientBase, schema: string, graph: Graph, byKey: Map<string, number>): Promise<void> {
  const registered: NodeRow[] = [];
  const query = `select key, kind, issuer, id, first_us, ended, expires_us, owner, successor, on_owner_leave from ${schema}.node`;
  for await (const rows of pages<NodeRow>(tx, query)) {
    for (const row of rows) {
      const node = graph.mention(
        row.kind,
        row.issuer,
        row.kind === 'principal' ? Buffer.from(row.id, 'hex') : row.id,
        Number(row.first_us),
      );
      graph.restore(node, {
        ended: row.ended,
        accepted: false,
        digest: undefined,
        firstUs: Number(row.first_us),
        issuedUs: 0,
        expiresUs: Number(row.expires_us),
      });
      byKey.set(row.key, node);
      if (row.owner ?? row.successor ?? row.on_owner_leave) registered.push(row);
    }
  }
  const personOf = (key: string | null): number => (key === null ? -1 : byKey.get(key)!);
  for (const row of registered) {
    graph.register(byKey.get(row.key)!, {
      owner: personOf(row.owner),
      successor: personOf(row.successor),
      onOwnerLeave: row.on_owner_leave ?? undefined,
    });
  }
}

interface TokenRow {
  key: string;
  issuer: string;
  id: string;
  digest: string | null;
  first_us: bigint;
  issued_us: bigint;
  expires_us: bigint;
  accepted: boolean;
  names: string[];
  users: string[];
  contexts: string[];
  points: string[];
}

const LISTS = [
  ['names', ROLE.names],
  ['users', ROLE.user],
  ['contexts', ROLE.context],
  ['points', ROLE.caches],
] as const;

async function loadTokens(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
  nowUs: number,
): Promise<void> {
  const query = `select key, issuer, id, digests[1] as digest, first_us, issued_us, expires_us, accepted,
                   names::text[], users::text[], contexts::text[], points::text[]
                 from ${schema}.token where not ended and (expires_us = 0 or expires_us > ${Math.floor(nowUs)})`;
  for await (const rows of pages<TokenRow>(tx, query)) {
    for (const row of rows) {
      const token = graph.mention('token', row.issuer, row.id, Number(row.first_us));
      graph.restore(token, {
        ended: false,
        accepted: row.accepted,
        digest: row.digest ?? undefined,
        firstUs: Number(row.first_us),
        issuedUs: Number(row.issued_us),
        expiresUs: Number(row.expires_us),
      });
      for (const [list, role] of LISTS) for (const key of row[list]) graph.hang(byKey.get(key)!, token, role);
    }
  }
}

async function loadEdges(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
): Promise<void> {
  const edges = `select parent, child, roles from ${schema}.edge`;
  for await (const rows of pages<{ parent: string; child: string; roles: number }>(tx, edges)) {
    for (const { parent, child, roles } of rows) graph.hang(byKey.get(parent)!, byKey.get(child)!, roles);
  }
  // What was used is a token where it is no node.
  const uses = `select u.subject, u.object, u.first_us, t.issuer, t.id from ${schema}.use u left join ${schema}.token t on t.key = u.object`;
  for await (const rows of pages<{ subject: string; object: string; first_us: bigint; issuer: string; id: string }>(
    tx,
    uses,
  )) {
    for (const { subject, object, first_us, issuer, id } of rows) {
      const used = byKey.get(object) ?? graph.nodes.find('token', issuer, id);
      if (used >= 0) graph.use(byKey.get(subject)!, used, Number(first_us));
    }
  }
}

async function loadLinks(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
): Promise<void> {
  const links = `select source, alias, principal, index from ${schema}.link`;
  for await (const rows of pages<{ source: string; alias: string; principal: string; index: bigint }>(tx, links)) {
    for (const { source, alias, principal, index } of rows) {
      graph.link({ source, alias: byKey.get(alias)!, principal: byKey.get(principal)!, index });
    }
  }
  const absent = `select principal, issuer from ${schema}.absent`;
  for await (const rows of pages<{ principal: string; issuer: string }>(tx, absent)) {
    for (const { principal, issuer } of rows) graph.addAbsent(byKey.get(principal)!, issuer);
  }
}
