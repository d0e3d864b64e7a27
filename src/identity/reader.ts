/** Questions about the graph that the tables answer, in any process: each in one snapshot, with how far that is. */
import type { PoolClient } from 'pg';
import { KeelsonError } from '../core/error.js';
import type { Positions } from '../ledger/projection.js';
import { readPositions } from '../ledger/projection-runner.js';
import type { Database } from '../platform/database.js';
import { readEdges, type EdgeDirection, type EdgePage, type EdgePlace } from './edge-page.js';
import type { NodeKind } from './kinds.js';
import { listNodes, listTokens, type ListPage, type NodeFilter, type TokenFilter } from './lists.js';
import { nodeKey } from './node-key.js';
import { readStagedFrom, STAGED } from './staging.js';
import {
  END_OF_TIME,
  hexKey,
  NODE_COLUMNS,
  readStandings,
  standingOf,
  type NodeRow,
  type Standing,
} from './standing.js';
import { readVerdict, type Verdict } from './verdicts.js';

export interface IdentityReaderOptions {
  readonly database: Database;
  readonly schema: string;
  /** A statement that takes longer is given up. */
  readonly timeoutMs: number;
}

/** Where an entry about a node stands. */
export interface EntryAbout {
  readonly log: string;
  readonly index: bigint;
  readonly atUs: bigint;
  readonly type: string;
}

/** A node with what is asked about it first. */
export interface NodeAnswer {
  readonly node: Standing;
  /** The first entry about it, the last that approved it, and the last that ended it (where it is ended). */
  readonly first: EntryAbout | undefined;
  readonly approved: EntryAbout | undefined;
  readonly ended: EntryAbout | undefined;
  readonly verdict: Verdict | undefined;
  readonly owner: Standing | undefined;
  readonly successor: Standing | undefined;
  /** Of a token: what it names, as far as `NAMES_MAX` of it. */
  readonly names: readonly Standing[];
  readonly above: EdgePage;
  readonly below: EdgePage;
}

export type Answered<T> = T & { readonly asOf: Positions };

/** Of what one token names, so much is told with it; the rest is among its edges. */
const NAMES_MAX = 1000;
/** Aliases of one person that are followed, at most. */
const ALIASES_MAX = 256;
const DIGEST = /^[0-9a-f]{64}$/i;

/** The key of a node: 32 hex digits. `id` of a principal: the pseudonym in hex. */
export const keyOf = (kind: NodeKind, issuer: string, id: string): string =>
  nodeKey(kind, issuer, Buffer.from(id, kind === 'principal' ? 'hex' : 'utf8')).toString('hex');

export class IdentityReader {
  constructor(private readonly options: IdentityReaderOptions) {}

  /**
   * A node as it is known now, or as entries up to `atUs` say; undefined where they name none of this name.
   * @param edges how many of each direction.
   * @throws KeelsonError `timeout`, `not_ready`, `database_unavailable`
   */
  node(
    kind: NodeKind,
    issuer: string,
    id: string,
    nowUs: bigint,
    atUs: bigint | undefined,
    edges: number,
  ): Promise<Answered<{ found: NodeAnswer | undefined }>> {
    return this.#snapshot(async (tx) => {
      const { schema } = this.options;
      const node = await this.#find(tx, kind, issuer, id, nowUs, atUs);
      if (node === undefined) return { found: undefined };
      const { key } = node;
      const people = [node.owner, node.successor].filter((one) => one !== null);
      const standings = await readStandings(tx, schema, people, nowUs, atUs);
      const about = (condition: string, order: 'asc' | 'desc'): Promise<EntryAbout | undefined> =>
        readAbout(tx, schema, key, atUs ?? END_OF_TIME, condition, order);
      return {
        found: {
          node,
          first: await about('true', 'asc'),
          approved: await about('h.phase = 2', 'desc'),
          verdict: await readVerdict(tx, schema, key, atUs ?? END_OF_TIME),
          ended: node.state === 'ended' ? await about('h.phase = 3', 'desc') : undefined,
          owner: node.owner === null ? undefined : standings.get(node.owner),
          successor: node.successor === null ? undefined : standings.get(node.successor),
          names: kind === 'token' ? await readNames(tx, schema, key, atUs ?? END_OF_TIME, nowUs) : [],
          above: await readEdges(tx, schema, key, 'above', nowUs, atUs, edges),
          below: await readEdges(tx, schema, key, 'below', nowUs, atUs, edges),
        },
      };
    });
  }

  /** A page of a node's edges; undefined where there is no such node. @throws as `node` */
  edges(
    kind: NodeKind,
    issuer: string,
    id: string,
    direction: EdgeDirection,
    nowUs: bigint,
    atUs: bigint | undefined,
    limit: number,
    begin?: EdgePlace,
  ): Promise<Answered<{ page: EdgePage | undefined }>> {
    return this.#snapshot(async (tx) => {
      const { schema } = this.options;
      const node = await this.#find(tx, kind, issuer, id, nowUs, atUs);
      return {
        page: node && (await readEdges(tx, schema, node.key, direction, nowUs, atUs, limit, begin)),
      };
    });
  }

  /** @throws as `node` */
  nodes(filter: NodeFilter, nowUs: bigint, limit: number, after?: string): Promise<Answered<ListPage>> {
    return this.#snapshot((tx) => listNodes(tx, this.options.schema, filter, nowUs, limit, after));
  }

  /** @throws as `node` */
  tokens(filter: TokenFilter, nowUs: bigint, limit: number, after?: string): Promise<Answered<ListPage>> {
    return this.#snapshot((tx) => listTokens(tx, this.options.schema, filter, nowUs, limit, after));
  }

  /** Nodes by their keys, as they stand now. @throws as `node` */
  async standings(keys: readonly string[], nowUs: bigint): Promise<ReadonlyMap<string, Standing>> {
    if (keys.length === 0) return new Map();
    const { found } = await this.#snapshot(async (tx) => ({
      found: await readStandings(tx, this.options.schema, keys, nowUs, undefined),
    }));
    return found;
  }

  /** The keys of everybody who is the same human as one of these (pseudonyms in hex), themselves included. @throws as `node` */
  async peopleOf(pseudonyms: readonly string[]): Promise<string[]> {
    const { keys } = await this.#snapshot(async (tx) => {
      const { rows } = await tx.query<{ key: string }>(
        `with recursive person as (
           select unnest($1::uuid[]) as key
           union
           select case when l.alias = p.key then l.principal else l.alias end
           from person p join ${this.options.schema}.link l on (l.alias = p.key or l.principal = p.key) and l.until_us is null
         ) select key from person limit ${ALIASES_MAX}`,
        [pseudonyms.map((pseudonym) => keyOf('principal', '', pseudonym))],
      );
      return { keys: rows.map(({ key }) => hexKey(key)) };
    });
    return keys;
  }

  /** The keys that a thing goes by where it may be known by several issuers: of `issuer`, or of all. @throws as `node` */
  async keysOf(kind: NodeKind, issuer: string | undefined, id: string): Promise<string[]> {
    if (issuer !== undefined) return [keyOf(kind, issuer, id)];
    const base = keyOf(kind, '', id);
    const { keys } = await this.#snapshot(async (tx) => {
      const { rows } = await tx.query<{ key: string }>(
        `select n.key from ${this.options.schema}.edge e join ${this.options.schema}.node n on n.key = e.child
         where e.parent = $1 and n.kind = $2 and n.id = $3 limit ${ALIASES_MAX}`,
        [base, kind, id],
      );
      return { keys: [base, ...rows.map(({ key }) => hexKey(key))] };
    });
    return keys;
  }

  /** By its name; a token by its digest, too. */
  async #find(
    tx: PoolClient,
    kind: NodeKind,
    issuer: string,
    id: string,
    nowUs: bigint,
    atUs: bigint | undefined,
  ): Promise<Standing | undefined> {
    const { schema } = this.options;
    const key = keyOf(kind, issuer, kind === 'token' && issuer === '' && DIGEST.test(id) ? id.toLowerCase() : id);
    const found = (await readStandings(tx, schema, [key], nowUs, atUs)).get(key);
    if (found !== undefined || kind !== 'token' || issuer !== '' || !DIGEST.test(id)) return found;
    const { rows } = await tx.query<{ key: string }>(
      `select key from ${schema}.token where digests @> array[$1] and digests <> '{}' order by key limit 1`,
      [id.toLowerCase()],
    );
    const keys = rows.map((row) => hexKey(row.key));
    return [...(await readStandings(tx, schema, keys, nowUs, atUs)).values()][0];
  }

  async #snapshot<T extends object>(work: (tx: PoolClient) => Promise<T>): Promise<Answered<T>> {
    const { database, schema, timeoutMs } = this.options;
    try {
      return await database.transaction(async (tx) => {
        // The locks come before the snapshot: a merge (staging.ts) puts new tables in the place of these.
        await tx.query(`set transaction isolation level repeatable read, read only;
          set local statement_timeout = ${Math.floor(timeoutMs)}; set local jit = off;
          lock table ${STAGED.map((table) => `${schema}.${table}`).join(', ')} in access share mode`);
        const asOf = (await readStagedFrom(tx, schema)) ?? (await readPositions(tx, 'identity'));
        return { ...(await work(tx)), asOf };
      });
    } catch (error) {
      if ((error as { code?: unknown }).code !== '42P01') throw error; // undefined_table
      throw new KeelsonError('not_ready', 'there is no identity projection yet', { retryAfterS: 1 });
    }
  }
}

/** The first or last entry about a node up to a time. */
async function readAbout(
  tx: PoolClient,
  schema: string,
  key: string,
  atUs: bigint,
  condition: string,
  order: 'asc' | 'desc',
): Promise<EntryAbout | undefined> {
  const { rows } = await tx.query<{ path: string; index: bigint; at_us: bigint; type: string }>(
    `select l.path, h.index, h.at_us, h.type from ${schema}.history h join keelson.log l on l.id = h.log
     where h.node = $1 and h.at_us <= $2 and ${condition} order by h.at_us ${order}, h.log ${order}, h.index ${order} limit 1`,
    [key, atUs],
  );
  const [row] = rows;
  return row && { log: row.path, index: row.index, atUs: row.at_us, type: row.type };
}

async function readNames(
  tx: PoolClient,
  schema: string,
  key: string,
  atUs: bigint,
  nowUs: bigint,
): Promise<Standing[]> {
  const { rows } = await tx.query<NodeRow>(
    `select ${NODE_COLUMNS} from ${schema}.edge e join ${schema}.node n on n.key = e.parent
     where e.child = $1 and e.names_us <= $2 order by e.parent limit ${NAMES_MAX}`,
    [key, atUs],
  );
  return rows.map((row) => standingOf(row, nowUs));
}
