/** What `check` answers: what it remembers and when it looks again, its edges to the microsecond, and tools that fail open. */
import { describe, expect, it } from 'vitest';
import { check, KnownTool, KnownToken, type Decision } from '../../src/guard/check.js';
import { keyOf, makeGuard, ModelFeed, type TestGuard } from './support.js';

const S = 1_000_000;
const SKEW_US = 60 * S;
const TOKEN = { issuer: 'https://idp', subject: 'ana', jti: 't1', issuedAtUs: 1_789_999_000_000_000 };

/** A guard with a table and a fresh lease. */
function synced(feed = new ModelFeed()): { feed: ModelFeed; guard: TestGuard } {
  const guard = makeGuard();
  guard.hear(feed.keySet());
  guard.hear(feed.frame(0));
  guard.hear(feed.grant(guard.ask()));
  return { feed, guard };
}

/** The feed turns out to be another, whose table is as far: the guard has it, and a lease. */
function replace(guard: TestGuard, by: ModelFeed): void {
  expect(guard.hear(by.snapshot())[0]).toEqual({ kind: 'rejected', code: 'fork' });
  guard.hear(by.snapshot());
  guard.hear(by.grant(guard.ask()));
}

/** A tool whose fact stands in a table's first slot. */
function firstInTable(say: (feed: ModelFeed, tool: string) => void, type: 'tool' | 'staleness'): [ModelFeed, string] {
  for (let i = 0; ; i++) {
    const feed = new ModelFeed();
    say(feed, `tool ${i}`);
    if (feed.table.find(keyOf(type, `tool ${i}`)) === 0) return [feed, `tool ${i}`];
  }
}

const refused = (reason: string, seq: number, key?: Uint8Array): unknown =>
  key === undefined ? { allowed: false, reason, seq } : { allowed: false, reason, seq, key };

describe('what is remembered', () => {
  it('of a token holds for one table: not for another that is as far', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'bob'));
    guard.hear(feed.frame(0));
    const token = KnownToken.of(guard.core, TOKEN);
    expect(check(guard.core, token, undefined)).toEqual({ allowed: true });
    const other = new ModelFeed();
    other.block(keyOf('principal', 'ana'));
    replace(guard, other);
    expect(check(guard.core, token, undefined)).toEqual(refused('blocked', 2, keyOf('principal', 'ana')));
  });

  it('of a tool holds until the table changes, and for one table', () => {
    const { feed, guard } = synced();
    const [token, deploy] = [KnownToken.of(guard.core, TOKEN), new KnownTool(guard.core, 'deploy')];
    const decide = (): Decision => check(guard.core, token, deploy);
    expect(decide()).toEqual({ allowed: true });
    feed.block(keyOf('tool', 'deploy'));
    guard.hear(feed.frame(0));
    expect(decide()).toEqual(refused('blocked', 1, keyOf('tool', 'deploy')));
    const other = new ModelFeed();
    other.block(keyOf('tool', 'read'));
    replace(guard, other);
    expect(decide()).toEqual({ allowed: true });
    const late = new KnownTool(guard.core, 'deploy');
    expect(check(guard.core, token, late)).toEqual({ allowed: true });
    replace(guard, feed);
    expect(decide()).toEqual(refused('blocked', 2, keyOf('tool', 'deploy')));
    expect(check(guard.core, token, late)).toEqual(decide());
    replace(guard, other);
    other.setStaleness('deploy', 15 * S);
    guard.hear(other.frame(2));
    guard.clock.pass(15 * S);
    expect(decide()).toEqual(refused('stale', 3));
  });

  it('is found wherever it stands, in the first slot, too', () => {
    const [blocked, tool] = firstInTable((feed, tool) => feed.put(keyOf('tool', tool), true), 'tool');
    const { core } = synced(blocked).guard;
    expect(check(core, KnownToken.of(core, TOKEN), new KnownTool(core, tool))).toEqual(
      refused('blocked', 1, keyOf('tool', tool)),
    );

    const [short, other] = firstInTable((feed, tool) => feed.setStaleness(tool, 15 * S), 'staleness');
    const { guard } = synced(short);
    guard.clock.pass(15 * S);
    const token = KnownToken.of(guard.core, TOKEN);
    expect(check(guard.core, token, new KnownTool(guard.core, other))).toEqual(refused('stale', 1));
    expect(check(guard.core, token, new KnownTool(guard.core, 'another'))).toEqual({ allowed: true });
  });

  it('may be keys alone, as of a canary', () => {
    const { feed, guard } = synced();
    feed.put(keyOf('principal', 'ana'), false, 100 * S);
    guard.hear(feed.frame(0));
    const of = (issuedAtUs: number): KnownToken => KnownToken.ofKeys([keyOf('principal', 'ana')], issuedAtUs);
    expect(check(guard.core, of(100 * S + SKEW_US), undefined)).toEqual(
      refused('cutoff', 1, keyOf('principal', 'ana')),
    );
    expect(check(guard.core, of(100 * S + SKEW_US + 1), undefined)).toEqual({ allowed: true });
  });
});

describe('the time a token was issued', () => {
  it('may be as far ahead as clocks differ, and no further', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'bob'));
    guard.hear(feed.frame(0));
    const at = (issuedAtUs: number): Decision =>
      check(guard.core, KnownToken.of(guard.core, { ...TOKEN, issuedAtUs }), undefined);
    expect(at(guard.clock.wallUs() + SKEW_US)).toEqual({ allowed: true });
    expect(at(guard.clock.wallUs() + SKEW_US + 1)).toEqual(refused('issued_in_future', 2));
    // No number is no time that has been; no key is what refuses it.
    expect(at(NaN)).toStrictEqual(refused('issued_in_future', 2));
  });

  it('need not be said, but under a cutoff', () => {
    const { feed, guard } = synced();
    const facts = { issuer: TOKEN.issuer, subject: TOKEN.subject, jti: TOKEN.jti };
    const token = KnownToken.of(guard.core, facts);
    expect(check(guard.core, token, undefined)).toEqual({ allowed: true });
    feed.put(keyOf('token', 't1'), false, 1);
    guard.hear(feed.frame(0));
    expect(check(guard.core, token, undefined)).toEqual(refused('no_issue_time', 1, keyOf('token', 't1')));
  });
});

it('a refusal that is not about the token tells how far the table is', () => {
  const guard = makeGuard();
  const feed = new ModelFeed();
  feed.block(keyOf('principal', 'bob'));
  guard.hear(feed.keySet());
  const token = KnownToken.of(guard.core, TOKEN);
  expect(check(guard.core, token, undefined)).toEqual(refused('starting', 0));
  guard.hear(feed.frame(0));
  expect(check(guard.core, token, undefined)).toEqual(refused('starting', 2));
});

describe('a tool that fails open', () => {
  const open = (guard: TestGuard, ...tools: string[]): TestGuard => {
    guard.core.failOpen = new Set(tools);
    return guard;
  };
  const ask = ({ core }: TestGuard, tool?: string, facts = TOKEN): Decision =>
    check(core, KnownToken.of(core, facts), tool === undefined ? undefined : new KnownTool(core, tool));

  it('is called though nobody can tell, and no other is', () => {
    const guard = open(makeGuard(), 'read');
    expect(ask(guard, 'read')).toEqual({ allowed: true, unfenced: 'starting' });
    expect(ask(guard, 'deploy')).toEqual(refused('starting', 0));
    expect(ask(guard)).toEqual(refused('starting', 0));
    const late = open(synced().guard, 'read');
    expect(ask(late, 'read')).toEqual({ allowed: true });
    late.clock.pass(60 * S);
    expect(ask(late, 'read')).toEqual({ allowed: true, unfenced: 'stale' });
    expect(ask(late, 'deploy')).toEqual(refused('stale', 0));
  });

  it('is any, and none, where all do', () => {
    const guard = open(makeGuard(), '*');
    expect(ask(guard, 'read')).toEqual({ allowed: true, unfenced: 'starting' });
    expect(ask(guard)).toEqual({ allowed: true, unfenced: 'starting' });
  });

  it('lets nobody in whom the table refuses, or who is issued ahead of time', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    guard.hear(feed.frame(0));
    guard.clock.pass(60 * S);
    open(guard, 'read');
    expect(ask(guard, 'read')).toEqual(refused('blocked', 1, keyOf('principal', 'ana')));
    const ahead = { ...TOKEN, subject: 'carl', issuedAtUs: guard.clock.wallUs() + SKEW_US + 1 };
    expect(ask(guard, 'read', ahead)).toEqual(refused('issued_in_future', 2));
    // A feed that contradicts itself leaves no table.
    const other = new ModelFeed();
    other.block(keyOf('principal', 'bob'));
    guard.hear(other.snapshot());
    expect(guard.core.table).toBeUndefined();
    expect(ask(guard, 'read')).toEqual({ allowed: true, unfenced: 'starting' });
    expect(ask(guard, 'read', ahead)).toEqual(refused('issued_in_future', 0));
  });
});
