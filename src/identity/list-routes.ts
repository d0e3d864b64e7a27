/** `GET /v1/identity/:type`: everything of one type, and the token inventory. */
import { Type } from 'typebox';
import type { Http } from '../http/http.js';
import { pageLimit } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { NodeFilter, TokenFilter } from './lists.js';
import { AsOf, NodeSummary, viewPositions } from './node-view.js';
import { ListQuery, parseDay, parseTime, requireFilters, TypeParams, type NodeType } from './query.js';
import { keyOf } from './reader.js';
import { config, tags, viewsFor, type IdentityRoutesOptions } from './route-options.js';

const List = Type.Object({ nodes: Type.Array(NodeSummary), asOf: AsOf, next: Type.Optional(Type.String()) });

export function registerList(http: Http, options: IdentityRoutesOptions): void {
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
