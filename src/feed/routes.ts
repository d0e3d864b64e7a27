/** `/v1/feed` for instances: all that the socket does, too, by plain GET and POST. docs/feed.md */
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { parseInteger } from '../http/paging.js';
import { whenGone } from '../http/when-gone.js';
import { MAX_FAIL_OPEN_BYTES, parseFailOpen } from '../protocol/fail-open.js';
import { LEASE_REQUEST_BYTES, parseLeaseRequest, type LeaseRequest } from '../protocol/grant.js';
import { ACK_BYTES } from '../protocol/ack.js';
import type { Acks } from './acks.js';
import { signedRoute, type InstanceAuth } from './caller.js';
import type { Feed } from './feed.js';
import type { FeedKeys } from './keys.js';
import type { Instance } from './instances.js';
import { checkSignedBy } from './signatures.js';
import type { FeedMetrics } from './metrics.js';
import type { Points } from './points.js';
import { Polls } from './polls.js';
import { Snapshots } from './snapshots.js';
import { Turns } from './turns.js';

export interface FeedRoutesOptions extends InstanceAuth {
  readonly feed: Feed;
  readonly acks: Acks;
  readonly keys: FeedKeys;
  readonly metrics: FeedMetrics;
  readonly points: Pick<Points, 'onOut'>;
}

export const FEED_TYPE = 'application/vnd.keelson.feed';
const MAX_WAIT_S = 55;
const LEASE_WAIT_MS = 10_000;
/** Requests of an instance that wait at once: it needs one, and one that it gave up may still be here. */
const MAX_WAITING = 4;
/** Snapshots that an instance reads at once: they hold tables, of which few are kept for all. */
const MAX_FETCHES = 2;
/** What one costs of an instance's budget (limits.ts): it is as large as the table. */
const SNAPSHOT_COST = 10;
/** Questions to the database of an instance at once. */
const MAX_LOOKUPS = 2;
const MAX_SEQ = 999_999_999_999_999;
const MAX_KEYS = 32;
const KEY_LIST = `^[0-9a-f]{32}(,[0-9a-f]{32}){0,${MAX_KEYS - 1}}$`;

const tags = ['feed'];

export function registerFeed(http: Http, options: FeedRoutesOptions): void {
  http.decorateRequest('instance', undefined as unknown as Instance);
  registerReads(http, options);
  registerWrites(http, options);
}

function registerReads(http: Http, options: FeedRoutesOptions): void {
  const { feed, keys, metrics } = options;
  const signed = signedRoute(options);
  const snapshots = new Snapshots({ core: () => feed.core, metrics });
  const fetches = new Turns(MAX_FETCHES);
  const lookups = new Turns(MAX_LOOKUPS);
  const polls = new Polls();
  const stop = options.points.onOut(polls.end);
  http.addHook('preClose', async () => stop());
  http.get(
    '/v1/feed/keys',
    { ...signed, schema: { tags, summary: 'The feed keys in force, signed by the root' } },
    async (_request, reply) => sendBytes(reply, keys.keySet),
  );
  http.get(
    '/v1/feed/snapshot',
    {
      ...signedRoute(options, SNAPSHOT_COST),
      schema: {
        tags,
        summary: 'The whole table, with its signed head',
        querystring: Type.Object(
          { from: Type.Optional(Type.String({ maxLength: 16, description: 'the table may be as old as this seq' })) },
          { additionalProperties: false },
        ),
      },
    },
    async (request, reply) => {
      const { instance } = request;
      keys.requireInForce();
      const { from: text } = request.query;
      const from = text === undefined ? undefined : parseInteger('from', text, 0, MAX_SEQ);
      const gone = whenGone(reply);
      const end = fetches.begin(instance);
      const snapshot = await snapshots.take(from, gone).catch((error: unknown) => {
        end();
        throw error;
      });
      reply.raw.once('close', end);
      const isPlain = !takesGzip(request.headers['accept-encoding']);
      void reply.header('vary', 'accept-encoding').header('cache-control', 'no-store').type(FEED_TYPE);
      if (!isPlain) void reply.header('content-encoding', 'gzip');
      gone.addEventListener('abort', () => reply.raw.destroy());
      return reply.send(snapshot.read(reply.raw, isPlain));
    },
  );
  http.get(
    '/v1/feed/changes',
    {
      ...signed,
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
      const { instance } = request;
      keys.requireInForce();
      const { from: text, waitS = '0' } = request.query;
      const from = parseInteger('from', text, 0, MAX_SEQ);
      const waitMs = parseInteger('waitS', waitS, 0, MAX_WAIT_S) * 1000;
      await polls.take(instance, whenGone(reply), (signal) => feed.changed(from, waitMs, signal));
      const frame = feed.core.frameFrom(from);
      // 410 (RFC 9110 §15.5.11): these changes are not told any more.
      if (frame === undefined) throw new KeelsonError('erased', 'these changes are not kept: fetch the snapshot');
      return sendBytes(reply, frame);
    },
  );
  http.get(
    '/v1/feed/orders',
    {
      ...signed,
      schema: {
        tags,
        summary: 'Which orders hold these keys now: what a guard tells with a refusal',
        querystring: Type.Object(
          { keys: Type.String({ pattern: KEY_LIST, description: `1 to ${MAX_KEYS} keys in hex, parted by commas` }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ orders: Type.Record(Type.String(), Type.Array(Type.String())) }) },
      },
    },
    async ({ instance, query }, reply) => {
      const orders = await lookups.take(instance, () => feed.ordersOf(query.keys.split(',')));
      void reply.header('cache-control', 'no-store');
      return { orders: Object.fromEntries(orders) };
    },
  );
}

function registerWrites(http: Http, options: FeedRoutesOptions): void {
  const { feed, keys, acks, realm, instances } = options;
  const signed = signedRoute(options);
  const leases = new Turns(MAX_WAITING);
  /** One statement after the other: what is not written yet would not be seen by the next. */
  const statements = new Turns(1);
  void http.register(async (scope: Http) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      FEED_TYPE,
      { parseAs: 'buffer', bodyLimit: MAX_FAIL_OPEN_BYTES },
      (_request, body, done) => done(null, body),
    );
    scope.post(
      '/v1/feed/lease',
      { ...signed, schema: { tags, summary: 'Ask for time: the grant for a nonce' } },
      async (request, reply) => {
        const { instance } = request;
        requireService(instance);
        keys.requireInForce();
        const bytes = readBody(request.body, LEASE_REQUEST_BYTES);
        const asked = await readLeaseRequest(realm, instance, bytes);
        const grant = await leases.take(instance, () =>
          feed.lease(asked, AbortSignal.any([whenGone(reply), AbortSignal.timeout(LEASE_WAIT_MS)])),
        );
        if (grant === undefined) throw new KeelsonError('not_ready', 'nobody can say now that the table is the newest');
        // It has waited: who was taken out meanwhile gets nothing any more.
        requireService(await instances.find(instance.id));
        return sendBytes(reply, grant);
      },
    );
    scope.post(
      '/v1/feed/acks',
      { ...signed, schema: { tags, summary: 'Attest what is enforced' } },
      async (request, reply) => {
        const { instance } = request;
        await acks.take(feed.core, instance, readBody(request.body, ACK_BYTES));
        return reply.code(202).send();
      },
    );
    scope.post(
      '/v1/feed/fail-open',
      { ...signed, schema: { tags, summary: 'Say which tools fail open here: an entry' } },
      async (request, reply) => {
        const { instance } = request;
        const bytes = readBody(request.body);
        const statement = parseFailOpen(bytes);
        if (!instance.id.equals(statement.instance)) throw new KeelsonError('forbidden', 'of another instance');
        await checkSignedBy(instance, realm, 'fail-open', bytes);
        await statements.take(instance, () => instances.declare(instance, statement));
        return reply.code(204).send();
      },
    );
  });
}

/** The request in a message, if it is this instance's. @throws KeelsonError `malformed_message`, `forbidden`, `bad_signature` */
export async function readLeaseRequest(
  realm: InstanceAuth['realm'],
  instance: Instance,
  bytes: Uint8Array,
): Promise<LeaseRequest> {
  const request = parseLeaseRequest(bytes);
  if (!instance.id.equals(request.instance)) throw new KeelsonError('forbidden', 'a request of another instance');
  await checkSignedBy(instance, realm, 'lease-request', bytes);
  return request;
}

function requireService({ quarantined }: Instance): void {
  if (quarantined) throw new KeelsonError('forbidden', 'this point is in quarantine: it gets no lease');
}

function readBody(body: unknown, length?: number): Uint8Array {
  if (!Buffer.isBuffer(body) || (length !== undefined && body.length !== length)) {
    throw new KeelsonError('malformed_message', `expected ${length ?? 'some'} bytes of ${FEED_TYPE}`);
  }
  return body;
}

const takesGzip = (accepted: string | string[] | undefined): boolean =>
  /(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[\d.]+\s*)?(?:,|$)/i.test(String(accepted ?? ''));

const sendBytes = (reply: FastifyReply, bytes: Uint8Array): FastifyReply =>
  reply
    .header('cache-control', 'no-store')
    .type(FEED_TYPE)
    .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
