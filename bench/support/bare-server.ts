import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import fastify, { type FastifyRequest } from 'fastify';

/** What `bench:intake` is measured against: the same routes, which parse the body and do nothing with it. */
export async function startBareServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const app = fastify({ bodyLimit: 64 * 1024 * 1024 });
  const unzip = promisify(gunzip);
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer): Promise<unknown> =>
      JSON.parse((request.headers['content-encoding'] === 'gzip' ? await unzip(body) : body).toString()),
  );
  for (const path of ['/v1/decisions', '/v1/opa/logs']) {
    app.post(path, (request) => ({ accepted: (request.body as unknown[]).length }));
  }
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, stop: () => app.close() };
}
