/** `/v1/points` for administrators, `/v1/feed` for instances: all that the socket does, too, by plain GET and POST. docs/feed.md */
import type { FastifyContextConfig, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { formatBase64, formatHex, parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { parseInteger } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import { whenGone } from '../http/when-gone.js';
import { checkJoin } from '../protocol/join.js';
import { checkLeaseRequest, LEASE_REQUEST_BYTES, parseLeaseRequest } from '../protocol/grant.js';
import { ACK_BYTES } from '../protocol/ack.js';
import type { Acks } from './acks.js';
import { authenticateInstance, type InstanceAuth } from './caller.js';
import type { Feed } from './feed.js';
import type { FeedKeys } from './keys.js';
import type { Instance } from './points.js';

export interface FeedRoutesOptions extends InstanceAuth {
  readonly feed: Feed;
  readonly acks: Acks;
  readonly keys: FeedKeys;
  readonly guardKey: Uint8Array;
  readonly generation: number;
}

export const FEED_TYPE = 'application/vnd.keelson.feed';
const MAX_WAIT_S = 55;
const LEASE_WAIT_MS = 10_000;

const tags = ['feed'];
const admin: FastifyContextConfig = { access: ['admin'] };
/** Instances sign their requests: see caller.ts. */
const signed: FastifyContextConfig = { access: 'own' };
const PointName = Type.String({ minLength: 1, maxLength: 200, pattern: '^[\\w.:/@-]+$' });

export function registerPoints(http: Http, { points }: FeedRoutesOptions): void {
  http.post(
    '/v1/points',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Enrol a point: a deployment that applies decisions',
        body: Type.Object({ point: PointName }, { additionalProperties: false }),
        response: { 201: Type.Object({ point: Type.String() }), '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ body: { point } }, reply) => {
      await points.enrol(point);
      return reply.code(201).send({ point });
    },
  );
  http.delete(
    '/v1/points/:point',
    {
      config: admin,
      schema: {
        tags,
        summary: 'Retire a point with all its instances, for good',
        params: Type.Object({ point: PointName }),
        response: { 204: Type.Null(), '4xx': Problem, '5xx': Problem },
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
        response: { 204: Type.Null(), '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ params: { point, instance }, caller }, reply) => {
      await points.retire(point, instance, askedBy(caller));
      return reply.code(204).send(null);
    },
  );
  registerQuarantine(http, points);
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
          201: Type.Object({ token: Type.String({ description: 'kle_…' }) }),
          '4xx': Problem,
          '5xx': Problem,
        },
      },
    },
    async ({ body, caller }, reply) => {
      const token = await points.issueEnrolment({ ...body, madeBy: caller.tokenId });
      return reply.code(201).header('cache-control', 'no-store').send({ token });
    },
  );
}

function registerQuarantine(http: Http, points: FeedRoutesOptions['points']): void {
  const schema = {
    tags,
    params: Type.Object({ point: PointName }),
    response: { 204: Type.Null(), '4xx': Problem, '5xx': Problem },
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

export function registerFeed(http: Http, options: FeedRoutesOptions): void {
  registerJoin(http, options);
  registerReads(http, options);
  registerWrites(http, options);
}

function registerJoin(http: Http, { points, realm, keys, guardKey, generation }: FeedRoutesOptions): void {
  http.post(
    '/v1/feed/join',
    {
      config: signed,
      schema: {
        tags,
        summary: 'Join as an instance of a point, with a key of its own',
        body: Type.Object(
          {
            token: Type.String({ maxLength: 200, description: 'Of an enrolment' }),
            publicKey: Type.String({ maxLength: 44, description: 'Ed25519, 32 bytes, base64' }),
            signature: Type.String({ maxLength: 88, description: 'Shows that the key is held: docs/feed.md' }),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            instance: Type.String(),
            point: Type.String(),
            ledger: Type.String(),
            generation: Type.Integer(),
            guardKey: Type.String({ description: 'Secret' }),
            rootKey: Type.String(),
            keySet: Type.String(),
          }),
          '4xx': Problem,
          '5xx': Problem,
        },
      },
    },
    async ({ body }, reply) => {
      const publicKey = parseBase64(body.publicKey);
      const signature = parseBase64(body.signature);
      if (publicKey?.length !== 32)
        throw new KeelsonError('malformed_key', 'an Ed25519 key has 32 bytes', { pointer: '/publicKey' });
      checkJoin(realm.verifier, body.token, publicKey, signature ?? new Uint8Array(0));
      const instance = await points.join(body.token, publicKey);
      void reply.header('cache-control', 'no-store');
      return {
        instance: formatHex(instance.id),
        point: instance.point,
        ledger: realm.ledger,
        generation,
        guardKey: formatBase64(guardKey),
        rootKey: formatBase64(keys.rootKey),
        keySet: formatBase64(keys.keySet),
      };
    },
  );
}

function registerReads(http: Http, options: FeedRoutesOptions): void {
  const { feed, keys } = options;
  http.get(
    '/v1/feed/keys',
    { config: signed, schema: { tags, summary: 'The feed keys in force, signed by the root' } },
    async (request, reply) => {
      await authenticateInstance(options, request);
      return sendBytes(reply, keys.keySet);
    },
  );
  http.get(
    '/v1/feed/snapshot',
    { config: signed, schema: { tags, summary: 'The whole table, with its signed head' } },
    async (request, reply) => {
      await authenticateInstance(options, request);
      return sendBytes(reply, feed.core.snapshot());
    },
  );
  http.get(
    '/v1/feed/changes',
    {
      config: signed,
      schema: {
        tags,
        summary: 'What follows on a seq, as one frame; waits where there is nothing yet',
        querystring: Type.Object(
          {
            from: Type.String({ maxLength: 16 }),
            waitS: Type.Optional(Type.String({ maxLength: 2, description: `0 to ${MAX_WAIT_S}; 0 where absent` })),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request, reply) => {
      await authenticateInstance(options, request);
      const { from: text, waitS = '0' } = request.query;
      const from = parseInteger('from', text, 0, 999_999_999_999_999);
      await feed.changed(from, parseInteger('waitS', waitS, 0, MAX_WAIT_S) * 1000, whenGone(reply));
      const frame = feed.core.frameFrom(from);
      // 410 (RFC 9110 §15.5.11): these changes are not told any more.
      if (frame === undefined) throw new KeelsonError('erased', 'these changes are not kept: fetch the snapshot');
      return sendBytes(reply, frame);
    },
  );
}

function registerWrites(http: Http, options: FeedRoutesOptions): void {
  const { feed, acks, realm } = options;
  void http.register(async (scope: Http) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(FEED_TYPE, { parseAs: 'buffer', bodyLimit: 4096 }, (_request, body, done) =>
      done(null, body),
    );
    scope.post(
      '/v1/feed/lease',
      { config: signed, schema: { tags, summary: 'Ask for time: the grant for a nonce' } },
      async (request, reply) => {
        const instance = await authenticateInstance(options, request);
        if (instance.quarantined) throw new KeelsonError('forbidden', 'this point is in quarantine: it gets no lease');
        const bytes = readBody(request.body, LEASE_REQUEST_BYTES);
        const grant = await feed.lease(
          readLeaseRequest(realm, instance, bytes),
          AbortSignal.any([whenGone(reply), AbortSignal.timeout(LEASE_WAIT_MS)]),
        );
        if (grant === undefined) throw new KeelsonError('not_ready', 'nobody can say now that the table is the newest');
        return sendBytes(reply, grant);
      },
    );
    scope.post(
      '/v1/feed/acks',
      { config: signed, schema: { tags, summary: 'Attest what is enforced' } },
      async (request, reply) => {
        const instance = await authenticateInstance(options, request);
        acks.take(feed.core, instance, readBody(request.body, ACK_BYTES));
        return reply.code(202).send();
      },
    );
  });
}

/** The request in a message, if it is this instance's. @throws KeelsonError `malformed_message`, `forbidden`, `bad_signature` */
export function readLeaseRequest(
  realm: InstanceAuth['realm'],
  instance: Instance,
  bytes: Uint8Array,
): ReturnType<typeof parseLeaseRequest> {
  const request = parseLeaseRequest(bytes);
  if (!instance.id.equals(request.instance)) throw new KeelsonError('forbidden', 'a request of another instance');
  checkLeaseRequest(realm, instance.publicKey, bytes);
  return request;
}

function readBody(body: unknown, length: number): Uint8Array {
  if (!Buffer.isBuffer(body) || body.length !== length) {
    throw new KeelsonError('malformed_message', `expected ${length} bytes of ${FEED_TYPE}`);
  }
  return body;
}

const sendBytes = (reply: FastifyReply, bytes: Uint8Array): FastifyReply =>
  reply
    .header('cache-control', 'no-store')
    .type(FEED_TYPE)
    .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
