/** `/v1/points`, `/v1/enrolments`: which deployments there are, what lets their processes in, and which have come. */
import type { FastifyContextConfig, FastifyRequest } from 'fastify';
import { Type, type Static } from 'typebox';
import { formatHex } from '../core/bytes.js';
import { formatTimestamp } from '../events/time.js';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { pageLimit, PageQuery } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { EnrolmentRow, Enrolments } from './enrolments.js';
import type { InstanceRow, Instances } from './instances.js';
import type { PointRow, Points } from './points.js';

export interface PointRoutesOptions {
  readonly points: Points;
  readonly enrolments: Enrolments;
  readonly instances: Instances;
  readonly cursors: Cursors;
}

const tags = ['points'];
const admin: FastifyContextConfig = { access: ['admin'] };
const reader: FastifyContextConfig = { access: ['read', 'admin'] };
const problems = { '4xx': Problem, '5xx': Problem };
const Time = Type.String({ description: 'RFC 3339, UTC' });
const PointName = Type.String({ minLength: 1, maxLength: 200, pattern: '^[\\w.:/@-]+$' });
const PointParams = Type.Object({ point: PointName });

const Point = Type.Object({
  point: Type.String(),
  enrolledAt: Time,
  retiredAt: Type.Optional(Time),
  quarantinedAt: Type.Optional(Type.String({ description: 'RFC 3339, UTC: it gets no leases since then' })),
  signalled: Type.Optional(Type.Boolean({ description: 'It has no guard: it can only be told of orders' })),
  instances: Type.Integer({ description: 'That are not retired' }),
  unfenced: Type.Integer({ description: 'Those of them of which a tool fails open' }),
});

const Enrolment = Type.Object({
  id: Type.String(),
  point: Type.String(),
  uses: Type.Integer({ description: 'How many processes may join with it' }),
  usesLeft: Type.Integer(),
  madeAt: Time,
  madeBy: Type.String({ description: 'Id of the API token that made it' }),
  expiresAt: Time,
  revokedAt: Type.Optional(Time),
});

const Instance = Type.Object({
  instance: Type.String(),
  joinedAt: Time,
  joinedBy: Type.Optional(
    Type.String({ description: '`enrolment/` and an id, a SPIFFE ID, or a cluster and a service account' }),
  ),
  retiredAt: Type.Optional(Time),
  failOpen: Type.Array(Type.String(), { description: 'Tools that no lease fences here' }),
});

export function registerPoints(http: Http, options: PointRoutesOptions): void {
  registerPointList(http, options);
  registerRetiring(http, options.points);
  registerQuarantine(http, options.points);
  registerEnrolments(http, options);
}

function registerPointList(http: Http, { points, enrolments, instances, cursors }: PointRoutesOptions): void {
  http.post(
    '/v1/points',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Enrol a point: a deployment that applies decisions',
        body: Type.Object(
          {
            point: PointName,
            signalled: Type.Optional(
              Type.Boolean({ description: 'It has no guard: it is told of orders by webhook, and nobody joins it' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: Type.Object({ point: Type.String() }), ...problems },
      },
    },
    async ({ body: { point, signalled } }, reply) => {
      await points.enrol(point, signalled);
      return reply.code(201).send({ point });
    },
  );
  http.get(
    '/v1/points',
    {
      config: reader,
      schema: {
        tags,
        summary: 'Points, by name',
        querystring: Type.Object(PageQuery, { additionalProperties: false }),
        response: { 200: Type.Object({ points: Type.Array(Point), next: Type.Optional(Type.String()) }), ...problems },
      },
    },
    async ({ query }) => {
      const limit = pageLimit(query);
      const [after = ''] = query.cursor === undefined ? [] : cursors.parse('points', query.cursor);
      const rows = await points.list(after, limit + 1);
      const page = rows.slice(0, limit);
      if (rows.length <= limit) return { points: page.map(viewPoint) };
      return { points: page.map(viewPoint), next: cursors.format('points', [page.at(-1)!.point]) };
    },
  );
  http.get(
    '/v1/points/:point',
    {
      config: reader,
      schema: {
        tags,
        summary: 'A point, and its enrolment tokens, newest first; never their text',
        params: PointParams,
        response: { 200: Type.Object({ ...Point.properties, enrolments: Type.Array(Enrolment) }), ...problems },
      },
    },
    async ({ params: { point } }) => ({
      ...viewPoint(await points.find(point)),
      enrolments: (await enrolments.of(point)).map(viewEnrolment),
    }),
  );
  http.get(
    '/v1/points/:point/instances',
    {
      config: reader,
      schema: {
        tags,
        summary: 'Instances of a point, in the order in which they joined',
        params: PointParams,
        querystring: Type.Object(PageQuery, { additionalProperties: false }),
        response: {
          200: Type.Object({ instances: Type.Array(Instance), next: Type.Optional(Type.String()) }),
          ...problems,
        },
      },
    },
    async ({ params: { point }, query }) => {
      const limit = pageLimit(query);
      const list = `points/${point}/instances`;
      await points.find(point);
      const [atUs = '-1', id = ''] = query.cursor === undefined ? [] : cursors.parse(list, query.cursor);
      const rows = await instances.of(point, { atUs: BigInt(atUs), id: Buffer.from(id, 'hex') }, limit + 1);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      if (rows.length <= limit || last === undefined) return { instances: page.map(viewInstance) };
      const next = cursors.format(list, [String(last.joinedAtUs), formatHex(last.id)]);
      return { instances: page.map(viewInstance), next };
    },
  );
}

function registerRetiring(http: Http, points: Points): void {
  http.delete(
    '/v1/points/:point',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Retire a point with all its instances, for good',
        params: PointParams,
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params: { point }, caller }, reply) => {
      await points.retire(point, undefined, askedBy(caller));
      return reply.code(204).send(null);
    },
  );
  http.delete(
    '/v1/points/:point/instances/:instance',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Retire an instance of a point, for good',
        params: Type.Object({ point: PointName, instance: Type.String({ pattern: '^[0-9a-f]{32}$' }) }),
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params: { point, instance }, caller }, reply) => {
      await points.retire(point, instance, askedBy(caller));
      return reply.code(204).send(null);
    },
  );
}

function registerQuarantine(http: Http, points: Points): void {
  const schema = {
    tags,
    params: PointParams,
    response: { 204: Type.Null(), ...problems },
  };
  http.put(
    '/v1/points/:point/quarantine',
    { config: admin, schema: { ...schema, summary: 'Give a point no leases, so that it refuses everything' } },
    async ({ params: { point }, caller }, reply) => {
      await points.quarantine(point, askedBy(caller));
      return reply.code(204).send(null);
    },
  );
  http.delete(
    '/v1/points/:point/quarantine',
    { config: admin, schema: { ...schema, summary: 'Give a point leases again' } },
    async ({ params: { point }, caller }, reply) => {
      await points.release(point, askedBy(caller));
      return reply.code(204).send(null);
    },
  );
}

const askedBy = ({ tokenId }: FastifyRequest['caller']): Record<string, string> => ({
  reason_code: 'asked',
  by_token: tokenId,
});

function registerEnrolments(http: Http, { enrolments }: PointRoutesOptions): void {
  http.post(
    '/v1/enrolments',
    {
      config: admin,
      schema: {
        tags,
        summary: 'A token with which processes of a point join; shown this once',
        body: Type.Object(
          {
            point: PointName,
            uses: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'How many processes may join with it' }),
            expiresInS: Type.Integer({ minimum: 1, maximum: 366 * 86_400 }),
          },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({ ...Enrolment.properties, token: Type.String({ description: 'kle_…' }) }),
          ...problems,
        },
      },
    },
    async ({ body, caller }, reply) => {
      const { token, row } = await enrolments.issue({ ...body, madeBy: caller.tokenId });
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...viewEnrolment(row), token });
    },
  );
  http.delete(
    '/v1/enrolments/:id',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Revoke an enrolment token: nobody joins with it any more; who has joined stays',
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params: { id } }, reply) => {
      await enrolments.revoke(id);
      return reply.code(204).send(null);
    },
  );
}

const viewPoint = (row: PointRow): Static<typeof Point> => ({
  point: row.point,
  enrolledAt: formatTimestamp(row.enrolledAtUs),
  ...(row.retiredAtUs === null ? {} : { retiredAt: formatTimestamp(row.retiredAtUs) }),
  ...(row.quarantinedAtUs === null ? {} : { quarantinedAt: formatTimestamp(row.quarantinedAtUs) }),
  ...(row.signalled ? { signalled: true } : {}),
  instances: Number(row.instances),
  unfenced: Number(row.unfenced),
});

const viewEnrolment = (row: EnrolmentRow): Static<typeof Enrolment> => ({
  id: row.id,
  point: row.point,
  uses: row.uses,
  usesLeft: row.usesLeft,
  madeAt: formatTimestamp(row.madeAtUs),
  madeBy: row.madeBy,
  expiresAt: formatTimestamp(row.expiresAtUs),
  ...(row.revokedAtUs === null ? {} : { revokedAt: formatTimestamp(row.revokedAtUs) }),
});

const viewInstance = (row: InstanceRow): Static<typeof Instance> => ({
  instance: formatHex(row.id),
  joinedAt: formatTimestamp(row.joinedAtUs),
  ...(row.joinedBy === null ? {} : { joinedBy: row.joinedBy }),
  ...(row.retiredAtUs === null ? {} : { retiredAt: formatTimestamp(row.retiredAtUs) }),
  failOpen: [...row.failOpen],
});
