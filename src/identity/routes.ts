/** `GET /v1/identity/:type`, `/:type/:id`, `/:type/:id/edges`. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp } from '../events/time.js';
import type { Caller } from '../http/caller.js';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { pageLimit } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { Clock } from '../platform/clock.js';
import type { TokenFacts, TypedKey } from '../protocol/token-keys.js';
import { isEdgePlace, type EdgeDirection, type EdgePage, type EdgePlace } from './edge-page.js';
import type { NodeFilter, TokenFilter } from './lists.js';
import {
  AsOf,
  Edges,
  NodeSummary,
  NodeView,
  NodeViews,
  viewEntry,
  viewKeys,
  viewPositions,
  viewVerdict,
} from './node-view.js';
import type { People } from './people.js';
import {
  EdgesQuery,
  ListQuery,
  NodeParams,
  NodeQuery,
  parseAt,
  parseDay,
  parseTime,
  requireFilters,
  TypeParams,
  type NodeType,
} from './query.js';
import { keyOf, type IdentityReader, type NodeAnswer } from './reader.js';
import type { Standing } from './standing.js';
import { factsOf } from './token-facts.js';

/** A decision that names something. */
export interface UsePlace {
  readonly path: string;
  readonly index: bigint;
  readonly appendedAtUs: bigint;
}

export interface IdentityRoutesOptions {
  readonly reader: IdentityReader;
  readonly people: People;
  /** The first (`asc`) or last decision up to a time that names this; undefined for what decisions are not searched by. */
  readonly uses: (
    kind: NodeType,
    id: string,
    order: 'asc' | 'desc',
    atUs: bigint | undefined,
  ) => Promise<UsePlace | undefined>;
  /** The keys of the revocation table for these facts, and whether any of them is revoked now. */
  readonly keysOf: (facts: TokenFacts) => readonly TypedKey[];
  readonly check: (facts: TokenFacts) => Promise<{ revoked: boolean; reason?: string; order?: string }>;
  readonly views: {
    viewHits(
      places: readonly { path: string; index: bigint }[],
      options: { personal: boolean; proof: boolean },
    ): Promise<readonly string[]>;
  };
  readonly cursors: Cursors;
  readonly clock: Clock;
}

const config: FastifyContextConfig = { access: ['read'] };
const tags = ['identity'];
/** Edges of each direction that come with a node. */
const EDGES_WITH_NODE = 50;

export function registerIdentity(http: Http, options: IdentityRoutesOptions): void {
  registerNode(http, options);
  registerEdges(http, options);
  registerList(http, options);
}

const isPersonal = (caller: Caller): boolean => caller.scopes.has('read:personal');

/** The id under which the graph knows what was asked for: of a person the pseudonym. */
const resolveId = async (
  { people }: IdentityRoutesOptions,
  type: NodeType,
  id: string,
  issuer: string | undefined,
): Promise<{ issuer: string; id: string }> =>
  type === 'principal' ? { issuer: '', id: await people.findOne('id', id, issuer) } : { issuer: issuer ?? '', id };

/** Views that name the persons among these nodes, where the caller may see them. */
async function viewsFor(
  { people }: IdentityRoutesOptions,
  caller: Caller,
  nodes: readonly Standing[],
): Promise<NodeViews> {
  const pseudonyms = nodes.filter(({ kind }) => kind === 'principal').map(({ id }) => id);
  return new NodeViews(isPersonal(caller) ? await people.identify(pseudonyms) : new Map());
}

const edgesList = (key: string, direction: EdgeDirection, atUs: bigint | undefined): string =>
  `/v1/identity/edges?${JSON.stringify([key, direction, atUs === undefined ? null : String(atUs)])}`;

function viewNext({ cursors }: IdentityRoutesOptions, list: string, next: EdgePlace | undefined): { next?: string } {
  return next === undefined ? {} : { next: cursors.format(list, [String(next.section), next.after]) };
}

function registerNode(http: Http, options: IdentityRoutesOptions): void {
  const { reader, clock } = options;
  http.get(
    '/v1/identity/:type/:id',
    {
      config,
      schema: {
        tags,
        summary:
          'Something in the identity graph, now or at a time past: who registered it, how it stands, what it hangs on',
        params: NodeParams,
        querystring: NodeQuery,
        response: { 200: Type.Unsafe<string>(NodeView), '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ params, query, caller }, reply) => {
      const type = params.type;
      const nowUs = clock.nowUs();
      const atUs = parseAt(query.at, nowUs);
      const name = await resolveId(options, type, params.id as string, query.issuer);
      const { found, asOf } = await reader.node(type, name.issuer, name.id, nowUs, atUs, EDGES_WITH_NODE);
      if (found === undefined) throw new KeelsonError('not_found', 'no entry names this');
      const entries = [found.first, found.approved, found.ended].filter((one) => one !== undefined);
      const distinct = new Map(entries.map((one) => [`${one.log}/${one.index}`, { path: one.log, index: one.index }]));
      const texts = await options.views.viewHits([...distinct.values()], {
        personal: isPersonal(caller),
        proof: false,
      });
      const view = await viewNode(options, caller, found, nowUs, atUs);
      // Entries are JSON text already: numbers in them are exact, and JSON's are not.
      const members = JSON.stringify({ ...view, asOf: viewPositions(asOf) }).slice(0, -1);
      return reply
        .header('cache-control', 'no-store')
        .type('application/json; charset=utf-8')
        .serializer((text: unknown) => text as string)
        .send(`${members},"entries":[${texts.join(',')}]}`);
    },
  );
}

async function viewNode(
  options: IdentityRoutesOptions,
  caller: Caller,
  found: NodeAnswer,
  nowUs: bigint,
  atUs: bigint | undefined,
): Promise<Omit<Static<typeof NodeView>, 'asOf' | 'entries'>> {
  const { node, owner, successor, above, below } = found;
  const named = [node, owner, successor, ...[above, below].flatMap(({ edges }) => edges.map((edge) => edge.node))];
  const views = await viewsFor(
    options,
    caller,
    named.filter((one) => one !== undefined),
  );
  const viewEdges = (page: EdgePage, direction: EdgeDirection): Static<typeof Edges> => ({
    edges: views.edges(page),
    ...viewNext(options, edgesList(node.key, direction, atUs), page.next),
  });
  return {
    ...views.summary(node, owner),
    ...(successor === undefined ? {} : { successor: views.ref(successor) }),
    ...(atUs === undefined ? {} : { at: formatTimestamp(atUs) }),
    ...(found.first === undefined ? {} : { first: viewEntry(found.first) }),
    ...(found.approved === undefined ? {} : { approved: viewEntry(found.approved) }),
    ...(found.ended === undefined ? {} : { ended: viewEntry(found.ended) }),
    ...(found.verdict === undefined ? {} : { verification: viewVerdict(found.verdict) }),
    ...(await viewUses(options, node, atUs)),
    ...(atUs === undefined ? await viewRevocation(options, found, nowUs) : {}),
    above: viewEdges(above, 'above'),
    below: viewEdges(below, 'below'),
  };
}

async function viewUses(
  { uses }: IdentityRoutesOptions,
  { kind, id }: Standing,
  atUs: bigint | undefined,
): Promise<Pick<Static<typeof NodeView>, 'firstUse' | 'lastUse'>> {
  const [first, last] = await Promise.all(
    (['asc', 'desc'] as const).map((order) => uses(kind as NodeType, id, order, atUs)),
  );
  const view = ({ path, index, appendedAtUs }: UsePlace) => ({
    log: path,
    index: Number(index),
    appendedAt: formatTimestamp(appendedAtUs),
  });
  return {
    ...(first === undefined ? {} : { firstUse: view(first) }),
    ...(last === undefined ? {} : { lastUse: view(last) }),
  };
}

/** Keys are derived from who a person is; they tell it to nobody who lacks the guard key. */
async function viewRevocation(
  { people, keysOf, check }: IdentityRoutesOptions,
  found: NodeAnswer,
  nowUs: bigint,
): Promise<Pick<Static<typeof NodeView>, 'keys' | 'revoked'>> {
  const { node, names } = found;
  const persons = [node, ...names].filter(({ kind }) => kind === 'principal').map(({ id }) => id);
  const facts = factsOf(found, await people.identify(persons), nowUs);
  if (facts.length === 0) return {};
  const verdicts = await Promise.all(facts.map((one) => check(one)));
  const { revoked, reason, order } = verdicts.find((one) => one.revoked) ?? verdicts[0]!;
  return {
    ...(node.kind === 'token' ? { keys: viewKeys(facts.flatMap((one) => keysOf(one))) } : {}),
    revoked: {
      revoked,
      ...(reason === undefined ? {} : { reason }),
      ...(order === undefined ? {} : { order, link: `/v1/revocations/${encodeURIComponent(order)}` }),
    },
  };
}

function registerEdges(http: Http, options: IdentityRoutesOptions): void {
  const { reader, clock, cursors } = options;
  http.get(
    '/v1/identity/:type/:id/edges',
    {
      config,
      schema: {
        tags,
        summary:
          'What something hangs on, or what hangs on it, page by page; a page may hold fewer than asked for, and go on',
        params: NodeParams,
        querystring: EdgesQuery,
        response: {
          200: Type.Object({ ...Edges.properties, asOf: AsOf }),
          '4xx': Problem,
          '5xx': Problem,
        },
      },
    },
    async ({ params, query, caller }, reply) => {
      const type = params.type;
      const nowUs = clock.nowUs();
      const atUs = parseAt(query.at, nowUs);
      const direction = query.direction ?? 'below';
      const name = await resolveId(options, type, params.id as string, query.issuer);
      const list = edgesList(keyOf(type, name.issuer, name.id), direction, atUs);
      const begin = query.cursor === undefined ? undefined : readPlace(cursors.parse(list, query.cursor), direction);
      const { page, asOf } = await reader.edges(
        type,
        name.issuer,
        name.id,
        direction,
        nowUs,
        atUs,
        pageLimit(query),
        begin,
      );
      if (page === undefined) throw new KeelsonError('not_found', 'no entry names this');
      const views = await viewsFor(
        options,
        caller,
        page.edges.map(({ node }) => node),
      );
      void reply.header('cache-control', 'no-store');
      return { edges: views.edges(page), ...viewNext(options, list, page.next), asOf: viewPositions(asOf) };
    },
  );
}

function readPlace([section, after]: string[], direction: EdgeDirection): EdgePlace {
  const place = { section: Number(section), after: after! };
  if (!isEdgePlace(direction, place)) throw new Error('a cursor of ours that leads nowhere');
  return place;
}

const List = Type.Object({ nodes: Type.Array(NodeSummary), asOf: AsOf, next: Type.Optional(Type.String()) });

function registerList(http: Http, options: IdentityRoutesOptions): void {
  const { reader, clock, cursors } = options;
  http.get(
    '/v1/identity/:type',
    {
      config,
      schema: {
        tags,
        summary: 'Everything of one type that passes the filters; a page may hold fewer than asked for, and go on',
        params: TypeParams,
        querystring: ListQuery,
        response: { 200: List, '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ params, query, caller }, reply) => {
      const type = params.type;
      requireFilters(type, query);
      const nowUs = clock.nowUs();
      const limit = pageLimit(query);
      const list = `/v1/identity/${type}?${JSON.stringify(shapeOf(query))}`;
      const after = query.cursor === undefined ? undefined : cursors.parse(list, query.cursor)[0]!;
      const { found, next, asOf } =
        type === 'token'
          ? await reader.tokens(await tokenFilter(options, query), nowUs, limit, after)
          : await reader.nodes(await nodeFilter(options, type, query), nowUs, limit, after);
      const owners = await reader.standings(
        found.flatMap(({ owner }) => owner ?? []),
        nowUs,
      );
      const views = await viewsFor(options, caller, [...found, ...owners.values()]);
      void reply.header('cache-control', 'no-store');
      return {
        nodes: found.map((node) => views.summary(node, node.owner === null ? undefined : owners.get(node.owner))),
        asOf: viewPositions(asOf),
        ...(next === undefined ? {} : { next: cursors.format(list, [next]) }),
      };
    },
  );
}

/** What a cursor belongs to: everything that shapes the list, and not the page. */
const shapeOf = (query: ListQuery): [string, unknown][] =>
  Object.entries(query)
    .filter(([name]) => name !== 'cursor' && name !== 'limit')
    .sort(([a], [b]) => (a < b ? -1 : 1));

async function nodeFilter(
  { people, reader }: IdentityRoutesOptions,
  kind: Exclude<NodeType, 'token'>,
  query: ListQuery,
): Promise<NodeFilter> {
  const { owner, ownerIssuer, environment, issuer, riskLevel, state } = query;
  return {
    kind,
    issuer,
    state: state as NodeFilter['state'],
    riskLevel,
    owners: owner === undefined ? undefined : await reader.peopleOf(await people.find('owner', owner, ownerIssuer)),
    environment: environment === undefined ? undefined : keyOf('environment', '', environment),
    registeredFromUs: parseTime('registeredFrom', query.registeredFrom),
    registeredToUs: parseTime('registeredTo', query.registeredTo),
    ...sharedFilter(query),
  };
}

async function tokenFilter({ people, reader }: IdentityRoutesOptions, query: ListQuery): Promise<TokenFilter> {
  const { principal, principalIssuer, issuer, state, accepted } = query;
  const above: Promise<string[]>[] = [];
  for (const kind of ['client', 'session', 'grant'] as const) {
    const id = query[kind];
    if (id !== undefined) above.push(reader.keysOf(kind, issuer, id));
  }
  for (const kind of ['delegation', 'agent', 'point'] as const) {
    const id = query[kind];
    if (id !== undefined) above.push(Promise.resolve([keyOf(kind, '', id)]));
  }
  if (principal !== undefined) {
    above.push(people.find('principal', principal, principalIssuer).then((found) => reader.peopleOf(found)));
  }
  return {
    issuer,
    state: state as TokenFilter['state'],
    accepted: accepted === 'any' ? undefined : accepted !== 'false',
    above: await Promise.all(above),
    ...sharedFilter(query),
  };
}

const sharedFilter = ({ expiresBefore, unusedSince }: ListQuery) => ({
  expiresByUs: parseTime('expiresBefore', expiresBefore),
  unusedSinceDay: parseDay('unusedSince', unusedSince),
});
