/** The ledger over HTTP: as files (C2SP tlog-tiles) below `/ledger/`, as JSON below `/v1/`. */
import { Type } from 'typebox';
import { formatBase64, parseDecimal } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { formatVerifierKey, makeVerifierKey } from '../core/key.js';
import { dedupeKey } from '../events/index.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import type { EntryViews } from './entry-view.js';
import type { Log } from './log.js';
import { LogParams, openAccess, pathOf, type TileRoutesOptions } from './log-params.js';
import { registerTiles } from './tile-routes.js';

export interface LedgerRoutesOptions extends TileRoutesOptions {
  readonly views: EntryViews;
  readonly hasher: Hasher;
  readonly ledgerName: string;
  /** The 32-byte Ed25519 key that signs every log. */
  readonly publicKey: Uint8Array;
}

const tags = ['ledger'];
/** Text that is JSON already: numbers in it are exact. */
const EntryView = Type.Unsafe<string>({
  type: 'object',
  additionalProperties: true,
  description: 'Coordinates, envelope and event',
});
const Receipt = Type.String({ description: 'text/plain' });
const decimal = Type.String({ pattern: '^(0|[1-9][0-9]{0,15})$' });

const IndexParams = Type.Object({ ...LogParams, index: decimal });

const LogView = Type.Object({
  log: Type.String({ description: 'Its path: topic, partition, generation' }),
  origin: Type.String(),
  size: Type.Integer({ description: 'Entries committed' }),
  published: Type.Optional(Type.Object({ size: Type.Integer(), root: Type.String(), checkpoint: Type.String() })),
  verifierKey: Type.String({ description: 'C2SP signed-note verifier key' }),
});

const EntryQuery = Type.Object(
  {
    proof: Type.Optional(
      Type.Union([Type.Literal('true'), Type.Literal('false')], { description: 'With inclusion proof and checkpoint' }),
    ),
  },
  { additionalProperties: false },
);
const KeyQuery = Type.Object(
  {
    producer: Type.String({ maxLength: 1024 }),
    source: Type.Optional(Type.String({ maxLength: 1024 })),
    id: Type.String({ minLength: 1, maxLength: 1024 }),
    proof: EntryQuery.properties.proof,
  },
  { additionalProperties: false },
);

export function registerLedger(http: Http, options: LedgerRoutesOptions): void {
  registerTiles(http, options);
  registerLogs(http, options);
  registerEntries(http, options);
  registerProofs(http, options);
}

function registerLogs(http: Http, { reader, hasher, ledgerName, publicKey, settings }: LedgerRoutesOptions): void {
  const keyOf = (origin: string): string => formatVerifierKey(makeVerifierKey(hasher, origin, publicKey));
  const view = async (log: Log) => {
    const [head, published] = [await reader.head(log), await reader.publication(log)];
    return {
      log: log.path,
      origin: log.origin,
      size: Number(head.size),
      ...(published && {
        published: { size: Number(published.size), root: formatBase64(published.root), checkpoint: published.note },
      }),
      verifierKey: keyOf(log.origin),
    };
  };
  const config = { access: openAccess(settings) };
  const response = { 200: Type.Object({ logs: Type.Array(LogView) }), '4xx': Problem };
  http.get('/v1/logs', { config, schema: { tags, summary: 'Every log', response } }, async () => ({
    logs: await Promise.all((await reader.logs()).map(view)),
  }));

  const keys = Type.Object({ ledger: Type.String(), logs: Type.Record(Type.String(), Type.String()) });
  http.get(
    '/v1/keys',
    { config, schema: { tags, summary: 'Verifier keys, of the ledger and by log', response: { 200: keys } } },
    async () => ({
      ledger: keyOf(ledgerName),
      logs: Object.fromEntries((await reader.logs()).map((log) => [log.path, keyOf(log.origin)])),
    }),
  );
}

function registerEntries(http: Http, { reader, views }: LedgerRoutesOptions): void {
  const config = { access: ['read'] as const };
  http.get(
    '/v1/logs/:topic/:partition/:generation/entries/:index',
    {
      config,
      schema: {
        tags,
        summary: 'An entry by its position',
        params: IndexParams,
        querystring: EntryQuery,
        response: { 200: EntryView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const place = { path: pathOf(request.params), index: BigInt(request.params.index) };
      const personal = request.caller.scopes.has('read:personal');
      const [text] = await views.viewHits([place], { personal, proof: request.query.proof === 'true' });
      return reply.type('application/json; charset=utf-8').send(text!);
    },
  );

  http.get(
    '/v1/entries',
    {
      config,
      schema: {
        tags,
        summary: 'An entry by the event’s identity',
        description:
          'An event is known by its producer, source and id. Finds the events of the last weeks; `GET /v1/search?event=` finds every one.',
        querystring: KeyQuery,
        response: { 200: EntryView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { producer, source = '', id, proof } = request.query;
      const key = dedupeKey(producer, source, id);
      for (const log of await reader.logs()) {
        const index = await reader.findKey(log, key);
        if (index === undefined) continue;
        const personal = request.caller.scopes.has('read:personal');
        const [text] = await views.viewHits([{ path: log.path, index }], { personal, proof: proof === 'true' });
        return reply.type('application/json; charset=utf-8').send(text!);
      }
      throw new KeelsonError('not_found', 'no entry of the last weeks has this identity');
    },
  );
}

function registerProofs(http: Http, { reader, settings }: LedgerRoutesOptions): void {
  const consistency = Type.Object({
    log: Type.String(),
    from: Type.Integer(),
    to: Type.Integer(),
    hashes: Type.Array(Type.String(), { description: 'Base64, RFC 9162 §2.1.4' }),
  });
  http.get(
    '/v1/logs/:topic/:partition/:generation/consistency',
    {
      config: { access: openAccess(settings) },
      schema: {
        tags,
        summary: 'That the log of `to` entries continues that of `from`',
        params: Type.Object(LogParams),
        querystring: Type.Object({ from: decimal, to: decimal }, { additionalProperties: false }),
        response: { 200: consistency, '4xx': Problem },
      },
    },
    async ({ params, query }) => {
      const log = await reader.log(pathOf(params));
      const [from, to] = [parseSize('from', query.from), parseSize('to', query.to)];
      const hashes = (await reader.consistency(log, from, to)).map(formatBase64);
      return { log: log.path, from: Number(from), to: Number(to), hashes };
    },
  );

  http.get(
    '/v1/logs/:topic/:partition/:generation/receipts/:index',
    {
      config: { access: ['read'] },
      schema: {
        tags,
        summary: 'An offline receipt (C2SP tlog-proof)',
        description:
          'Entry, inclusion proof and signed checkpoint in one text; with the verifier key it is all a check needs.',
        params: IndexParams,
        response: { 200: Receipt, '4xx': Problem },
      },
    },
    async ({ params }, reply) => {
      const log = await reader.log(pathOf(params));
      return reply.type('text/plain; charset=utf-8').send(await reader.receipt(log, BigInt(params.index)));
    },
  );
}

function parseSize(name: string, text: string): bigint {
  const size = parseDecimal(text);
  if (size === undefined) throw new KeelsonError('invalid_query', `${name} is not a size`, { pointer: `/${name}` });
  return size;
}
