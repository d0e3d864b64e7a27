/** `GET /v1/quarantine`: what could not become an event. */
import { isUtf8 } from 'node:buffer';
import { Type, type Static } from 'typebox';
import type { FastifyContextConfig } from 'fastify';
import { formatTimestamp } from '../events/index.js';
import type { Cursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import { pageLimit, PageQuery } from '../http/paging.js';
import { Problem } from '../http/problem.js';
import type { Quarantined, Vault } from '../vault/index.js';

export interface QuarantineRoutesOptions {
  readonly vault: Pick<Vault, 'quarantine'>;
  readonly cursors: Cursors;
}

const config: FastifyContextConfig = { access: ['admin'] };
const tags = ['quarantine'];
const Time = Type.String({ description: 'RFC 3339, UTC' });

const Item = Type.Object({
  id: Type.String(),
  producer: Type.String(),
  protocol: Type.String(),
  code: Type.String({ description: 'Why it could not become an event' }),
  pointer: Type.Optional(Type.String()),
  eventId: Type.Optional(Type.String()),
  eventType: Type.Optional(Type.String()),
  size: Type.String({ description: 'Bytes of the original that is kept, in decimal' }),
  sha256: Type.String({ description: 'Of the original that is kept, in hex' }),
  at: Time,
  expiresAt: Time,
});

const Original = Type.Object({
  ...Item.properties,
  original: Type.String({ description: 'Its bytes in base64' }),
  text: Type.Optional(Type.String({ description: 'The same as text, where it is UTF-8' })),
});

export function registerQuarantine(http: Http, { vault, cursors }: QuarantineRoutesOptions): void {
  http.get(
    '/v1/quarantine',
    {
      config,
      schema: {
        tags,
        summary: 'What is in quarantine, newest first',
        querystring: Type.Object(
          {
            ...PageQuery,
            producer: Type.Optional(Type.String({ maxLength: 64 })),
            code: Type.Optional(Type.String({ maxLength: 64 })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ items: Type.Array(Item), next: Type.Optional(Type.String()) }),
          '4xx': Problem,
          503: Problem,
        },
      },
    },
    async ({ query: { producer, code, ...page } }) => {
      const limit = pageLimit(page);
      const list = JSON.stringify(['quarantine', producer ?? null, code ?? null]);
      const [atUs, id] = page.cursor === undefined ? [] : cursors.parse(list, page.cursor);
      const after = atUs === undefined || id === undefined ? undefined : { receivedAtUs: BigInt(atUs), id };
      const rows = await vault.quarantine.list({ producer, reason: code, after, limit: limit + 1 });
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      const next =
        rows.length > limit && last !== undefined
          ? { next: cursors.format(list, [String(last.receivedAtUs), last.id]) }
          : {};
      return { items: items.map(view), ...next };
    },
  );

  http.get(
    '/v1/quarantine/:id',
    {
      config,
      schema: {
        tags,
        summary: 'One, with its original as it came in (an upload: as on the wire)',
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        response: { 200: Original, '4xx': Problem, 503: Problem },
      },
    },
    async ({ params }) => {
      const { original, ...row } = await vault.quarantine.get(params.id);
      return {
        ...view(row),
        original: original.toString('base64'),
        ...(isUtf8(original) ? { text: original.toString('utf8') } : {}),
      };
    },
  );
}

function view(row: Quarantined): Static<typeof Item> {
  return {
    id: row.id,
    producer: row.producer,
    protocol: row.protocol,
    code: row.reason,
    ...(row.pointer === undefined ? {} : { pointer: row.pointer }),
    ...(row.eventId === undefined ? {} : { eventId: row.eventId }),
    ...(row.eventType === undefined ? {} : { eventType: row.eventType }),
    size: String(row.size),
    sha256: row.digest.toString('hex'),
    at: formatTimestamp(row.receivedAtUs),
    expiresAt: formatTimestamp(row.expiresAtUs),
  };
}
