/** `GET /v1/cases/events`, `/v1/cases/:order/events`: cases as they change, as server-sent events (WHATWG HTML §9.2). */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyContextConfig, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { KeelsonError } from '../../core/error.js';
import type { Http } from '../../http/http.js';
import { Problem } from '../../http/problem.js';
import { whenGone } from '../../http/when-gone.js';
import { breathe, readInstances, type CaseRoutesOptions } from './routes.js';
import { viewCase, viewDetail } from './views.js';

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['read', 'admin'] };
const LOOK_MS = 500;
/** What is read for one listener is good for the others. */
const FRESH_MS = 400;
/** A comment now and then, so that nobody between takes the silence for an end. */
const BEAT_MS = 15_000;
const MAX_LISTENERS = 200;
/** Then who listens connects again: a token that was revoked meanwhile hears no more. */
const LISTEN_MS = 300_000;
/** Cases that are followed together: those that go on, and the newest. */
const MAX_OPEN = 200;
const MAX_NEWEST = 50;

interface Told {
  readonly id: string;
  readonly text: string;
}

export function registerCaseEvents(http: Http, options: Omit<CaseRoutesOptions, 'tokens' | 'cursors'>): void {
  const instances = remember(() => readInstances(options));
  /** Of each case that is followed its text, and whether it goes on; the same for all who listen. */
  const overview = remember(async () => {
    const [open, newest] = await Promise.all([options.cases.open(MAX_OPEN), options.cases.list(undefined, MAX_NEWEST)]);
    const rows = new Map([...open, ...newest].map((row) => [row.order, row]));
    const all = (await instances()).instances;
    const texts = new Map<string, string>();
    for (const [order, row] of rows) {
      texts.set(order, JSON.stringify(viewCase(row, all)));
      await breathe();
    }
    return { texts, open: new Set(open.map(({ order }) => order)) };
  });
  /** By order, of those that somebody listens to. */
  const details = new Map<string, { listeners: number; readonly look: () => Promise<Told[]> }>();
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
      let followed: ReadonlySet<string> = new Set();
      return stream(reply, async () => {
        const { texts, open } = await overview();
        // What has just ended is told once more, however old it is.
        const ended = [...followed].filter((order) => !texts.has(order));
        followed = open;
        const told = [...texts].map(([id, text]) => ({ id, text }));
        for (const order of ended) {
          const row = await options.cases.find(order);
          if (row !== undefined)
            told.push({ id: order, text: JSON.stringify(viewCase(row, (await instances()).instances)) });
        }
        return told;
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
      if ((await options.cases.find(order)) === undefined)
        throw new KeelsonError('not_found', 'there is no such order (yet)');
      const detail = details.get(order) ?? { listeners: 0, look: remember(find) };
      const answer = stream(reply, detail.look);
      details.set(order, detail);
      detail.listeners++;
      reply.raw.once('close', () => {
        if (--detail.listeners === 0) details.delete(order);
      });
      return answer;
    },
  );
}

/** An event for each case that is not as it was told last, until nobody listens. */
async function* tell(look: () => Promise<Told[]>, gone: AbortSignal): AsyncGenerator<string, void, undefined> {
  let told = new Map<string, string>();
  let beatMs = performance.now();
  const endMs = beatMs + LISTEN_MS;
  yield ': cases\n\n';
  while (!gone.aborted && performance.now() < endMs) {
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

/** Asks one at a time, and not again for `FRESH_MS`. */
function remember<T>(ask: () => Promise<T>): () => Promise<T> {
  let last: Promise<T> | undefined;
  /** Infinity while it is asked. */
  let untilMs = Infinity;
  return () => {
    if (last === undefined || performance.now() > untilMs) {
      untilMs = Infinity;
      last = ask();
      last.then(
        () => (untilMs = performance.now() + FRESH_MS),
        () => (last = undefined),
      );
    }
    return last;
  };
}
