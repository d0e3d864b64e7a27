import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ProducerConfig } from '../../src/access/producer.js';
import { canonicalJson } from '../../src/events/canonical.js';
import { DEFAULT_JSON_LIMITS, type JsonObject } from '../../src/events/json.js';
import { stringifyJson } from '../../src/events/json-text.js';
import type { Arrived, Item, Refused } from '../../src/intake/item.js';
import { openOpa } from '../../src/intake/opa.js';

function parse(body: string | Buffer, config: ProducerConfig = {}, maxItemBytes = 1 << 20, partition?: string): Item[] {
  const options = {
    producer: { id: 'opa', config },
    limits: DEFAULT_JSON_LIMITS,
    maxItems: 100,
    maxItemBytes,
    digest: (content: JsonObject) => Buffer.from(canonicalJson(content)),
  };
  return [...openOpa(partition).parse(Buffer.from(body), options).items];
}

function parseOne(event: object, config?: ProducerConfig): Arrived {
  const [item] = parse(JSON.stringify([event]), config);
  if (item === undefined || 'error' in item) throw new Error(`refused: ${item?.error.message}`);
  return item;
}

function refusal(event: object, config?: ProducerConfig): Refused {
  const [item] = parse(JSON.stringify([event]), config);
  if (item === undefined || !('error' in item)) throw new Error('not refused');
  return item;
}

const plain = (item: Arrived): unknown => JSON.parse(stringifyJson(item.event));

const EVENT = {
  labels: { id: 'opa-1', version: '1.22.2' },
  decision_id: 'd-1',
  trace_id: '0af7651916cd43dd8448eb211c80319c',
  span_id: 'b7ad6b7169203331',
  bundles: { main: { revision: 'r7' }, extra: {} },
  path: 'mcp/authz/decision',
  input: { agent: 'spiffe://x/a', user: 'u@x', tool: 't', parameters: { n: 1 }, other: true },
  result: { allow: true, reasons: ['r'], obligations: ['o'] },
  requested_by: '127.0.0.1:1',
  timestamp: '2026-11-23T09:01:43.907910157Z',
  metrics: { timer_server_handler_ns: 1_500_000 },
  req_id: 1,
};

describe('an event of the decision log', () => {
  test('becomes a decision; what moved is gone from `opa`, what did not is still there', () => {
    const item = parseOne(EVENT);
    expect(item).toMatchObject({ id: 'd-1', source: 'opa-1', assigned: ['type'] });
    expect(plain(item)).toEqual({
      timestamp: EVENT.timestamp,
      type: 'decision.made',
      decision: 'allow',
      agent: 'spiffe://x/a',
      user: 'u@x',
      tool: 't',
      parameters: { n: 1 },
      reason_codes: ['r'],
      obligations: ['o'],
      policy: {
        engine: 'opa',
        path: 'mcp/authz/decision',
        bundles: [{ name: 'main', revision: 'r7' }, { name: 'extra' }],
      },
      trace: { trace_id: EVENT.trace_id, span_id: EVENT.span_id },
      latency_ms: 1.5,
      opa_mapping: { decision: '/result/allow', reason_codes: '/result/reasons' },
      opa: {
        labels: EVENT.labels,
        input: { other: true },
        result: { allow: true },
        requested_by: '127.0.0.1:1',
        metrics: EVENT.metrics,
        req_id: 1,
      },
    });
  });

  test.each([
    ['true', { result: true }, 'allow'],
    ['false', { result: false }, 'deny'],
    ['a word', { result: { decision: 'permit' } }, 'allow'],
    ['denied', { result: { allowed: 'denied' } }, 'deny'],
    ['undefined', { result: undefined }, 'deny'],
  ])('result %s', (_name, change, decision) => {
    expect(parseOne({ ...EVENT, ...change }).event.decision).toBe(decision);
  });

  test('an undefined result says so, and so does an error', () => {
    expect(parseOne({ ...EVENT, result: undefined }).event.reason_codes).toEqual(['undefined']);
    const failed = parseOne({ ...EVENT, result: undefined, error: { code: 'eval_conflict_error' } });
    expect(failed.event.reason_codes).toEqual(['undefined', 'error']);
    expect(plain(failed)).toMatchObject({ opa: { error: { code: 'eval_conflict_error' } } });
  });

  test.each([
    ['a result of another shape', { result: { x: 1 } }],
    ['null', { result: null }],
    ['an ad-hoc query', { result: [{ x: false }] }],
    ['an erased result', { result: undefined, erased: ['/result'] }],
    ['an erased allow', { result: {}, erased: ['/result/allow'] }],
    ['an overwritten allow', { result: { allow: true }, masked: ['/result/allow'] }],
  ])('%s is unmappable', (_name, change) => {
    const refused = refusal({ ...EVENT, ...change });
    expect(refused).toMatchObject({ error: { code: 'unmappable' }, id: 'd-1', type: 'decision.made' });
    expect(Buffer.from(refused.raw).toString()).toContain('"decision_id":"d-1"');
  });

  test('a mask elsewhere hides nothing of the decision', () => {
    const item = parseOne({ ...EVENT, erased: ['/input/secret', '/results'], masked: ['/input/tool'] });
    expect(plain(item)).toMatchObject({ decision: 'allow', opa: { erased: ['/input/secret', '/results'] } });
  });

  test('the other optional members are kept', () => {
    const more = {
      batch_decision_id: 'b-1',
      nd_builtin_cache: { 'time.now_ns': { '[]': 1 } },
      request_context: { http: { headers: { a: ['b'] } } },
      rule_labels: [{ team: 'x' }],
      mapped_result: { a: 1 },
      revision: 'old',
    };
    const { revision, ...kept } = more;
    expect(plain(parseOne({ ...EVENT, ...more }))).toMatchObject({ opa: kept, policy: { revision } });
  });

  test('bundles that would not survive as a list stay as they are', () => {
    const bundles = { main: { revision: 'r', size: 1 } };
    expect(plain(parseOne({ ...EVENT, bundles }))).toMatchObject({ opa: { bundles } });
  });

  test('a value of the wrong kind is not moved', () => {
    const item = parseOne({ ...EVENT, input: { agent: { id: 'nested' }, user: 7, context: 'text', parameters: null } });
    expect(plain(item)).toMatchObject({
      agent: 'nested',
      opa: { input: { agent: {}, user: 7, context: 'text', parameters: null } },
    });
    expect(item.event.user).toBeUndefined();
    expect(item.event.context).toBeUndefined();
  });
});

describe('a producer’s own mapping', () => {
  test('replaces the default pointers of the fields it names', () => {
    const config = { mappings: { opa: { agent: ['/input/who'], decision: ['/result/0/ok'] } } };
    const item = parseOne(
      { ...EVENT, input: { who: 'a', agent: 'not this', user: 'u' }, result: [{ ok: false }] },
      config,
    );
    expect(plain(item)).toMatchObject({
      agent: 'a',
      user: 'u',
      decision: 'deny',
      opa_mapping: { agent: '/input/who', decision: '/result/0/ok' },
      opa: { input: { agent: 'not this' }, result: [{ ok: false }] },
    });
  });

  test('two fields from one place, and one inside another: nothing is lost', () => {
    const config = { mappings: { opa: { agent: ['/input/context/who'], user: ['/input/context/who'] } } };
    const item = parseOne({ ...EVENT, input: { context: { who: 'w', environment: 'prod' } } }, config);
    expect(plain(item)).toMatchObject({ agent: 'w', user: 'w', context: { who: 'w', environment: 'prod' } });
  });
});

describe('a chunk', () => {
  test('as OPA 1.22.2 sent it: each event a decision or a quarantined one', () => {
    const items = parse(readFileSync(new URL('./opa-chunk.json', import.meta.url)));
    const told = items.map((item) => ('error' in item ? item.error.code : item.event.decision));
    expect(told).toEqual(['allow', 'deny', 'deny', 'unmappable', 'deny', 'unmappable']);
    const first = items[0] as Arrived;
    expect(stringifyJson(first.event)).toContain('"parameters":{"big":12345678901234567890,"n":1}');
  });

  test('bad events leave their neighbours alone', () => {
    const body = `[{"result":true}, 7, {"a":1,"a":2}, {"decision_id":5}, {"labels":{"id":7}}, {"result":false,"decision_id":"x"}]`;
    const told = parse(body).map((item) => ('error' in item ? item.error.code : item.event.decision));
    expect(told).toEqual(['allow', 'invalid_event', 'duplicate_member', 'invalid_event', 'invalid_event', 'deny']);
    expect(parse('[{"result":true},{"a":"xxxxxxxxxxxxxxxxxxxxx"}]', {}, 20)[1]).toMatchObject({
      error: { code: 'too_large' },
    });
  });

  test('the partition it was uploaded under is kept', () => {
    const [item] = parse(JSON.stringify([EVENT]), {}, 1 << 20, 'eu/west');
    expect((item as Arrived).event.opa_partition).toBe('eu/west');
  });

  test('one that can’t be split is refused whole', () => {
    expect(() => parse('[{"a":1}')).toThrow(expect.objectContaining({ code: 'malformed_json' }) as Error);
  });
});
