/** A log as files (C2SP tlog-tiles). */
import { Type } from 'typebox';
import { encodeBundle } from '../core/bundle.js';
import { KeelsonError } from '../core/error.js';
import { parseBundlePath, parseTilePath } from '../core/tile.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { LogParams, openAccess, pathOf, type TileRoutesOptions } from './log-params.js';

const tags = ['ledger'];
/** Not JSON: octets, or the text of a note. */
const Octets = Type.Unsafe<Buffer>({ type: 'string', format: 'binary' });
const Note = Type.String({ description: 'C2SP signed note' });
const FileParams = Type.Object({ ...LogParams, '*': Type.String({ maxLength: 100 }) });
/** What is there once never changes; a bundle is not for shared caches, because not everybody may read it. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const FOR_EVER_HERE = 'private, max-age=31536000, immutable';

export function registerTiles(http: Http, { reader, settings }: TileRoutesOptions): void {
  const open = { access: openAccess(settings) };
  http.get(
    '/ledger/:topic/:partition/:generation/checkpoint',
    {
      config: open,
      schema: {
        tags,
        summary: 'The newest signed checkpoint',
        params: Type.Object(LogParams),
        response: { 200: Note, '4xx': Problem },
      },
    },
    async ({ params }, reply) => {
      const publication = await reader.publication(await reader.log(pathOf(params)));
      if (!publication) throw new KeelsonError('not_found', 'nothing is signed yet');
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'max-age=1').send(publication.note);
    },
  );

  http.get(
    '/ledger/:topic/:partition/:generation/tile/entries/*',
    {
      config: { access: ['read'] },
      schema: { tags, summary: 'A bundle of entries', params: FileParams, response: { 200: Octets, '4xx': Problem } },
    },
    async ({ params }, reply) => {
      const bundle = asked(() => parseBundlePath(`tile/entries/${params['*']}`));
      const entries = await reader.bundle(await reader.log(pathOf(params)), bundle);
      const bytes = encodeBundle(entries);
      return reply.type('application/octet-stream').header('cache-control', FOR_EVER_HERE).send(Buffer.from(bytes));
    },
  );

  http.get(
    '/ledger/:topic/:partition/:generation/tile/*',
    {
      config: open,
      schema: { tags, summary: 'A tile of hashes', params: FileParams, response: { 200: Octets, '4xx': Problem } },
    },
    async ({ params }, reply) => {
      const tile = asked(() => parseTilePath(`tile/${params['*']}`));
      const bytes = await reader.tile(await reader.log(pathOf(params)), tile);
      return reply.type('application/octet-stream').header('cache-control', FOR_EVER).send(Buffer.from(bytes));
    },
  );
}

/** A path that no tile can have is a file that isn't there. */
function asked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new KeelsonError('not_found', 'there is no such tile', { cause });
  }
}
