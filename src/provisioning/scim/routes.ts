/** `/scim/v2` (RFC 7644). Bodies and answers are SCIM's own, errors included. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../../access/access.js';
import { KeelsonError } from '../../core/error.js';
import { isObject, parseJson, stringifyJson, type Json, type JsonObject } from '../../events/index.js';
import { readWire } from '../../http/body.js';
import type { Http } from '../../http/http.js';
import { statusOf, toKeelsonError } from '../../http/problem.js';
import type { ProvisioningSettings } from '../settings.js';
import { describeResourceTypes, describeSchemas, describeService } from './discovery.js';
import { createGroup, deleteGroup, replaceGroup, updateGroup } from './groups.js';
import { applyPatch, type Draft } from './patch.js';
import type { Expected, ScimParts } from './resources.js';
import { formatScimError } from './scim-error.js';
import { RESOURCE_TYPES, type Kind } from './schema.js';
import { listResources, readListQuery, type Found, type ListQuery } from './search.js';
import { openSource, type Source } from './source.js';
import type { ResourceRow } from './store.js';
import { createUser, deleteUser, replaceUser, updateUser } from './users.js';
import { formatVersion, parseSelection, viewResources } from './view.js';

export interface ScimRoutesOptions extends ScimParts {
  readonly access: Access;
  readonly settings: ProvisioningSettings;
}

export const SCIM_TYPE = 'application/scim+json';
const PREFIX = '/scim/v2';
const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';
const LIMITS = { maxDepth: 32, maxStringLength: 1_048_576, maxValues: 500_000 };

/** How a kind of resource is changed. */
const KINDS = {
  User: { create: createUser, update: updateUser, remove: deleteUser, replace: replaceUser },
  Group: { create: createGroup, update: updateGroup, remove: deleteGroup, replace: replaceGroup },
} as const;

export async function registerScim(http: Http, options: ScimRoutesOptions): Promise<void> {
  await http.register(
    async (scope: Http) => {
      readBodies(scope, options.settings);
      answerErrors(scope);
      // Bodies are read above, by SCIM's own rules.
      scope.setValidatorCompiler(() => () => true);
      scope.setSerializerCompiler(() => (value) => stringifyJson(value as Json));
      registerDiscovery(scope);
      for (const kind of ['User', 'Group'] as const) registerKind(scope, options, kind);
      registerSearch(scope, options);
    },
    { prefix: PREFIX },
  );
}

function readBodies(scope: Http, settings: ProvisioningSettings): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    ['application/scim+json', 'application/json'],
    async (request: FastifyRequest, payload: FastifyRequest['raw']) => {
      const hold = request.server.memory.open();
      request.raw.once('close', () => hold.release());
      const wire = await readWire(payload, { maxBytes: settings.KEELSON_SCIM_BODY_BYTES, oversize: 'refuse' }, hold);
      return wire.whole && wire.bytes.length > 0 ? parseJson(wire.bytes, LIMITS) : undefined;
    },
  );
}

function answerErrors(scope: Http): void {
  const send = (request: FastifyRequest, reply: FastifyReply, thrown: unknown): FastifyReply => {
    const error = toKeelsonError(thrown);
    const status = statusOf(error.code);
    if (error.code === 'internal') request.log.error({ err: error.cause, route: request.routeOptions.url }, 'a bug');
    if (status === 401) void reply.header('www-authenticate', 'Bearer realm="keelson"');
    if (status === 503) void reply.header('retry-after', String(error.retryAfterS ?? 1));
    return answer(reply.code(status), formatScimError(error, request.id) as unknown as JsonObject);
  };
  scope.setErrorHandler((error, request, reply) => send(request, reply, error));
  // Elsewhere than in the routes a prefix has no table of methods: they are told apart here.
  scope.setNotFoundHandler((request, reply) =>
    send(request, reply, new KeelsonError('not_found', 'there is nothing here')),
  );
}

const answer = (reply: FastifyReply, body: JsonObject): FastifyReply =>
  reply
    .header('cache-control', 'no-store')
    .type(`${SCIM_TYPE}; charset=utf-8`)
    .serializer((value: unknown) => stringifyJson(value as Json))
    .send(body);

const config = { access: ['provision'] } as const;
const schema = { tags: ['scim'], hide: true } as const;

function registerDiscovery(scope: Http): void {
  const once = (url: string, view: (request: FastifyRequest) => JsonObject): void => {
    scope.get(url, { config, schema }, (request, reply) => {
      if ((request.query as { filter?: unknown }).filter !== undefined) {
        throw new KeelsonError('forbidden', 'what the server is like is not filtered');
      }
      return answer(reply, view(request));
    });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      scope.route({
        method,
        url,
        config,
        schema,
        handler: (_request, reply) => {
          void reply.header('allow', 'GET');
          throw new KeelsonError('method_not_allowed', 'this is only read');
        },
      });
    }
  };
  const byId = (resources: readonly JsonObject[], request: FastifyRequest): JsonObject => {
    const id = (request.params as { id: string }).id.toLowerCase();
    const found = resources.find((one) => typeof one.id === 'string' && one.id.toLowerCase() === id);
    if (found === undefined) throw new KeelsonError('not_found', 'there is no such thing');
    return found;
  };
  once('/ServiceProviderConfig', (request) => describeService(baseOf(request)));
  once('/ResourceTypes', (request) => formatList(describeResourceTypes(baseOf(request))));
  once('/ResourceTypes/:id', (request) => byId(describeResourceTypes(baseOf(request)), request));
  once('/Schemas', (request) => formatList(describeSchemas(baseOf(request))));
  once('/Schemas/:id', (request) => byId(describeSchemas(baseOf(request)), request));
}

function registerKind(scope: Http, options: ScimRoutesOptions, kind: Kind): void {
  const { endpoint } = RESOURCE_TYPES[kind];
  const { create, update, remove, replace } = KINDS[kind];
  const sourceOf = async (request: FastifyRequest): Promise<Source> =>
    openSource(await options.access.producer(request.caller.producer));
  const send = (reply: FastifyReply, request: FastifyRequest, source: Source, id: string): Promise<FastifyReply> =>
    sendResource(options, reply, request, source, kind, id);

  scope.get(endpoint, { config, schema }, async (request, reply) => {
    const source = await sourceOf(request);
    const query = readListQuery(request.query as Record<string, unknown>);
    const found = await find(options, source, [kind], query, baseOf(request));
    return answer(reply, formatPage(found, query));
  });
  scope.get(`${endpoint}/:id`, { config, schema }, async (request, reply) =>
    send(reply, request, await sourceOf(request), idOf(request)),
  );
  scope.post(endpoint, { config, schema }, async (request, reply) => {
    const source = await sourceOf(request);
    const id = await create(options, source, bodyOf(request));
    void reply.code(201).header('location', `${baseOf(request)}${endpoint}/${id}`);
    return send(reply, request, source, id);
  });
  scope.put(`${endpoint}/:id`, { config, schema }, async (request, reply) => {
    const source = await sourceOf(request);
    await update(options, source, idOf(request), expectedOf(request), replace(bodyOf(request)));
    return send(reply, request, source, idOf(request));
  });
  scope.patch(`${endpoint}/:id`, { config, schema }, async (request, reply) => {
    const source = await sourceOf(request);
    const body = bodyOf(request);
    const change = (draft: Draft): void => applyPatch(draft, body, RESOURCE_TYPES[kind]);
    await update(options, source, idOf(request), expectedOf(request), change);
    return send(reply, request, source, idOf(request));
  });
  scope.delete(`${endpoint}/:id`, { config, schema }, async (request, reply) => {
    await remove(options, await sourceOf(request), idOf(request), expectedOf(request));
    return reply.code(204).header('cache-control', 'no-store').send();
  });
}

/** Searches whose parameters are in the body (RFC 7644, section 3.4.3). */
function registerSearch(scope: Http, options: ScimRoutesOptions): void {
  const search = (url: string, kinds: readonly Kind[]): void => {
    scope.post(url, { config, schema }, async (request, reply) => {
      const source = openSource(await options.access.producer(request.caller.producer));
      const query = readListQuery(bodyOf(request));
      return answer(reply, formatPage(await find(options, source, kinds, query, baseOf(request)), query));
    });
  };
  search('/.search', ['User', 'Group']);
  search('/Users/.search', ['User']);
  search('/Groups/.search', ['Group']);
}

/** One page over several kinds, one after the other. */
async function find(
  options: ScimRoutesOptions,
  source: Source,
  kinds: readonly Kind[],
  query: ListQuery,
  base: string,
): Promise<Found> {
  let total = 0;
  const resources: JsonObject[] = [];
  for (const kind of kinds) {
    const startIndex = Math.max(1, query.startIndex - total);
    const part = { ...query, startIndex, count: query.count - resources.length };
    const found = await listResources(options, source.id, kind, part, base, options.settings.KEELSON_SCIM_SCAN);
    total += found.total;
    resources.push(...found.resources);
  }
  return { total, resources };
}

async function sendResource(
  options: ScimRoutesOptions,
  reply: FastifyReply,
  request: FastifyRequest,
  source: Source,
  kind: Kind,
  id: string,
): Promise<FastifyReply> {
  const row = await options.store.find(source.id, kind, id);
  const { attributes, excluded } = readListQuery(request.query as Record<string, unknown>);
  const selection = parseSelection(attributes, excluded, RESOURCE_TYPES[kind]);
  const rows = row === undefined || row.deleted ? [] : [row];
  const [view] = await viewResources(options, source.id, kind, rows, baseOf(request), selection);
  if (row === undefined || view === undefined) throw new KeelsonError('not_found', `there is no ${kind} with this id`);
  const version = formatVersion(row.version);
  void reply.header('etag', version);
  const known = request.headers['if-none-match'];
  if (
    request.method === 'GET' &&
    typeof known === 'string' &&
    readVersions(known).some((one) => one === '*' || one === String(row.version))
  ) {
    return reply.code(304).send();
  }
  return answer(reply, view);
}

const formatList = (resources: readonly JsonObject[]): JsonObject => ({
  schemas: [LIST_SCHEMA],
  totalResults: resources.length,
  itemsPerPage: resources.length,
  startIndex: 1,
  Resources: [...resources],
});

const formatPage = ({ total, resources }: Found, { startIndex }: ListQuery): JsonObject => ({
  schemas: [LIST_SCHEMA],
  totalResults: total,
  itemsPerPage: resources.length,
  startIndex,
  Resources: [...resources],
});

/** @throws KeelsonError `invalid_request` */
function bodyOf({ body }: FastifyRequest): JsonObject {
  if (isObject(body as Json | undefined)) return body as JsonObject;
  throw new KeelsonError('invalid_request', 'the body is a JSON object');
}

const idOf = ({ params }: FastifyRequest): string => (params as { id: string }).id;

const baseOf = ({ protocol, host }: FastifyRequest): string => `${protocol}://${host}${PREFIX}`;

/** `W/"3", "4"` → 3, 4; `*` stays. Weak and strong ones are the same here: a version is a count. */
const readVersions = (header: string): string[] =>
  header.split(',').map((one) => one.trim().replace(/^(?:W\/)?"(\d{1,18})"$/, '$1'));

function expectedOf({ headers }: FastifyRequest): Expected {
  const given = headers['if-match'];
  if (given === undefined) return undefined;
  const versions = readVersions(given);
  return ({ version }: ResourceRow) => versions.some((one) => one === '*' || one === String(version));
}
