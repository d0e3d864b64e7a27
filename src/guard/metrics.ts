/** How a guard is doing: a plain object, and the same as text for Prometheus. */
import type { ErrorCode } from '../core/error.js';
import type { Decision, RefusalReason } from './check.js';
import type { ConnectionState } from './connection.js';
import type { GuardCore } from './core.js';
import type { Holdings } from './holdings.js';
import type { PublisherCounts } from './publisher.js';

export interface GuardMetrics {
  /** `trusting` while something may be allowed. */
  readonly state: 'starting' | 'stale' | 'trusting';
  readonly connection: ConnectionState;
  /** How old the table may be at this moment, milliseconds; undefined: there is no lease. */
  readonly leaseAgeMs: number | undefined;
  readonly seq: number;
  /** Changes that it knows of and has not applied. */
  readonly seqLag: number;
  /** The seq that was attested last. */
  readonly ackedSeq: number;
  readonly facts: number;
  readonly tableBytes: number;
  /** Since the start, as what follows. */
  readonly allowed: number;
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
  /** Messages of the feed that were of no use, by code. */
  readonly rejected: Readonly<Partial<Record<ErrorCode, number>>>;
  readonly aborted: number;
  /** Now. */
  readonly sessions: number;
  readonly keptTokens: number;
  /** Decisions on their way to the ledger; undefined: they go nowhere. */
  readonly publisher: PublisherCounts | undefined;
}

export class Counters {
  allowed = 0;
  aborted = 0;
  readonly #refused = new Map<RefusalReason, number>();
  readonly #rejected = new Map<ErrorCode, number>();

  count(decision: Decision): void {
    if (decision.allowed) this.allowed++;
    else this.#refused.set(decision.reason, (this.#refused.get(decision.reason) ?? 0) + 1);
  }

  reject(code: ErrorCode): void {
    this.#rejected.set(code, (this.#rejected.get(code) ?? 0) + 1);
  }

  metrics(
    core: GuardCore,
    connection: ConnectionState,
    holdings: Holdings,
    publisher: PublisherCounts | undefined,
  ): GuardMetrics {
    core.time.read();
    const { table, lease, leaseAgeUs } = core;
    const trusts = lease !== undefined && core.isCurrent;
    return {
      state: !trusts ? 'starting' : leaseAgeUs < core.maxStalenessUs ? 'trusting' : 'stale',
      connection,
      leaseAgeMs: lease === undefined ? undefined : leaseAgeUs / 1000,
      seq: table?.seq ?? 0,
      seqLag: core.seqLag,
      ackedSeq: core.ackedSeq,
      facts: table?.size ?? 0,
      tableBytes: table?.byteLength ?? 0,
      allowed: this.allowed,
      refused: Object.fromEntries(this.#refused),
      rejected: Object.fromEntries(this.#rejected),
      aborted: this.aborted,
      sessions: holdings.sessions,
      keptTokens: holdings.tokens,
      publisher,
    };
  }
}

type Sample = readonly [labels: string, value: number];

/** Text exposition format 0.0.4 of Prometheus. */
export function formatMetrics(metrics: GuardMetrics): string {
  const { publisher } = metrics;
  const lines: string[] = [];
  const add = (name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): void => {
    if (samples.length === 0) return;
    lines.push(`# HELP keelson_guard_${name} ${help}`, `# TYPE keelson_guard_${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`keelson_guard_${name}${labels} ${value}`);
  };
  const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [['', value]]);
  const by = (label: string, values: object): Sample[] =>
    Object.entries(values).map(([key, value]) => [`{${label}="${key}"}`, value as number]);
  const states = ['starting', 'stale', 'trusting'] as const;
  const connections = ['connecting', 'websocket', 'poll', 'closed'] as const;
  const among = (all: readonly string[], now: string): object =>
    Object.fromEntries(all.map((state) => [state, state === now ? 1 : 0]));

  add('state', 'gauge', 'Whether it trusts its table', by('state', among(states, metrics.state)));
  add('connection', 'gauge', 'How the feed is heard', by('state', among(connections, metrics.connection)));
  const { leaseAgeMs } = metrics;
  const leaseAgeS = leaseAgeMs === undefined ? undefined : leaseAgeMs / 1000;
  add('lease_age_seconds', 'gauge', 'How old the table may be', one(leaseAgeS));
  add('seq', 'gauge', 'The change that the table is at', one(metrics.seq));
  add('seq_lag', 'gauge', 'Changes that are known of and not applied', one(metrics.seqLag));
  add('acked_seq', 'gauge', 'The change that was attested last', one(metrics.ackedSeq));
  add('facts', 'gauge', 'Keys that the table says something of', one(metrics.facts));
  add('table_bytes', 'gauge', 'Memory of the table', one(metrics.tableBytes));
  add('allowed_total', 'counter', 'Checks that nothing spoke against', one(metrics.allowed));
  add('refused_total', 'counter', 'Checks that were refused', by('reason', metrics.refused));
  add('rejected_total', 'counter', 'Messages of the feed that were of no use', by('code', metrics.rejected));
  add('aborted_total', 'counter', 'Sessions that were ended by revocation', one(metrics.aborted));
  add('sessions', 'gauge', 'Sessions that go on', one(metrics.sessions));
  add('kept_tokens', 'gauge', 'Cached tokens that are followed', one(metrics.keptTokens));
  add('decisions_taken_total', 'counter', 'Decisions to be published', one(publisher?.taken));
  add('decisions_sent_total', 'counter', 'Decisions that the server has', one(publisher?.sent));
  add('decisions_lost_total', 'counter', 'Decisions that could not be kept: gaps', one(publisher?.lost));
  add('decisions_quarantined_total', 'counter', 'Decisions that the server can’t read', one(publisher?.quarantined));
  add('spool_records', 'gauge', 'Decisions that wait', one(publisher?.waiting));
  add('spool_bytes', 'gauge', 'Bytes of decisions that wait', one(publisher?.waitingBytes));
  return `${lines.join('\n')}\n`;
}
