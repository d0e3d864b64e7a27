/** `GET /v1/cases/:order/certificate`: the evidence that a closed case leaves. */
import { Type } from 'typebox';
import type { Http } from '../../http/http.js';
import { Problem } from '../../http/problem.js';
import type { Certifier } from './certifier.js';

export function registerCertificates(http: Http, certifier: Pick<Certifier, 'certify'>): void {
  http.get(
    '/v1/cases/:order/certificate',
    {
      config: { access: ['read', 'admin'] },
      schema: {
        tags: ['revocation'],
        summary: 'The certificate of a closed case, as of now',
        description: 'A file that `keelson verify` checks offline: docs/certificate.md. Not one byte of it may change.',
        params: Type.Object({ order: Type.String({ pattern: '^[0-9a-f]{32}$' }) }),
        response: {
          200: Type.Unsafe<Uint8Array>({ type: 'object', additionalProperties: true }),
          '4xx': Problem,
          '5xx': Problem,
        },
      },
    },
    async ({ params: { order } }, reply) => {
      const file = await certifier.certify(order);
      return reply.type('application/json; charset=utf-8').send(Buffer.from(file));
    },
  );
}
