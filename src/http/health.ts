/** Health and metrics: what an orchestrator and a scraper ask. None of it needs a token; none of it names a person. */
import { Type } from 'typebox';
import type { Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import type { Http } from './http.js';
import { formatProblem, Problem, PROBLEM_TYPE } from './problem.js';
import type { Readiness } from './readiness.js';

const Check = Type.Object({
  name: Type.String(),
  ready: Type.Boolean(),
  warning: Type.Optional(Type.String({ description: 'It is ready, and will not be for long' })),
  code: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
});

export function registerHealth(http: Http, readiness: Readiness, metrics: Registry): void {
  const config = { access: 'public' } as const;

  http.get(
    '/livez',
    {
      config,
      schema: {
        tags: ['operations'],
        summary: 'Whether the process answers at all',
        response: { 200: Type.Object({ alive: Type.Boolean() }) },
      },
    },
    async () => ({ alive: true }),
  );

  http.get(
    '/readyz',
    {
      config,
      schema: {
        tags: ['operations'],
        summary: 'Whether work should be sent here, and if not, what is not ready',
        response: { 200: Type.Object({ ready: Type.Boolean(), checks: Type.Array(Check) }), 503: Problem },
      },
    },
    async (request, reply) => {
      const checks = await readiness.run();
      const failed = checks.filter((check) => !check.ready).map((check) => check.name);
      if (failed.length === 0) return { ready: true, checks };
      const error = new KeelsonError('not_ready', `not ready: ${failed.join(', ')}`);
      return reply
        .code(503)
        .type(PROBLEM_TYPE)
        .send(formatProblem(error, request.id, { checks }));
    },
  );

  http.get(
    '/metrics',
    {
      config,
      schema: {
        tags: ['operations'],
        summary: 'Prometheus metrics',
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
  );
}
