/** `POST /v1/hr/:source`: webhooks of HR systems. Their signature is all that says who sends. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createHash } from 'node:crypto';
import { Counter, type Registry } from 'prom-client';
import { Type, type Static } from 'typebox';
import { PRODUCER_ID } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import type { Http } from '../../http/http.js';
import { formatProblem, Problem, PROBLEM_TYPE, statusOf } from '../../http/problem.js';
import { formatAccepted, ItemAnswer } from '../../intake/answer.js';
import type { Accepted, AcceptOptions, Intake } from '../../intake/intake.js';
import { parsePreferWait } from '../../intake/prefer.js';
import type { ProvisioningSettings } from '../settings.js';
import { believe, type BelieveOptions, type Webhook } from './believe.js';
import { readWebhook, UNREADABLE, type Reading } from './protocol.js';
import type { Refusal } from './sender.js';

export interface HrRoutesOptions extends BelieveOptions {
  readonly intake: Pick<Intake, 'accept' | 'settle' | 'keepUnreadable'>;
  readonly settings: ProvisioningSettings;
  /** `KEELSON_INTAKE_MAX_WAIT_S` */
  readonly maxWaitS: number;
  readonly metrics: Registry;
}

const Answer = Type.Object(
  {
    people: Type.Integer({ description: 'How many it is about' }),
    ignored: Type.Integer({ description: 'Of whom it says what the mapping ignores' }),
    accepted: Type.Integer({ description: 'Events that are durable' }),
    quarantined: Type.Integer({ description: 'What could not become an event; it is kept, and an entry says so' }),
    items: Type.Array(
      Type.Object({
        person: Type.Integer({ description: 'Which one of them, from 0' }),
        event: Type.Optional(Type.String({ description: 'What the mapping made of it' })),
        ...ItemAnswer.properties,
      }),
    ),
  },
  { $id: 'HrAnswer' },
);

type Count = (source: string, outcome: Refusal | 'accepted' | 'malformed') => void;

export async function registerHr(http: Http, options: HrRoutesOptions): Promise<void> {
  const webhooks = new Counter({
    name: 'keelson_hr_webhooks_total',
    help: 'Webhooks of HR systems: accepted, malformed, or why their sender was not believed',
    labelNames: ['source', 'outcome'] as const,
    registers: [options.metrics],
  });
  const count: Count = (source, outcome) => webhooks.inc({ source, outcome });
  await http.register(async (scope: Http) => {
    scope.removeAllContentTypeParsers();
    // Signed is what comes over the wire: it is read below, byte by byte.
    scope.addContentTypeParser('application/json', (_request, payload, done) => done(null, payload));
    scope.setValidatorCompiler(() => () => true);
    scope.post(
      '/v1/hr/:source',
      {
        config: { access: 'own' },
        schema: {
          tags: ['hr'],
          summary: 'A signed webhook of an HR system: who was hired, moved, left, or came back',
          params: Type.Object({ source: Type.String({ pattern: PRODUCER_ID }) }),
          headers: Type.Object({
            prefer: Type.Optional(Type.String({ description: '`wait=<seconds>`: how long to wait for the ledger' })),
          }),
          body: Type.Unknown({ description: 'As the source’s `hr` configuration says. See docs/connect-hr.md' }),
          response: { 200: Answer, 202: Answer, '4xx': Problem, 503: Problem },
        },
      },
      (request, reply) => receive(request, reply, options, count),
    );
  });
}

async function receive(
  request: FastifyRequest,
  reply: FastifyReply,
  options: HrRoutesOptions,
  count: Count,
): Promise<Static<typeof Answer> | Problem> {
  const { source } = request.params as { source: string };
  requirePlain(request);
  const hold = request.server.memory.open();
  try {
    const webhook = await believe(request, source, options, hold);
    if (typeof webhook === 'string') {
      count(webhook === 'unknown_source' ? '' : source, webhook);
      request.log.warn({ source, reason: webhook }, 'hr: a webhook is not believed');
      throw new KeelsonError('unauthenticated', 'this is not signed as it should be');
    }
    const shared = {
      sender: { producer: webhook.producer, verified: true, scopes: new Set(['publish:lifecycle'] as const) },
      topics: ['lifecycle'] as const,
      hold,
    };
    let reading: Reading;
    try {
      reading = read(webhook, options);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      count(source, 'malformed');
      const quarantineId = await keepWhole(webhook, error, { ...shared, protocol: UNREADABLE }, options);
      return refuse(request, reply, error, quarantineId);
    }
    const accepted = await accept(request, webhook, { ...shared, protocol: reading.protocol }, reading, options);
    count(source, 'accepted');
    return answer(request, reply, accepted, reading);
  } finally {
    hold.release();
  }
}

/** @throws KeelsonError `unsupported_media_type`, `bad_encoding`: what is signed are the bytes as they come, in UTF-8 */
function requirePlain({ headers }: FastifyRequest): void {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new KeelsonError('unsupported_media_type', 'JSON is UTF-8');
  }
  const coding = headers['content-encoding'] ?? 'identity';
  if (coding.toLowerCase() !== 'identity') throw new KeelsonError('bad_encoding', 'a webhook is not compressed');
}

function read({ producer, body, id, sentAtUs }: Webhook, { settings }: HrRoutesOptions): Reading {
  if (body instanceof KeelsonError) throw body;
  return readWebhook(producer.config.hr ?? {}, body, id, sentAtUs, settings.KEELSON_HR_PEOPLE);
}

const keepWhole = (
  { bytes }: Webhook,
  error: KeelsonError,
  options: AcceptOptions,
  { intake }: HrRoutesOptions,
): Promise<string> =>
  intake.keepUnreadable(
    { bytes, sha256: createHash('sha256').update(bytes).digest(), lengthBytes: bytes.length },
    error,
    options,
  );

async function accept(
  request: FastifyRequest,
  { bytes }: Webhook,
  accepting: AcceptOptions,
  { about }: Reading,
  { intake, settings, maxWaitS }: HrRoutesOptions,
): Promise<Accepted> {
  if (about.length === 0) return { list: true, items: [], placed: [] };
  const accepted = await intake.accept(bytes, accepting);
  const waitS = parsePreferWait(request.headers.prefer);
  return intake.settle(accepted, waitS === undefined ? settings.KEELSON_HR_WAIT_MS : Math.min(waitS, maxWaitS) * 1000);
}

/** 200: the ledger has all of it; 202: all of it is durable, and the ledger will have it. A repeat is answered as the first was. */
function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  accepted: Accepted,
  { about, people, ignored }: Reading,
): Static<typeof Answer> | Problem {
  const [only] = accepted.items;
  if (people === 1 && accepted.items.length === 1 && only?.status === 'quarantined') {
    return refuse(request, reply, only.error, only.quarantineId);
  }
  const isSettled = accepted.items.every((item) => item.status !== 'accepted' || item.settled !== undefined);
  void reply.code(isSettled ? 200 : 202);
  const { items, ...counts } = formatAccepted(accepted);
  return {
    people,
    ignored,
    ...counts,
    items: items.map(({ repeat: _, ...item }, i) => ({ ...about[i]!, ...item })),
  };
}

function refuse(request: FastifyRequest, reply: FastifyReply, error: KeelsonError, quarantineId: string): Problem {
  void reply.code(statusOf(error.code)).type(PROBLEM_TYPE);
  return formatProblem(error, request.id, { quarantineId });
}
