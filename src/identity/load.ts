/**
 * The graph in memory out of the tables: what is in force, everything that does not pass, and whatever any of that hangs on. The rest
 * stays in the tables, and is brought when an entry names it again.
 */
import type { ClientBase } from 'pg';
import type { Graph } from './graph.js';
import { PASSING_KINDS, PHASE, ROLES, type NodeKind, type OnOwnerLeave } from './kinds.js';

const PAGE_ROWS = 20_000;

/** @param nowUs what was over by then stays in the tables alone. */
export async function loadGraph(tx: ClientBase, schema: string, graph: Graph, nowUs: number): Promise<void> {
  const now = Math.floor(nowUs);
  const passing = [...PASSING_KINDS].map((kind) => `'${kind}'`).join(', ');
  const nodes = `kind not in (${passing}) or kind <> 'parent' and phase in (${PHASE.registered}, ${PHASE.approved})
                 and (expires_us = 0 or expires_us > ${now})`;
  const tokens = `ended_us = 0 and (expires_us = 0 or expires_us > ${now})`;
  await tx.query('set local statement_timeout = 0');
  const byKey = new Map<string, number>();
  const registered: NodeRow[] = [];
  for await (const rows of pages<NodeRow>(tx, `select ${NODE} from ${schema}.node n where ${nodes}`)) {
    for (const row of rows) {
      byKey.set(row.key, takeNode(graph, row));
      if (row.owner ?? row.successor ?? row.on_owner_leave ?? row.risk_level) registered.push(row);
    }
  }
  takeRegistrations(graph, registered, byKey);
  for await (const rows of pages<TokenRow>(tx, `select ${TOKEN} from ${schema}.token where ${tokens}`)) {
    for (const row of rows) byKey.set(row.key, takeToken(graph, row));
  }
  const orphans = await loadEdges(
    tx,
    `select ${EDGE} from ${schema}.edge e join (
       select key from ${schema}.node where ${nodes} union all select key from ${schema}.token where ${tokens}
     ) c on c.key = e.child`,
    graph,
    byKey,
  );
  await loadUses(tx, schema, graph, byKey);
  await loadLinks(tx, schema, graph, byKey);
  const loaded = new Set(byKey.values());
  byKey.clear();
  await bringNodes(tx, schema, graph, [...orphans], (node) => loaded.has(node));
  graph.takeChanges();
}

/** Rows of a query, in pages, through a cursor. */
async function* pages<Row extends object>(tx: ClientBase, query: string): AsyncGenerator<Row[], void, undefined> {
  await tx.query(`declare identity_rows no scroll cursor for ${query}`);
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
  phase: number;
  expires_us: bigint;
  owner: string | null;
  successor: string | null;
  on_owner_leave: OnOwnerLeave | null;
  risk_level: string | null;
  used_day: number;
}
const NODE =
  'n.key, n.kind, n.issuer, n.id, n.first_us, n.phase, n.expires_us, n.owner, n.successor, n.on_owner_leave, n.risk_level, n.used_day';

function takeNode(graph: Graph, row: NodeRow): number {
  const id = row.kind === 'principal' ? Buffer.from(row.id, 'hex') : row.id;
  const node = graph.mention(row.kind, row.issuer, id, Number(row.first_us));
  graph.restore(node, {
    phase: row.phase,
    acceptedUs: 0,
    digest: undefined,
    firstUs: Number(row.first_us),
    issuedUs: 0,
    expiresUs: Number(row.expires_us),
    usedDay: row.used_day,
  });
  return node;
}

function takeRegistrations(graph: Graph, rows: readonly NodeRow[], byKey: ReadonlyMap<string, number>): void {
  const personOf = (key: string | null): number => (key === null ? -1 : byKey.get(key)!);
  for (const row of rows) {
    graph.register(byKey.get(row.key)!, {
      owner: personOf(row.owner),
      successor: personOf(row.successor),
      onOwnerLeave: row.on_owner_leave ?? undefined,
      riskLevel: row.risk_level ?? undefined,
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
  accepted_us: bigint;
  ended_us: bigint;
  used_day: number;
}
const TOKEN = 'key, issuer, id, digests[1] as digest, first_us, issued_us, expires_us, accepted_us, ended_us, used_day';

function takeToken(graph: Graph, row: TokenRow): number {
  const token = graph.mention('token', row.issuer, row.id, Number(row.first_us));
  graph.restore(token, {
    phase: row.ended_us === 0n ? PHASE.seen : PHASE.ended,
    acceptedUs: Number(row.accepted_us),
    digest: row.digest ?? undefined,
    firstUs: Number(row.first_us),
    issuedUs: Number(row.issued_us),
    expiresUs: Number(row.expires_us),
    usedDay: row.used_day,
  });
  return token;
}

interface EdgeRow {
  parent: string;
  child: string;
  roles: number;
  since_us: bigint;
}
/** An edge, its roles as bits, and when it last got one. */
const EDGE = `e.parent, e.child, greatest(${ROLES.map((role) => `e.${role}_us`).join(', ')}) as since_us,
  ${ROLES.map((role, i) => `case when e.${role}_us is null then 0 else ${1 << i} end`).join(' + ')} as roles`;

/** Answers the children that hang on something that is not in memory yet. */
async function loadEdges(
  tx: ClientBase,
  query: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
): Promise<Set<string>> {
  const orphans = new Set<string>();
  for await (const rows of pages<EdgeRow>(tx, query)) {
    for (const { parent, child, roles, since_us } of rows) {
      const node = byKey.get(parent);
      if (node === undefined) orphans.add(child);
      else graph.hang(node, byKey.get(child)!, roles, Number(since_us));
    }
  }
  return orphans;
}

async function loadUses(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
): Promise<void> {
  const uses = `select subject, object, first_us from ${schema}.use`;
  for await (const rows of pages<{ subject: string; object: string; first_us: bigint }>(tx, uses)) {
    for (const { subject, object, first_us } of rows) {
      graph.use(byKey.get(subject)!, byKey.get(object)!, Number(first_us));
    }
  }
}

async function loadLinks(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  byKey: ReadonlyMap<string, number>,
): Promise<void> {
  interface LinkRow {
    source: string;
    alias: string;
    principal: string;
    index: bigint;
    at_us: bigint;
  }
  const links = `select source, alias, principal, index, at_us from ${schema}.link where until_us is null`;
  for await (const rows of pages<LinkRow>(tx, links)) {
    for (const { source, alias, principal, index, at_us } of rows) {
      graph.link({
        source,
        alias: byKey.get(alias)!,
        principal: byKey.get(principal)!,
        index,
        atUs: Number(at_us),
      });
    }
  }
  const absent = `select principal, issuer from ${schema}.absent`;
  for await (const rows of pages<{ principal: string; issuer: string }>(tx, absent)) {
    for (const { principal, issuer } of rows) graph.addAbsent(byKey.get(principal)!, issuer);
  }
}

/**
 * Brings nodes into memory as the tables hold them, with all that they hang on.
 *
 * @param keys of nodes of passing kinds (kinds.ts), in memory or not.
 * @param isWhole whether a node in memory already is as the tables say, and hangs on all it should.
 */
export async function bringNodes(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  keys: readonly string[],
  isWhole: (node: number) => boolean,
): Promise<void> {
  const brought = new Set<number>();
  let wanted = keys;
  while (wanted.length > 0) {
    const byKey = new Map<string, number>();
    const nodes = await tx.query<NodeRow>(`select ${NODE} from ${schema}.node n where key = any($1::uuid[])`, [wanted]);
    for (const row of nodes.rows) byKey.set(row.key, takeNode(graph, row));
    const tokens = await tx.query<TokenRow>(`select ${TOKEN} from ${schema}.token where key = any($1::uuid[])`, [
      wanted,
    ]);
    for (const row of tokens.rows) byKey.set(row.key, takeToken(graph, row));
    for (const node of byKey.values()) brought.add(node);
    const above = await tx.query<EdgeRow & NodeRow>(
      `select ${EDGE}, ${NODE} from ${schema}.edge e join ${schema}.node n on n.key = e.parent where e.child = any($1::uuid[])`,
      [[...byKey.keys()]],
    );
    const next = new Set<string>();
    for (const row of above.rows) {
      const id = row.kind === 'principal' ? Buffer.from(row.id, 'hex') : row.id;
      let parent = graph.nodes.find(row.kind, row.issuer, id);
      if (parent < 0 || !(brought.has(parent) || isWhole(parent))) {
        parent = takeNode(graph, row);
        next.add(row.key);
      }
      graph.hang(parent, byKey.get(row.child)!, row.roles, Number(row.since_us));
    }
    for (const key of await exchangedTokens(tx, schema, graph, [...nodes.rows, ...above.rows])) next.add(key);
    wanted = [...next];
  }
}

/** Keys of the tokens that others were exchanged for (`parent` names them), and that are not in memory. */
async function exchangedTokens(
  tx: ClientBase,
  schema: string,
  graph: Graph,
  rows: readonly NodeRow[],
): Promise<string[]> {
  const ids = rows.filter(({ kind }) => kind === 'parent').map(({ id }) => id);
  if (ids.length === 0) return [];
  const found = await tx.query<{ key: string; issuer: string; id: string }>(
    `select key, issuer, id from ${schema}.token where id = any($1)`,
    [ids],
  );
  return found.rows.filter(({ issuer, id }) => graph.nodes.find('token', issuer, id) < 0).map(({ key }) => key);
}
