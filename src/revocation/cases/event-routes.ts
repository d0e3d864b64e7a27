/** `GET /v1/cases/events`, `/v1/cases/:order/events`: cases as they change, as server-sent events (WHATWG HTML §9.2). */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyContextConfig, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { KeelsonError } from '../../core/error.js';
import type { Http } from '../../http/http.js';
import { Problem } from '../../http/problem.js';
import { whenGone } from '../../http/when-gone.js';
import { readInstances, type CaseRoutesOptions } from './routes.js';
import { viewCase, viewDetail } from './views.js';

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['read', 'admin'] };
const LOOK_MS = 500;
/** What is read for one listener is good for the others. */
const FRESH_MS = 400;
/** A comment now and then, so that nobody between takes the silence for an end. */
const BEAT_MS = 15_000;
const MAX_LISTENERS = 200;
/** Cases that are followed together: those that go on, and the newest. */
const MAX_OPEN = 200;
const MAX_NEWEST = 50;

interface Told {
  readonly id: string;
  readonly text: string;
}

export function registerCaseEvents(http: Http, options: Omit<CaseRoutesOptions, 'tokens' | 'cursors'>): void {
  const instances = remember(() => readInstances(options));
  const listeners = new Set<FastifyReply>();
  const stream = (reply: FastifyReply, look: () => Promise<Told[]>): FastifyReply => {
    if (listeners.size >= MAX_LISTENERS) {
      throw new KeelsonError('overloaded', 'enough listen to cases here', { retryAfterS: 5 });
    }
    listeners.add(reply);
    reply.raw.once('close', () => listeners.delete(reply));
    return reply
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .type('text/event-stream')
      .send(Readable.from(tell(look, whenGone(reply))));
  };
  const schema = { tags, response: { 200: Type.String({ description: 'text/event-stream' }), '4xx': Problem } };
  http.get(
    '/v1/cases/events',
    { config, schema: { ...schema, summary: 'Cases as they change, live: those that go on, and the newest' } },
    async (_request, reply) => {
      let followed = new Set<string>();
      return stream(reply, async () => {
        const { cases } = options;
        const [open, newest] = await Promise.all([cases.open(MAX_OPEN), cases.list(undefined, MAX_NEWEST)]);
        const rows = new Map([...open, ...newest].map((row) => [row.order, row]));
        // What has just ended is told once more, however old it is.
        const ended = [...followed].filter((order) => !rows.has(order));
        for (const row of await Promise.all(ended.map((order) => cases.find(order))))
          if (row !== undefined) rows.set(row.order, row);
        followed = new Set(open.map(({ order }) => order));
        const all = (await instances()).instances;
        return [...rows.values()].map((row) => ({ id: row.order, text: JSON.stringify(viewCase(row, all)) }));
      });
    },
  );
  http.get(
    '/v1/cases/:order/events',
    {
      config,
      schema: {
        ...schema,
        summary: 'One case as it changes, live',
        params: Type.Object({ order: Type.String({ maxLength: 64 }) }),
      },
    },
    async ({ params: { order } }, reply) => {
      const find = async (): Promise<Told[]> => {
        const row = await options.cases.find(order);
        if (row === undefined) return [];
        const { instances: all } = await instances();
        // How long somebody is silent changes all the time: that is for who asks.
        return [{ id: order, text: JSON.stringify(viewDetail(row, all, new Map())) }];
      };
      if ((await find()).length === 0) throw new KeelsonError('not_found', 'there is no such order (yet)');
      return stream(reply, find);
    },
  );
}

/** An event for each case that is not as it was told last, until nobody listens. */
async function* tell(look: () => Promise<Told[]>, gone: AbortSignal): AsyncGenerator<string, void, undefined> {
  let told = new Map<string, string>();
  let beatMs = performance.now();
  yield ': cases\n\n';
  while (!gone.aborted) {
    let now: Told[];
    try {
      now = await look();
    } catch (error) {
      // Whoever listens connects again, and is told what there is then.
      if (error instanceof KeelsonError) return;
      throw error;
    }
    for (const { id, text } of now) if (told.get(id) !== text) yield `event: case\ndata: ${text}\n\n`;
    if (now.some(({ id, text }) => told.get(id) !== text)) beatMs = performance.now();
    told = new Map(now.map(({ id, text }) => [id, text]));
    if (performance.now() - beatMs > BEAT_MS) {
      beatMs = performance.now();
      yield ': still here\n\n';
    }
    await sleep(LOOK_MS, undefined, { signal: gone }).catch(() => undefined);
  }
}

/** Asks at most once in `FRESH_MS`. */
function remember<T>(ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly atMs: number; readonly answer: Promise<T> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.atMs > FRESH_MS) {
      last = { atMs: performance.now(), answer: ask() };
      last.answer.catch(() => (last = undefined));
    }
    return last.answer;
  };
}
