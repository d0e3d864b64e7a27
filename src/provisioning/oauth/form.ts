/** Bodies in `application/x-www-form-urlencoded`, as OAuth and OpenID Connect send them. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { KeelsonError } from '../../core/error.js';
import { readWire } from '../../http/body.js';
import type { Http } from '../../http/http.js';
import { formatOAuthError, oauthStatusOf } from './oauth-error.js';

export type Form = ReadonlyMap<string, string>;

const MAX_BYTES = 64 * 1024;
const MAX_PARAMETERS = 32;

/** Makes every route of a scope take a form and nothing else, and answer errors as OAuth does. */
export function takeForms(scope: Http): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    async (request: FastifyRequest, payload: IncomingMessage): Promise<Form> => {
      const hold = request.server.memory.open();
      request.raw.once('close', () => hold.release());
      const wire = await readWire(payload, { maxBytes: MAX_BYTES, oversize: 'refuse' }, hold);
      return parseForm(wire.whole ? wire.bytes : wire.prefix);
    },
  );
  scope.setErrorHandler((error, request, reply) => sendError(request, reply, error));
}

/**
 * Parameters by name. One that is empty counts as not sent (RFC 6749, section 3.1).
 * @throws KeelsonError `invalid_request` for a parameter that comes twice, and for too many
 */
export function parseForm(bytes: Uint8Array): Form {
  const form = new Map<string, string>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(Buffer.from(bytes).toString('utf8'))) {
    if (++count > MAX_PARAMETERS) throw new KeelsonError('invalid_request', `more than ${MAX_PARAMETERS} parameters`);
    if (form.has(name)) throw new KeelsonError('invalid_request', 'a parameter comes more than once');
    if (value !== '') form.set(name, value);
  }
  return form;
}

/** @throws KeelsonError `invalid_request` */
export function formOf({ body }: FastifyRequest): Form {
  if (body instanceof Map) return body as Form;
  throw new KeelsonError('invalid_request', 'the body is application/x-www-form-urlencoded');
}

function sendError(request: FastifyRequest, reply: FastifyReply, thrown: unknown): FastifyReply {
  const { error, body } = formatOAuthError(thrown);
  const status = oauthStatusOf(error);
  if (error.code === 'internal') request.log.error({ err: error.cause, route: request.routeOptions.url }, 'a bug');
  if (status === 401) void reply.header('www-authenticate', 'Basic realm="keelson", Bearer realm="keelson"');
  if (status === 503) void reply.header('retry-after', String(error.retryAfterS ?? 1));
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(body);
}
