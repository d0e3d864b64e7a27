/** What a guard counts, and its text: names and labels last, for dashboards stand on them. */
import { expect, it } from 'vitest';
import { Holdings } from '../../src/guard/holdings.js';
import { Counters, formatMetrics, type GuardMetrics } from '../../src/guard/metrics.js';
import { makeGuard, ModelFeed } from './support.js';

const counts = { taken: 9, sent: 5, lost: 1, quarantined: 2, waiting: 3, waitingBytes: 400 };

it('is told in the words that it is scraped by', () => {
  const metrics: GuardMetrics = {
    ...{ state: 'stale', connection: 'poll', leaseAgeMs: 1_500, seq: 7, seqLag: 2, ackedSeq: 5 },
    ...{ facts: 4, tableBytes: 2_048, allowed: 10, refused: { blocked: 3, stale: 1 }, rejected: { bad_signature: 6 } },
    ...{ aborted: 8, sessions: 11, keptTokens: 12, publisher: counts },
  };
  const text = formatMetrics(metrics);
  expect(text.replace(/^# HELP (\w+) \S.*$/gm, '# HELP $1')).toBe(
    [
      ...['# HELP keelson_guard_state', '# TYPE keelson_guard_state gauge'],
      'keelson_guard_state{state="starting"} 0',
      'keelson_guard_state{state="stale"} 1',
      'keelson_guard_state{state="trusting"} 0',
      ...['# HELP keelson_guard_connection', '# TYPE keelson_guard_connection gauge'],
      'keelson_guard_connection{state="connecting"} 0',
      'keelson_guard_connection{state="websocket"} 0',
      'keelson_guard_connection{state="poll"} 1',
      'keelson_guard_connection{state="closed"} 0',
      ...one('lease_age_seconds', 'gauge', 1.5),
      ...one('seq', 'gauge', 7),
      ...one('seq_lag', 'gauge', 2),
      ...one('acked_seq', 'gauge', 5),
      ...one('facts', 'gauge', 4),
      ...one('table_bytes', 'gauge', 2_048),
      ...one('allowed_total', 'counter', 10),
      ...['# HELP keelson_guard_refused_total', '# TYPE keelson_guard_refused_total counter'],
      'keelson_guard_refused_total{reason="blocked"} 3',
      'keelson_guard_refused_total{reason="stale"} 1',
      ...['# HELP keelson_guard_rejected_total', '# TYPE keelson_guard_rejected_total counter'],
      'keelson_guard_rejected_total{code="bad_signature"} 6',
      ...one('aborted_total', 'counter', 8),
      ...one('sessions', 'gauge', 11),
      ...one('kept_tokens', 'gauge', 12),
      ...one('decisions_taken_total', 'counter', 9),
      ...one('decisions_sent_total', 'counter', 5),
      ...one('decisions_lost_total', 'counter', 1),
      ...one('decisions_quarantined_total', 'counter', 2),
      ...one('spool_records', 'gauge', 3),
      ...one('spool_bytes', 'gauge', 400),
      '',
    ].join('\n'),
  );
  const less = formatMetrics({ ...metrics, leaseAgeMs: undefined, refused: {}, rejected: {}, publisher: undefined });
  expect(less).not.toMatch(/lease_age|refused|rejected|decisions|spool|undefined/);
});

const one = (name: string, type: string, value: number): string[] => [
  `# HELP keelson_guard_${name}`,
  `# TYPE keelson_guard_${name} ${type}`,
  `keelson_guard_${name} ${value}`,
];

it('is what the guard is at this moment', () => {
  const guard = makeGuard();
  const feed = new ModelFeed();
  const counters = new Counters();
  const now = (): GuardMetrics => counters.metrics(guard.core, 'websocket', new Holdings(), counts);
  expect(now()).toEqual({
    ...{ state: 'starting', connection: 'websocket', leaseAgeMs: undefined, seq: 0, seqLag: 0, ackedSeq: 0 },
    ...{ facts: 0, tableBytes: guard.core.table?.byteLength ?? 0, allowed: 0, refused: {}, rejected: {} },
    ...{ aborted: 0, sessions: 0, keptTokens: 0, publisher: counts },
  });
  guard.hear(feed.keySet());
  const request = guard.ask();
  feed.block(new Uint8Array(16));
  guard.hear(feed.grant(request, 2_000));
  // A lease on a table that is behind.
  expect(now()).toMatchObject({ state: 'starting', seqLag: 2 });
  guard.hear(feed.frame(0));
  guard.clock.pass(1_000);
  expect(now()).toMatchObject({ state: 'trusting', leaseAgeMs: 3, seq: 2, seqLag: 0, facts: 2 });
  expect(now().tableBytes).toBe(guard.core.table!.byteLength);
  guard.clock.pass(59_996_999);
  expect(now().state).toBe('trusting');
  guard.clock.pass(1);
  expect(now().state).toBe('stale');
  counters.count({ allowed: true });
  for (const reason of ['stale', 'blocked', 'stale'] as const) counters.count({ allowed: false, reason, seq: 1 });
  for (const code of ['bad_signature', 'bad_signature', 'malformed_message'] as const) counters.reject(code);
  expect(now()).toMatchObject({
    allowed: 1,
    refused: { stale: 2, blocked: 1 },
    rejected: { bad_signature: 2, malformed_message: 1 },
  });
});
