/** `GET /v1/search` and `GET /v1/agents/:id/history`. */
import type { FastifyContextConfig, FastifyReply, FastifyRequest } from 'fastify';
import { Type, type Static } from 'typebox';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { whenGone } from '../http/when-gone.js';
import type { Clock } from '../platform/clock.js';
import { formatContinuation, parseContinuation } from './continuation.js';
import { EVERYTHING, requireBounded, type Filter } from './filter.js';
import { searchWaiting } from './follow.js';
import { findPerson, HitsQuery, parsePage, parseQuery, SearchQuery, type Persons } from './query.js';
import { search, type Continuation, type Hit, type Page, type SearchOptions } from './search.js';

/** What a hit looks like to who may see it; as JSON text, because numbers in an entry are exact and JSON's are not. */
export interface HitViews {
  /**
   * One JSON object for each hit, in order, with its position and its entry.
   * @param personal whether the caller may see persons and what is sealed.
   * @param proof whether with inclusion proofs.
   */
  viewHits(hits: readonly Hit[], options: { personal: boolean; proof: boolean }): Promise<readonly string[]>;
}

export interface SearchRoutesOptions extends SearchOptions {
  readonly persons: Persons;
  /** Every issuer that a producer is configured with. */
  readonly issuers: () => Promise<Iterable<string>>;
  readonly views: HitViews;
  readonly cursors: Cursors;
  readonly clock: Clock;
  /** `KEELSON_SEARCH_RANGE_DAYS` */
  readonly rangeDays: number;
}

const config: FastifyContextConfig = { access: ['read'] };
const tags = ['search'];

/** The events of an agent's life. */
const HISTORY_TYPES = ['agent.registered', 'agent.approved', 'agent.attested', 'agent.retired'];

const Hits = Type.Object({
  hits: Type.Array(Type.Unknown(), { description: 'Entries, each with its position' }),
  asOf: Type.Record(Type.String(), Type.Integer(), {
    description: 'By log: the answer is complete to this many of its entries',
  }),
  end: Type.Boolean({ description: 'Nothing more matches, as of these positions' }),
  next: Type.Optional(
    Type.String({
      description:
        'The next page: same query with this as `cursor`. With order=asc also at the end: what matches from then on',
    }),
  ),
});

const HistoryQuery = Type.Object(HitsQuery, { additionalProperties: false });
const AgentId = Type.Object({ id: Type.String({ minLength: 1, maxLength: 2048, description: 'Percent-encoded' }) });

export function registerSearch(http: Http, options: SearchRoutesOptions): void {
  http.get(
    '/v1/search',
    {
      config,
      schema: {
        tags,
        summary: 'Find entries',
        description:
          'Fast by themselves: event, agent, principal, tool, token, session. Other filters need one of these beside them, or a bounded ' +
          `range of time (at most ${options.rangeDays} days).`,
        querystring: SearchQuery,
        response: { 200: Hits, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const { filter, person, direction, limit, proof, waitMs } = parseQuery(query);
      const list = listName('/v1/search', query);
      const begin = readCursor(options.cursors, list, query.cursor);
      const asked = await findPerson(filter, person, options.persons, options.issuers);
      // A cursor was given out for filters that had passed.
      if (begin === undefined) requireBounded(asked, options.clock.nowUs(), options.rangeDays);
      const page =
        waitMs > 0
          ? await searchWaiting(options, asked, limit, begin, waitMs, whenGone(reply))
          : await search(options, asked, direction, limit, begin);
      return sendPage(options, request, reply, page, list, proof, direction === 'asc');
    },
  );
  http.get(
    '/v1/agents/:id/history',
    {
      config,
      schema: {
        tags,
        summary: 'Who registered, approved, attested and retired an agent, when and why; first entry first',
        params: AgentId,
        querystring: HistoryQuery,
        response: { 200: Hits, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { limit, proof } = parsePage(request.query);
      const list = listName(`/v1/agents/${encodeURIComponent(request.params.id)}/history`, request.query);
      const begin = readCursor(options.cursors, list, request.query.cursor);
      const page = await search(options, historyFilter(request.params.id), 'asc', limit, begin);
      return sendPage(options, request, reply, page, list, proof, false);
    },
  );
}

const historyFilter = (agent: string): Filter => ({
  ...EVERYTHING,
  names: [
    { kind: 'agent', texts: [agent] },
    { kind: 'type', texts: HISTORY_TYPES },
  ],
});

/** Parameters that shape a page, but not the list. */
const PAGE_ONLY = new Set(['cursor', 'limit', 'proof', 'waitMs']);

/** What a cursor belongs to: everything that shapes the list. */
function listName(path: string, query: Static<typeof SearchQuery>): string {
  const shape = Object.entries(query).filter(([name]) => !PAGE_ONLY.has(name));
  return `${path}?${JSON.stringify(shape.sort(([a], [b]) => (a < b ? -1 : 1)))}`;
}

const readCursor = (cursors: Cursors, list: string, text: string | undefined): Continuation | undefined =>
  text === undefined ? undefined : parseContinuation(cursors.parse(list, text));

/** @param follows whether the end has a next page: what comes later. */
async function sendPage(
  { views, cursors }: SearchRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  { hits, asOf, next }: Page,
  list: string,
  proof: boolean,
  follows: boolean,
): Promise<FastifyReply> {
  const personal = request.caller.scopes.has('read:personal');
  const texts = hits.length === 0 ? [] : await views.viewHits(hits, { personal, proof });
  const end = next?.after === undefined;
  const members = [
    `"hits":[${texts.join(',')}]`,
    `"asOf":{${asOf.map(({ path, size }) => `${JSON.stringify(path)}:${size}`).join(',')}}`,
    `"end":${end}`,
  ];
  if (next !== undefined && (follows || !end)) {
    members.push(`"next":${JSON.stringify(cursors.format(list, formatContinuation(next)))}`);
  }
  return reply
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .serializer((text: unknown) => text as string)
    .send(`{${members.join(',')}}`);
}
