/** What a host is told to drop, and what is ended; metrics of it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { KnownToken, KnownTool, Refused } from '../../src/guard/check.js';
import { Guard } from '../../src/guard/guard.js';
import { Holdings, type Revoked } from '../../src/guard/holdings.js';
import { formatMetrics } from '../../src/guard/metrics.js';
import { step } from '../../src/guard/step.js';
import { guardKey, instanceSigner, keyOf, LEDGER, ModelFeed, rootSigner, seed } from './support.js';

let feed: ModelFeed;
let guard: Guard;
let told: Revoked[];

beforeEach(() => {
  feed = new ModelFeed();
  told = [];
  guard = new Guard({
    url: 'http://127.0.0.1:1',
    membership: {
      instance: seed('an instance').subarray(0, 16),
      ledger: LEDGER,
      generation: 1,
      guardKey,
      rootKey: rootSigner.publicKey,
      signer: instanceSigner,
    },
  });
  guard.onRevoked((revoked) => told.push(revoked));
  guard.hear(feed.keySet());
  guard.hear(feed.frame(0));
  const [sent] = step(guard.core, { kind: 'tick', random: seed('nonce').subarray(0, 16) });
  if (sent?.kind === 'send') guard.hear(feed.grant(sent.bytes));
});
afterEach(() => guard.close());

const tokenOf = (subject: string): ReturnType<Guard['token']> =>
  guard.token({ iss: 'https://idp', sub: subject, iat: 1_700_000_000 });

function block(...keys: Uint8Array[]): void {
  const from = feed.table.seq;
  feed.block(...keys);
  guard.hear(feed.frame(from));
}

it('tells of each token that is to be dropped, and each session that was ended, once', () => {
  const [ana, bob] = [tokenOf('ana'), tokenOf('bob')];
  guard.keep(ana);
  guard.keep(bob);
  const forget = guard.keep(ana);
  expect(guard.metrics().keptTokens).toBe(3);
  for (let i = 0; i < 2; i++) forget();
  expect(guard.metrics().keptTokens).toBe(2);
  const [first, second, his] = [guard.session(ana), guard.session(ana, 'deploy'), guard.session(bob)];
  first.close();
  block(keyOf('principal', 'ana'), keyOf('principal', 'nobody'));
  expect(told).toEqual([{ tokens: [ana], sessions: [second] }]);
  expect(told[0]!.tokens[0]).toBe(ana);
  expect([first.signal.aborted, his.signal.aborted]).toEqual([false, false]);
  expect(second.signal.reason).toMatchObject({ allowed: false, reason: 'blocked', seq: 1 });
  block(keyOf('principal', 'carl'));
  expect(told).toHaveLength(1);
  expect(guard.metrics()).toMatchObject({ sessions: 1, keptTokens: 1, aborted: 1 });
});

it('a tool that is blocked ends what calls it, and no token', () => {
  const ana = tokenOf('ana');
  guard.keep(ana);
  const [deploy, read] = [guard.session(ana, 'deploy'), guard.session(ana, 'read')];
  block(keyOf('tool', 'deploy'));
  expect(told).toEqual([{ tokens: [], sessions: [deploy] }]);
  expect(read.signal.aborted).toBe(false);
  expect(guard.check(ana, 'deploy')).toMatchObject({ allowed: false, reason: 'blocked' });
  expect(guard.check(ana, 'read')).toEqual({ allowed: true });
});

it('what was revoked between its check and its session is ended at once, and dropped', async () => {
  const [ana, bob] = [tokenOf('ana'), tokenOf('bob')];
  expect(guard.check(ana, 'deploy')).toEqual({ allowed: true });
  block(keyOf('principal', 'ana'), keyOf('tool', 'deploy'));
  expect([guard.session(ana).signal.aborted, guard.session(bob, 'deploy').signal.aborted]).toEqual([true, true]);
  expect(guard.session(bob).signal.aborted).toBe(false);
  expect(told).toHaveLength(2);
  guard.keep(ana);
  guard.keep(bob);
  await Promise.resolve();
  expect(told[2]).toEqual({ tokens: [ana], sessions: [] });
  expect(guard.metrics()).toMatchObject({ sessions: 1, keptTokens: 1, aborted: 2 });
});

it('a tool that may be less stale than when its session began is held to that', () => {
  const ana = tokenOf('ana');
  const [deploy, other] = [guard.session(ana, 'deploy'), guard.session(ana, 'read')];
  feed.setStaleness('deploy', 1_000);
  guard.hear(feed.frame(0));
  guard.core.lease = { sent: guard.core.lease!.sent, readAgeUs: 30_000_000 };
  guard.tick();
  expect([deploy.signal.aborted, other.signal.aborted]).toEqual([true, false]);
});

it('a whole new table is held against all of them', () => {
  const [ana, bob] = [tokenOf('ana'), tokenOf('bob')];
  for (const one of [ana, bob]) guard.keep(one);
  const session = guard.session(ana);
  feed.block(keyOf('principal', 'ana'));
  guard.hear(feed.snapshot());
  expect(told).toEqual([{ tokens: [ana], sessions: [session] }]);
});

it('what nobody can vouch for any more is ended; the token stays', () => {
  feed.setStaleness('deploy', 1_000);
  guard.hear(feed.frame(0));
  const ana = tokenOf('ana');
  guard.keep(ana);
  expect(guard.check(ana).allowed).toBe(true);
  const [deploy, other] = [guard.session(ana, 'deploy'), guard.session(ana)];
  // A nonce was sent long before.
  guard.check(ana, 'deploy');
  guard.core.lease = { sent: guard.core.lease!.sent, readAgeUs: 30_000_000 };
  guard.tick();
  expect(told).toEqual([{ tokens: [], sessions: [deploy] }]);
  expect((deploy.signal.reason as Refused).reason).toBe('stale');
  guard.core.lease = { sent: guard.core.lease.sent, readAgeUs: 60_000_000 };
  guard.tick();
  expect(other.signal.aborted).toBe(true);
  expect(told).toHaveLength(2);
  expect(guard.metrics()).toMatchObject({ state: 'stale', keptTokens: 1, sessions: 0 });
});

it('a listener that throws keeps nobody from being told', () => {
  guard.onRevoked(() => {
    throw new Error('a bug of the host');
  });
  const later: Revoked[] = [];
  guard.onRevoked((revoked) => later.push(revoked));
  guard.keep(tokenOf('ana'));
  block(keyOf('principal', 'ana'));
  expect(later).toHaveLength(1);
});

it('metrics are a plain object, and Prometheus text', () => {
  const ana = tokenOf('ana');
  for (let i = 0; i < 3; i++) guard.check(ana);
  block(keyOf('principal', 'ana'));
  for (let i = 0; i < 2; i++) guard.check(ana);
  guard.hear(new Uint8Array(9));
  const metrics = guard.metrics();
  expect(metrics).toMatchObject({
    state: 'trusting',
    connection: 'closed',
    seq: 2,
    seqLag: 0,
    facts: 2,
    allowed: 3,
    refused: { blocked: 2 },
    rejected: { malformed_message: 1 },
    publisher: undefined,
  });
  expect(JSON.parse(JSON.stringify(metrics))).toMatchObject({ seq: 2 });
  const text = formatMetrics(metrics);
  expect(text).toContain('\nkeelson_guard_refused_total{reason="blocked"} 2\n');
  expect(text).toContain('\nkeelson_guard_state{state="trusting"} 1\n');
  expect(text).toMatch(/^keelson_guard_lease_age_seconds \d/m);
  for (const line of text.trimEnd().split('\n')) {
    expect(line).toMatch(/^(# (HELP|TYPE) keelson_guard_\w+ .+|keelson_guard_\w+(\{\w+="\w+"\})? -?[\d.e-]+)$/);
  }
  // A grant for a head that is not applied yet.
  guard.core.asked = undefined;
  const [sent] = step(guard.core, { kind: 'tick', random: seed('another').subarray(0, 16) });
  feed.block(keyOf('principal', 'bob'));
  if (sent?.kind === 'send') guard.hear(feed.grant(sent.bytes));
  expect(guard.metrics().seqLag).toBe(2);
});

/** Held by what it is told of them: the keys that changed, and who is refused. */
class Told {
  readonly holdings = new Holdings();
  readonly asked: [KnownToken, KnownTool | undefined][] = [];
  readonly #refused = new Map<unknown, Refused>();

  token = (...names: string[]): KnownToken => ({ names }) as unknown as KnownToken;
  tool = (...names: string[]): KnownTool => ({ names }) as unknown as KnownTool;

  refuse(what: KnownToken | KnownTool): void {
    this.#refused.set(what, { allowed: false, reason: 'blocked', seq: 1 });
  }

  refusalOf = (token: KnownToken, tool: KnownTool | undefined): Refused | undefined => {
    this.asked.push([token, tool]);
    return this.#refused.get(token) ?? this.#refused.get(tool ?? '');
  };
}

it('asks of those alone that stand on what changed, and lets go on what is not refused', () => {
  const { holdings, asked, refusalOf, ...told } = new Told();
  const tool = told.tool('deploy');
  const [ana, bob, carl] = [told.token('ana', 'client'), told.token('bob', 'client'), told.token('carl')];
  for (const one of [ana, bob, carl]) holdings.keep(one);
  const [his, other] = [holdings.open(bob, tool), holdings.open(carl, undefined)];
  expect(holdings.end(['nobody'], refusalOf)).toEqual({ tokens: [], sessions: [] });
  expect(asked).toEqual([]);
  expect(holdings.end(['client', 'ana', 'client'], refusalOf)).toEqual({ tokens: [], sessions: [] });
  expect(new Set(asked.map(([token]) => token))).toEqual(new Set([ana, bob]));
  expect(holdings.end(undefined, refusalOf)).toEqual({ tokens: [], sessions: [] });
  expect([his.signal.aborted, other.signal.aborted, holdings.tokens, holdings.sessions]).toEqual([false, false, 3, 2]);
});

it('tells of each once, whatever they stand on, and forgets what was ended', () => {
  const told = new Told();
  const { holdings, refusalOf } = told;
  const [ana, tool] = [told.token('ana', 'client'), told.tool('deploy', 'ana')];
  holdings.keep(ana);
  const session = holdings.open(ana, tool);
  told.refuse(ana);
  expect(holdings.end(['deploy', 'ana', 'client'], refusalOf)).toEqual({ tokens: [ana], sessions: [session] });
  expect(session.signal.reason).toMatchObject({ reason: 'blocked' });
  for (let i = 0; i < 2; i++) session.close();
  // A token that names its tool stands on it once.
  holdings.open(told.token('deploy'), told.tool('deploy')).close();
  expect([holdings.tokens, holdings.sessions]).toEqual([0, 0]);
  expect(holdings.end(['ana'], refusalOf)).toEqual({ tokens: [], sessions: [] });
  holdings.keep(ana);
  expect(holdings.end(['ana'], refusalOf)).toEqual({ tokens: [ana], sessions: [] });
});

it('does not end what its host closes while another is ended', () => {
  const told = new Told();
  const { holdings, refusalOf } = told;
  const ana = told.token('ana');
  const [first, second] = [holdings.open(ana, undefined), holdings.open(ana, undefined)];
  first.signal.addEventListener('abort', () => second.close());
  told.refuse(ana);
  expect(holdings.end(['ana'], refusalOf)).toEqual({ tokens: [ana], sessions: [first] });
  expect([second.signal.aborted, holdings.sessions]).toEqual([false, 0]);
});
