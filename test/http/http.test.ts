import { once } from 'node:events';
import { connect } from 'node:net';
import { Type } from 'typebox';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import type { Http } from '../../src/http/http.js';
import { whenGone } from '../../src/http/when-gone.js';
import { openHttp } from './support.js';

let http: Http;
afterEach(() => http.close());

interface ProblemBody {
  code: string;
  status: number;
  type: string;
  requestId?: string;
  pointer?: string;
  detail: string;
}

async function open(settings = {}): Promise<Http> {
  ({ http } = await openHttp(settings));
  http.get('/v1/things/:id', { config: { access: ['read'] } }, async (request) => ({ caller: request.caller.tokenId }));
  http.post(
    '/v1/things',
    {
      config: { access: ['admin'] },
      schema: { body: Type.Object({ n: Type.Integer() }, { additionalProperties: false }) },
    },
    async (request) => request.body,
  );
  http.get('/boom', { config: { access: 'public' } }, async () => {
    throw new Error('the secret inside');
  });
  http.get('/coded', { config: { access: 'public' } }, async () => {
    throw new KeelsonError('event_log_unavailable', 'down', { retryAfterS: 7 });
  });
  return http;
}

describe('problems', () => {
  test.each([
    ['GET', '/nothing', 404, 'not_found'],
    ['HEAD', '/nothing', 404, undefined],
    ['DELETE', '/v1/things/7', 405, 'method_not_allowed'],
    ['PUT', '/v1/things', 405, 'method_not_allowed'],
    ['GET', '/v1/things/7', 401, 'unauthenticated'],
    ['GET', '/v1/things/%zz', 400, 'malformed_request'],
    ['GET', '/v1/things/a%00', 400, 'nul_character'],
    ['GET', '/v1/things/7?of=%00', 400, 'nul_character'],
    ['GET', '/boom', 500, 'internal'],
    ['GET', '/coded', 503, 'event_log_unavailable'],
  ] as const)('%s %s is %i %s', async (method, url, status, code) => {
    await open();
    const answer = await http.inject({ method, url });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.headers['x-request-id']).toBeDefined();
    if (code === undefined) return;
    const problem = answer.json<ProblemBody>();
    expect(problem).toMatchObject({ code, status, type: `urn:keelson:problem:${code}` });
    expect(problem.requestId).toBe(answer.headers['x-request-id']);
    expect(problem.detail).not.toContain('secret');
  });

  test('405 lists what is allowed; 503 says when to come back; 401 says how', async () => {
    await open();
    expect((await http.inject({ method: 'DELETE', url: '/v1/things/7?x=1' })).headers.allow).toBe('GET, HEAD');
    expect((await http.inject('/coded')).headers['retry-after']).toBe('7');
    expect((await http.inject('/v1/things/7')).headers['www-authenticate']).toContain('Bearer');
  });

  test('a caller without the scope is forbidden, one with it is known to the handler', async () => {
    await open();
    const refused = await http.inject({ url: '/v1/things/7', headers: { authorization: 'Bearer admin' } });
    expect(refused.statusCode).toBe(403);
    expect(refused.json<ProblemBody>().code).toBe('forbidden');
    const served = await http.inject({ url: '/v1/things/7', headers: { authorization: 'Bearer read' } });
    expect(served.json()).toEqual({ caller: 'test' });
  });

  test.each([
    ['not json', '{"n":', 'malformed_json', 400],
    ['prototype', '{"__proto__":{"n":1}}', 'invalid_request', 400],
    ['nothing', '', 'malformed_json', 400],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'malformed_json', 400],
    ['a member twice', '{"n":1,"n":2}', 'duplicate_member', 400],
    ['half a surrogate pair', '{"n":"\\ud800"}', 'lone_surrogate', 400],
    ['a NUL', '{"n":"\\u0000"}', 'nul_character', 400],
    ['deep nesting', `{"n":${'['.repeat(100_000)}`.slice(0, 60_000), 'too_deep', 400],
    ['a number that no double holds', '{"n":12345678901234567890}', 'invalid_request', 400],
    ['an infinite number', '{"n":1e400}', 'invalid_request', 400],
    ['a string for a number is not coerced', '{"n":"1"}', 'invalid_request', 400],
    ['an unknown member is refused, not dropped', '{"n":1,"m":2}', 'invalid_request', 400],
    ['too large', `{"n":1,"m":"${'x'.repeat(70_000)}"}`, 'too_large', 413],
  ])('body: %s', async (_name, payload, code, status) => {
    await open();
    const headers = { authorization: 'Bearer admin', 'content-type': 'application/json' };
    const answer = await http.inject({ method: 'POST', url: '/v1/things', headers, payload });
    expect(answer.json<ProblemBody>().code).toBe(code);
    expect(answer.statusCode).toBe(status);
  });

  test('a wrong member is pointed at; a wrong media type is named', async () => {
    await open();
    const authorization = 'Bearer admin';
    const wrong = await http.inject({
      method: 'POST',
      url: '/v1/things',
      headers: { authorization },
      payload: { n: 'x' },
    });
    expect(wrong.json<ProblemBody>().pointer).toBe('/n');
    const media = await http.inject({
      method: 'POST',
      url: '/v1/things',
      headers: { authorization, 'content-type': 'text/csv' },
      payload: 'a,b',
    });
    expect(media.json<ProblemBody>().code).toBe('unsupported_media_type');
  });

  test('a route that does not say who may call it is refused', async () => {
    await open();
    expect(() => http.get('/open', async () => 1)).toThrow(/who may call/);
  });
});

describe('below the framework', () => {
  /** Writes raw bytes and resolves with everything that comes back until the server closes. */
  async function exchange(bytes: string): Promise<string> {
    await http.listen({ host: '127.0.0.1', port: 0 });
    const address = http.server.address() as { port: number };
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(address.port, '127.0.0.1', () => socket.write(bytes));
      socket.on('data', (data) => (text += data.toString('utf8')));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
  }

  test.each([
    ['garbage', 'NONSENSE\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'malformed_request',
    ],
    ['no Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    ['long headers', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s is a problem, too', async (_name, bytes, status, code) => {
    await open();
    const answer = await exchange(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ code, status });
  });

  test('a client that sends its headers too slowly is answered and cut off', async () => {
    await open({ KEELSON_HTTP_HEADERS_TIMEOUT_MS: 200, KEELSON_HTTP_REQUEST_TIMEOUT_MS: 400 });
    const answer = await exchange('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/);
    expect(answer).toContain('request_timeout');
  });
});

describe('an answer that waits', () => {
  let begun = 0;
  async function openWaiting(): Promise<{ port: number; waiting: Promise<void>; gone: Promise<unknown> }> {
    await open();
    begun = 0;
    let tell: { waiting: () => void; gone: (reason: unknown) => void };
    const waiting = new Promise<void>((begin) => (tell = { waiting: begin, gone: () => undefined }));
    const gone = new Promise<unknown>((end) => (tell = { ...tell, gone: end }));
    http.get('/waiting', { config: { access: 'public' } }, async (_request, reply) => {
      const signal = whenGone(reply);
      begun++;
      tell.waiting();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      tell.gone(undefined);
      return { done: true };
    });
    await http.listen({ host: '127.0.0.1', port: 0 });
    return { port: (http.server.address() as { port: number }).port, waiting, gone };
  }

  test('ends when the server is about to stop, and still comes, however many wait', async () => {
    const { port } = await openWaiting();
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warn);
    const answers = Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${port}/waiting`));
    await vi.waitFor(() => expect(begun).toBe(20));
    await http.close();
    for (const answer of answers) expect(await (await answer).json()).toEqual({ done: true });
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });

  test('ends when nobody is there to take it', async () => {
    const { port, waiting, gone } = await openWaiting();
    const client = connect(port, '127.0.0.1', () => client.write('GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n'));
    await waiting;
    client.destroy();
    await gone;
  });

  test('is over where nobody is there any more when it begins', async () => {
    await open();
    const told = new Promise<boolean>((tell) => {
      http.get('/late', { config: { access: 'public' } }, async (_request, reply) => {
        const left = once(reply.raw, 'close');
        client.destroy();
        await left;
        tell(whenGone(reply).aborted);
        return { done: true };
      });
    });
    await http.listen({ host: '127.0.0.1', port: 0 });
    const { port } = http.server.address() as { port: number };
    const client = connect(port, '127.0.0.1', () => client.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\n'));
    expect(await told).toBe(true);
  });
});

test('who connected and has not asked does not hold up a stop', async () => {
  await open();
  await http.listen({ host: '127.0.0.1', port: 0 });
  const { port } = http.server.address() as { port: number };
  const [silent, halfway] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  halfway.write('GET /livez HTTP/1.1\r\nHo');
  await Promise.all([once(silent, 'connect'), once(http.server, 'connection'), once(halfway, 'connect')]);
  const ended = [silent, halfway].map(
    (socket) => new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve)),
  );
  // Node itself would wait for its headers: a minute.
  await http.close();
  await Promise.all(ended);
}, 20_000);

describe('bounded work', () => {
  test.each([
    ['a scope', ['read'] as const],
    ['that the route tells who calls', 'own' as const],
  ])('one request too many is overloaded, and a place is free again after an answer: %s', async (_what, access) => {
    await open({ KEELSON_HTTP_MAX_REQUESTS: 1 });
    let finish = (): void => undefined;
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    http.get('/slow', { config: { access } }, async () => {
      entered();
      await new Promise<void>((resolve) => (finish = resolve));
      return { done: true };
    });
    const headers = { authorization: 'Bearer read' };
    const first = http.inject({ url: '/slow', headers: access === 'own' ? {} : headers });
    await inside;
    const second = await http.inject({ url: '/v1/things/1', headers });
    expect(second.statusCode).toBe(503);
    expect(second.headers['retry-after']).toBeDefined();
    expect(second.json<ProblemBody>().code).toBe('overloaded');
    expect((await http.inject('/livez')).statusCode).toBe(200);
    finish();
    expect((await first).statusCode).toBe(200);
    expect((await http.inject({ url: '/v1/things/1', headers })).statusCode).toBe(200);
  });

  test('a client that goes away gives its place back', async () => {
    await open({ KEELSON_HTTP_MAX_REQUESTS: 1 });
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    http.get('/stuck', { config: { access: ['read'] } }, async (_request, reply) => {
      entered();
      await new Promise<void>((resolve) => reply.raw.once('close', resolve));
      return reply;
    });
    await http.listen({ host: '127.0.0.1', port: 0 });
    const { port } = http.server.address() as { port: number };
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET /stuck HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer read\r\n\r\n');
    });
    await inside;
    socket.destroy();
    await expect
      .poll(
        async () => (await http.inject({ url: '/v1/things/1', headers: { authorization: 'Bearer read' } })).statusCode,
      )
      .toBe(200);
  });
});

describe('operations', () => {
  test('ready only when every check is; a hanging check is not', async () => {
    const opened = await openHttp();
    http = opened.http;
    expect((await http.inject('/readyz')).statusCode).toBe(200);
    opened.readiness.add('database', () => Promise.reject(new KeelsonError('database_unavailable', 'no connection')));
    opened.readiness.add('stuck', () => new Promise(() => undefined));
    opened.readiness.add('bug', () => {
      throw new Error('password=1234');
    });
    opened.readiness.add('fine', () => undefined);
    const answer = await http.inject('/readyz');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({
      code: 'not_ready',
      checks: [
        { name: 'database', ready: false, code: 'database_unavailable' },
        { name: 'stuck', ready: false, code: 'timeout' },
        { name: 'bug', ready: false, code: 'internal' },
        { name: 'fine', ready: true },
      ],
    });
    expect(answer.body).not.toContain('1234');
    expect(() => opened.readiness.add('fine', () => undefined)).toThrow();
  });

  test('metrics, description and pages are open; the description names every route and its scheme', async () => {
    await open();
    await http.inject('/livez');
    const metrics = await http.inject('/metrics');
    expect(metrics.body).toMatch(/keelson_http_request_seconds_count\{method="GET",route="\/livez",status="200"\} 1/);
    const openapi = (await http.inject('/openapi.json')).json<{
      paths: Record<string, Record<string, { security?: unknown }>>;
    }>();
    expect(openapi.paths['/v1/things/{id}']?.get?.security).toEqual([{ token: [] }]);
    expect(openapi.paths['/readyz']?.get).toBeDefined();
    const page = await http.inject('/docs');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-security-policy']).toBeDefined();
  });

  test('an X-Request-Id is echoed when harmless, replaced when not', async () => {
    await open();
    const harmless = await http.inject({ url: '/livez', headers: { 'x-request-id': 'abc-1' } });
    expect(harmless.headers['x-request-id']).toBe('abc-1');
    const harmful = await http.inject({ url: '/livez', headers: { 'x-request-id': 'a\tb' } });
    expect(harmful.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});
