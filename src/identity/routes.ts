/** `GET /v1/identity/:type/:id` and `/edges`; the lists are in list-routes.ts. */
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp } from '../events/time.js';
import type { Caller } from '../http/caller.js';
import type { Http } from '../http/http.js';
import { pageLimit } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import { isEdgePlace, type EdgeDirection, type EdgePage, type EdgePlace } from './edge-page.js';
import { AsOf, Edges, NodeView, viewEntry, viewKeys, viewPositions, viewVerdict } from './node-view.js';
import { EdgesQuery, NodeParams, NodeQuery, parseAt, type NodeType } from './query.js';
import { registerList } from './list-routes.js';
import { keyOf, type NodeAnswer } from './reader.js';
import { config, isPersonal, tags, viewsFor, type IdentityRoutesOptions, type UsePlace } from './route-options.js';
import type { Standing } from './standing.js';
import { factsOf } from './token-facts.js';

/** Edges of each direction that come with a node. */
const EDGES_WITH_NODE = 50;

export function registerIdentity(http: Http, options: IdentityRoutesOptions): void {
  registerNode(http, options);
  registerEdges(http, options);
  registerList(http, options);
}

/** The id under which the graph knows what was asked for: of a person the pseudonym. */
const resolveId = async (
  { people }: IdentityRoutesOptions,
  type: NodeType,
  id: string,
  issuer: string | undefined,
): Promise<{ issuer: string; id: string }> =>
  type === 'principal' ? { issuer: '', id: await people.findOne('id', id, issuer) } : { issuer: issuer ?? '', id };

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
