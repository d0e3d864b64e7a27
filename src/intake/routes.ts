/** `POST /v1/decisions`, `/v1/events`, `/v1/opa/logs`. Bodies are read here, not by the framework: see upload.ts. */
import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import { Type, type Static } from 'typebox';
import type { Access } from '../access/access.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { formatProblem, Problem, PROBLEM_TYPE, statusOf } from '../http/problem.js';
import { countQuarantined, formatAccepted, OpaAnswer, UploadAnswer } from './answer.js';
import { checkId } from './identity.js';
import type { Accepted, AcceptOptions, Intake } from './intake.js';
import { native } from './native.js';
import { openOpa } from './opa.js';
import { parsePreferWait } from './prefer.js';
import type { Sender } from './sender.js';
import type { IntakeSettings } from './settings.js';
import { readUpload, type Upload } from './upload.js';

export interface IntakeRoutesOptions {
  readonly intake: Intake;
  readonly access: Access;
  readonly settings: IntakeSettings;
}

const problems = {
  400: Problem,
  401: Problem,
  403: Problem,
  413: Problem,
  415: Problem,
  503: Problem,
};
const headers = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'Id for an event without `id`; in an array `<key>/<place>`',
    }),
  ),
  prefer: Type.Optional(
    Type.String({ description: '`wait=<seconds>` answers when the ledger has the events (RFC 7240)' }),
  ),
});
const tags = ['intake'];
const Event = Type.Object({}, { additionalProperties: true, description: 'See docs/events.md' });
const Body = Type.Union([Event, Type.Array(Event)]);

export async function registerIntake(http: Http, options: IntakeRoutesOptions): Promise<void> {
  await http.register(async (scope: Http) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', (_request, payload, done) => done(null, payload));
    // The body is a stream here; its schema is for the description alone.
    scope.setValidatorCompiler(() => () => true);
    registerNative(scope, options);
    registerOpa(scope, options);
  });
}

function registerNative(http: Http, options: IntakeRoutesOptions): void {
  http.post(
    '/v1/decisions',
    {
      config: { access: ['publish:decisions'] },
      schema: {
        tags,
        summary: 'Publish one decision, or an array of them',
        headers,
        body: Body,
        response: { 200: UploadAnswer, ...problems },
      },
    },
    (request, reply) =>
      receive(request, reply, options, { defaultType: 'decision.made', topics: ['decisions'] as const }),
  );

  http.post(
    '/v1/events',
    {
      config: { access: ['publish:decisions', 'publish:lifecycle'] },
      schema: {
        tags,
        summary: 'Publish one event of any type, or an array of them',
        headers,
        body: Body,
        response: { 200: UploadAnswer, ...problems },
      },
    },
    (request, reply) => receive(request, reply, options, {}),
  );
}

async function receive(
  request: FastifyRequest,
  reply: FastifyReply,
  { intake, access, settings }: IntakeRoutesOptions,
  endpoint: Pick<AcceptOptions, 'defaultType' | 'topics'>,
): Promise<Static<typeof UploadAnswer> | Problem> {
  const waitS = parsePreferWait(request.headers.prefer);
  const waitMs = waitS === undefined ? undefined : Math.min(waitS, settings.KEELSON_INTAKE_MAX_WAIT_S) * 1000;
  const key = request.headers['idempotency-key'];
  const hold = request.server.memory.open();
  let accepted: Accepted;
  try {
    const upload = await readUpload(request, hold, settings, false);
    if (!upload.readable) throw upload.error;
    accepted = await intake.accept(upload.body, {
      ...endpoint,
      protocol: native,
      hold,
      sender: await identify(request, access),
      ...(typeof key === 'string' ? { idempotencyKey: checkId(key, '') } : {}),
    });
  } finally {
    hold.release();
  }
  if (waitMs !== undefined) {
    accepted = await intake.settle(accepted, waitMs);
    void reply.header('preference-applied', `wait=${waitMs / 1000}`);
  }
  const [only] = accepted.items;
  if (!accepted.list && only?.status === 'quarantined') {
    const { error, quarantineId } = only;
    void reply.code(statusOf(error.code)).type(PROBLEM_TYPE);
    return formatProblem(error, request.id, { quarantineId });
  }
  return formatAccepted(accepted);
}

function registerOpa(http: Http, options: IntakeRoutesOptions): void {
  const route = {
    config: { access: ['publish:decisions'] },
    // Whatever a proxy made of the media type, the body is read as what it should be: a refusal would come again for ever.
    onRequest: async ({ raw }) => void (raw.headers['content-type'] = 'application/json'),
    schema: {
      tags,
      summary: 'OPA’s decision log, as OPA uploads it',
      body: Type.Array(Event),
      response: { 200: OpaAnswer, 401: Problem, 403: Problem, 503: Problem },
    },
  } satisfies RouteShorthandOptions;

  http.post('/v1/opa/logs', route, (request) => receiveOpa(request, options, undefined));

  http.post(
    '/v1/opa/logs/*',
    { ...route, schema: { ...route.schema, summary: 'The same, for one `partition_name`' } },
    (request) => receiveOpa(request, options, (request.params as { '*': string })['*']),
  );
}

/** OPA sends whatever was refused again for ever, so what can't be read is kept in quarantine and answered like the rest. */
async function receiveOpa(
  request: FastifyRequest,
  { intake, access, settings }: IntakeRoutesOptions,
  partition: string | undefined,
): Promise<{ accepted: number; quarantined: number }> {
  const hold = request.server.memory.open();
  try {
    const upload = await readUpload(request, hold, settings, true);
    const sender = await identify(request, access);
    const options: AcceptOptions = { protocol: openOpa(partition), hold, sender, topics: ['decisions'] };
    const accepted = await acceptOpa(intake, upload, options);
    const quarantined = countQuarantined(accepted.items);
    return { accepted: accepted.items.length - quarantined, quarantined };
  } finally {
    hold.release();
  }
}

async function acceptOpa(intake: Intake, upload: Upload, options: AcceptOptions): Promise<Accepted> {
  let error: KeelsonError;
  if (upload.readable) {
    try {
      return await intake.accept(upload.body, options);
    } catch (thrown) {
      if (!(thrown instanceof KeelsonError) || !UNSPLITTABLE.has(thrown.code)) throw thrown;
      error = thrown;
    }
  } else error = upload.error;
  const quarantineId = await intake.keepUnreadable(upload.original(), error, options);
  return { list: true, items: [{ status: 'quarantined', error, quarantineId }], placed: [] };
}

const UNSPLITTABLE = new Set(['malformed_json', 'too_many_items']);

async function identify({ caller }: FastifyRequest, access: Access): Promise<Sender> {
  return { producer: await access.producer(caller.producer), verified: true, scopes: caller.scopes };
}
