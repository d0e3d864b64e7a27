/**
 * The edges of one node, page by page. They stand in several tables; each is read in the order of the other node's key, so that a page
 * of a node with a million edges costs what any page costs.
 */
import type { ClientBase } from 'pg';
import { ROLES, type Role } from './kinds.js';
import { hexKey, readStandings, type Standing } from './standing.js';

/** `above`: what the node hangs on; `below`: what hangs on it. */
export type EdgeDirection = 'above' | 'below';

/** `used`: above used below; `owns`, `succeeds`: above is the owner, or follows as owner; `alias`: two names of one person. */
export type Relation = Role | 'used' | 'owns' | 'succeeds' | 'alias';

export interface EdgeView {
  readonly node: Standing;
  /** Each with the time of the first entry that says so; null: as long as the registration that says it. */
  readonly relations: readonly { readonly as: Relation; readonly sinceUs: bigint | null }[];
}

/** After which edge a page begins: of which table, after which key. */
export interface EdgePlace {
  readonly section: number;
  readonly after: string;
}

export interface EdgePage {
  readonly edges: readonly EdgeView[];
  /** Undefined at the end. A page may hold fewer than asked for, and go on. */
  readonly next?: EdgePlace;
}

interface Raw {
  readonly key: string;
  readonly relations: EdgeView['relations'];
  /** Whether the edge held then; else it is passed over. */
  readonly holds: (other: Standing) => boolean;
}

/** What is asked of every section. */
interface Asked {
  readonly schema: string;
  readonly key: string;
  readonly atUs: bigint | undefined;
  readonly after: string;
  readonly limit: number;
}

type Section = (tx: ClientBase, asked: Asked) => Promise<Raw[]>;

const LEAST = '0'.repeat(32);
const always = (): boolean => true;

/** `own`, `other`: the columns of the node asked for, and of those at the other end. */
const roleEdges =
  (own: 'parent' | 'child', other: 'parent' | 'child'): Section =>
  async (tx, { schema, key, atUs, after, limit }) => {
    const { rows } = await tx.query<Record<string, string | bigint | null>>(
      `select ${other} as key, ${ROLES.map((role) => `${role}_us`).join(', ')} from ${schema}.edge
       where ${own} = $1 and ${other} > $2 order by ${other} limit ${limit}`,
      [key, after],
    );
    return rows.map((row) => {
      const relations = ROLES.flatMap((role) => {
        const sinceUs = row[`${role}_us`] as bigint | null;
        return sinceUs === null || (atUs !== undefined && sinceUs > atUs) ? [] : [{ as: role, sinceUs }];
      });
      return { key: row.key as string, relations, holds: () => relations.length > 0 };
    });
  };

const useEdges =
  (own: 'subject' | 'object', other: 'subject' | 'object'): Section =>
  async (tx, { schema, key, atUs, after, limit }) => {
    const { rows } = await tx.query<{ key: string; first_us: bigint }>(
      `select ${other} as key, first_us from ${schema}.use where ${own} = $1 and ${other} > $2 order by ${other} limit ${limit}`,
      [key, after],
    );
    return rows.map(({ key: found, first_us }) => ({
      key: found,
      relations: [{ as: 'used', sinceUs: first_us }],
      holds: () => atUs === undefined || first_us <= atUs,
    }));
  };

/** What a person owns, or would: registrations say so, each until the next one. */
const ownedEdges =
  (column: 'owner' | 'successor', as: Relation): Section =>
  async (tx, { schema, key, atUs, after, limit }) => {
    const { rows } = await tx.query<{ key: string }>(
      atUs === undefined
        ? `select key from ${schema}.node where ${column} = $1 and key > $2 order by key limit ${limit}`
        : `select distinct node as key from ${schema}.history where ${column} = $1 and node > $2 order by node limit ${limit}`,
      [key, after],
    );
    return rows.map((row) => ({
      key: row.key,
      relations: [{ as, sinceUs: null }],
      holds: (other) => other[column] === key,
    }));
  };

/** Who answers for a node. */
const ownerEdges =
  (column: 'owner' | 'successor', as: Relation): Section =>
  async (tx, { schema, key, atUs, after }) => {
    const own = (await readStandings(tx, schema, [key], 0n, atUs)).get(key);
    const found = own?.[column];
    if (!found || found <= after) return [];
    return [{ key: found, relations: [{ as, sinceUs: null }], holds: always }];
  };

const aliasEdges =
  (own: 'alias' | 'principal', other: 'alias' | 'principal'): Section =>
  async (tx, { schema, key, atUs, after, limit }) => {
    const { rows } = await tx.query<{ key: string; since_us: bigint }>(
      `select ${other} as key, min(at_us) as since_us from ${schema}.link
       where ${own} = $1 and ${other} > $2 and (${atUs === undefined ? 'until_us is null' : 'at_us <= $3 and (until_us is null or until_us > $3)'})
       group by ${other} order by ${other} limit ${limit}`,
      atUs === undefined ? [key, after] : [key, after, atUs],
    );
    return rows.map((row) => ({ key: row.key, relations: [{ as: 'alias', sinceUs: row.since_us }], holds: always }));
  };

const SECTIONS: Readonly<Record<EdgeDirection, readonly Section[]>> = {
  above: [
    ownerEdges('owner', 'owns'),
    ownerEdges('successor', 'succeeds'),
    aliasEdges('alias', 'principal'),
    roleEdges('child', 'parent'),
    useEdges('object', 'subject'),
  ],
  below: [
    ownedEdges('owner', 'owns'),
    ownedEdges('successor', 'succeeds'),
    aliasEdges('principal', 'alias'),
    roleEdges('parent', 'child'),
    useEdges('subject', 'object'),
  ],
};

export const isEdgePlace = (direction: EdgeDirection, { section }: EdgePlace): boolean =>
  section >= 0 && section < SECTIONS[direction].length;

/**
 * A page of a node's edges, in one direction.
 *
 * @param key 32 hex digits.
 * @param limit edges at most.
 */
export async function readEdges(
  tx: ClientBase,
  schema: string,
  key: string,
  direction: EdgeDirection,
  nowUs: bigint,
  atUs: bigint | undefined,
  limit: number,
  begin: EdgePlace = { section: 0, after: LEAST },
): Promise<EdgePage> {
  const edges: EdgeView[] = [];
  let { after } = begin;
  for (let section = begin.section; section < SECTIONS[direction].length; section++, after = LEAST) {
    const room = limit - edges.length;
    const found = await SECTIONS[direction][section]!(tx, { schema, key, atUs, after, limit: room + 1 });
    const page = found.slice(0, room).map((raw) => ({ ...raw, key: hexKey(raw.key) }));
    const others = await readStandings(
      tx,
      schema,
      page.map((raw) => raw.key),
      nowUs,
      atUs,
    );
    for (const raw of page) {
      const node = others.get(raw.key);
      if (node !== undefined && raw.holds(node)) edges.push({ node, relations: raw.relations });
    }
    if (found.length > room) return { edges, next: { section, after: page.at(-1)?.key ?? after } };
  }
  return { edges };
}
