/** What a guard does with each input, effect by effect, and the edges of its times. */
import { describe, expect, it } from 'vitest';
import { checkAck, parseAck } from '../../src/protocol/ack.js';
import { parseLeaseRequest } from '../../src/protocol/grant.js';
import { checkSignature } from '../../src/protocol/signed.js';
import type { GuardCore } from '../../src/guard/core.js';
import { step, type Effect } from '../../src/guard/step.js';
import { instanceSigner, keyOf, LEDGER, makeGuard, ModelFeed, seed, verifier, type TestGuard } from './support.js';

const S = 1_000_000;
const ANA = keyOf('principal', 'ana');
const BOB = keyOf('principal', 'bob');
const CARL = keyOf('principal', 'carl');

/** A guard with a table and a fresh lease. */
function synced(feed = new ModelFeed(), guard = makeGuard()): { feed: ModelFeed; guard: TestGuard } {
  guard.hear(feed.keySet());
  guard.hear(feed.frame(0));
  guard.hear(feed.grant(guard.ask()));
  return { feed, guard };
}

const rejected = (code: string): unknown => ({ kind: 'rejected', code });
const fetching = (what: string, from: number): unknown => ({ kind: 'fetch', what, from });
const sent = (effects: Effect[], what: 'ack' | 'lease-request'): Uint8Array[] =>
  effects.flatMap((one) => (one.kind === 'send' && one.what === what ? [one.bytes] : []));
const tick = ({ core }: TestGuard, random = seed('random').subarray(0, 16)): Effect[] =>
  step(core, { kind: 'tick', random });
const refuseCanary = ({ core }: TestGuard, seq: number): Effect[] => step(core, { kind: 'canary_refused', seq });
const requests = (guard: TestGuard): number => sent(guard.tick(), 'lease-request').length;

describe('a connection', () => {
  const ofUse = (guard: TestGuard): string[] =>
    guard.tick().flatMap(({ kind }) => (kind === 'ping' || kind === 'reconnect' ? [kind] : []));

  it.each([
    [60 * S, 5 * S],
    [15 * S, 5 * S],
    [6 * S, 2 * S],
  ])('on which nothing is heard is given up when two grants are missing: by a lease of %i µs', (leaseUs, renewUs) => {
    const { feed, guard } = synced(new ModelFeed(), makeGuard({ maxStalenessUs: leaseUs }));
    guard.clock.pass(1.25 * renewUs - 1);
    expect(ofUse(guard)).toEqual([]);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['ping']);
    guard.clock.pass(0.75 * renewUs - 1);
    expect(ofUse(guard)).toEqual([]);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['reconnect']);
    // The next one has as long, from when it is sought.
    guard.clock.pass(renewUs);
    expect(ofUse(guard)).toEqual([]);
    step(guard.core, { kind: 'connected' });
    guard.clock.pass(2 * renewUs - 1);
    expect(ofUse(guard)).toEqual(['ping']);
    guard.hear(feed.grant(guard.ask()));
    guard.clock.pass(1.25 * renewUs - 1);
    expect(ofUse(guard)).toEqual([]);
  });

  it('that was never sought is asked, and given up, as any other', () => {
    const guard = makeGuard();
    guard.clock.pass(6.25 * S - 1);
    expect(ofUse(guard)).toEqual([]);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['ping']);
    guard.clock.pass(3.75 * S);
    expect(ofUse(guard)).toEqual(['reconnect']);
  });

  it('that is sought is left to who seeks it, until it is there, or there is no lease any more', () => {
    const { guard } = synced();
    guard.clock.pass(9 * S);
    expect(step(guard.core, { kind: 'sought' })).toEqual([]);
    guard.clock.pass(20 * S);
    expect(ofUse(guard)).toEqual([]);
    step(guard.core, { kind: 'connected' });
    guard.clock.pass(10 * S - 1);
    expect(ofUse(guard)).toEqual(['ping']);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['reconnect']);
    step(guard.core, { kind: 'sought' });
    guard.clock.pass(40 * S - 1);
    expect(ofUse(guard)).toEqual([]);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['reconnect']);
  });

  it('is given up after 2 s at the earliest, however short the leases', () => {
    const { guard } = synced(new ModelFeed(), makeGuard({ maxStalenessUs: S }));
    guard.clock.pass(2 * S - 1);
    expect(ofUse(guard)).toEqual(['ping']);
    guard.clock.pass(1);
    expect(ofUse(guard)).toEqual(['reconnect']);
  });

  it.each([
    [60 * S, 40 * S],
    [15 * S, 10 * S],
    [3 * S, 5 * S],
  ])('to a feed that is there, and grants nothing, is left: by a lease of %i µs after %i', (leaseUs, leftUs) => {
    const { guard } = synced(new ModelFeed(), makeGuard({ maxStalenessUs: leaseUs }));
    step(guard.core, { kind: 'connected' });
    const live = (untilUs: number): string[] => {
      for (let us = S; us < untilUs; us += S) {
        guard.clock.pass(S);
        step(guard.core, { kind: 'alive' });
        expect(ofUse(guard)).toEqual([]);
      }
      guard.clock.pass(S - 1);
      expect(step(guard.core, { kind: 'alive' })).toEqual([]);
      expect(ofUse(guard)).toEqual([]);
      guard.clock.pass(1);
      return ofUse(guard);
    };
    expect(live(leftUs)).toEqual(['reconnect']);
    expect(live(leftUs)).toEqual(['reconnect']);
  });
});

describe('a nonce', () => {
  it('is asked with at once, and again after a third of the shortest lease, no later than after 5 s', () => {
    const guard = makeGuard();
    const random = seed('a nonce').subarray(0, 16);
    const [request] = sent(tick(guard, random), 'lease-request');
    checkSignature({ ledger: LEDGER, verifier }, [instanceSigner.publicKey], 'lease-request', request!);
    expect(parseLeaseRequest(request!)).toEqual({ instance: guard.core.options.membership.instance, nonce: random });
    guard.clock.pass(5 * S - 1);
    expect(requests(guard)).toBe(0);
    guard.clock.pass(1);
    expect(requests(guard)).toBe(1);
    guard.core.renewFor(6 * S);
    guard.core.renewFor(9 * S);
    guard.clock.pass(2 * S - 1);
    expect(requests(guard)).toBe(0);
    guard.clock.pass(1);
    expect(requests(guard)).toBe(1);
    const hasty = makeGuard({ maxStalenessUs: 3 * S });
    expect(requests(hasty)).toBe(1);
    hasty.clock.pass(S);
    expect(requests(hasty)).toBe(1);
  });

  it('is the guard’s own copy', () => {
    const { feed, guard } = synced();
    guard.core.asked = undefined;
    const random = seed('reused').slice(0, 16);
    const [request] = sent(tick(guard, random), 'lease-request');
    random.fill(0);
    expect(guard.hear(feed.grant(request!))).toEqual([]);
  });

  it('is waited for with seven others', () => {
    const { feed, guard } = synced();
    const asked = Array.from({ length: 9 }, () => guard.ask());
    expect(guard.core.nonces.size).toBe(8);
    expect(guard.hear(feed.grant(asked[0]!))).toEqual([rejected('replayed')]);
    expect(guard.hear(feed.grant(asked[1]!))).toEqual([]);
    expect(guard.core.nonces.size).toBe(7);
  });

  it('is asked with anew over a new connection, and the last ack said again', () => {
    const { feed, guard } = synced();
    expect(requests(guard)).toBe(0);
    expect(step(guard.core, { kind: 'connected' })).toEqual([]);
    expect(requests(guard)).toBe(1);
    feed.block(ANA);
    guard.hear(feed.frame(0));
    refuseCanary(guard, 2);
    tick(guard);
    guard.clock.pass(S);
    const [ack] = sent(tick(guard), 'ack');
    expect(step(guard.core, { kind: 'connected' })).toEqual([{ kind: 'send', what: 'ack', bytes: ack }]);
  });
});

describe('an ack', () => {
  const random = (high: number, low = 0): Uint8Array => Uint8Array.of(high, low, ...new Uint8Array(14));

  it('is put off by what is drawn, up to a second, and said once', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    refuseCanary(guard, 2);
    expect(step(guard.core, { kind: 'aborted', count: 2 })).toEqual([]);
    step(guard.core, { kind: 'aborted', count: 3 });
    expect(sent(tick(guard, random(0x80, 0x40)), 'ack')).toEqual([]);
    // What is drawn later moves nothing.
    guard.clock.pass(500_976);
    expect(sent(tick(guard, random(0)), 'ack')).toEqual([]);
    guard.clock.pass(1);
    const [ack] = sent(tick(guard, random(0xff)), 'ack');
    checkAck({ ledger: LEDGER, verifier }, instanceSigner.publicKey, ack!);
    expect(parseAck(ack!)).toEqual({
      instance: guard.core.options.membership.instance,
      generation: 1,
      seq: 2,
      stateHash: feed.table.head().stateHash,
      mappingHash: seed('mapping'),
      keyTypes: ['token', 'principal'],
      aborted: 5,
      atUs: guard.clock.wallUs(),
    });
    expect(guard.core).toMatchObject({ ackedSeq: 2, aborted: 0, proven: undefined, ackDue: undefined });
    refuseCanary(guard, 2);
    expect(guard.core.proven).toBeUndefined();
    expect(sent(tick(guard, random(0)), 'ack')).toEqual([]);

    feed.block(BOB);
    guard.hear(feed.frame(0));
    refuseCanary(guard, 4);
    expect(parseAck(sent(tick(guard, random(0)), 'ack')[0]!)).toMatchObject({ seq: 4, aborted: 0 });
  });

  it('says the newest that was refused, and nothing that is no longer the table', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    expect(refuseCanary(guard, 3)).toEqual([]);
    expect(guard.core.proven).toBeUndefined();
    refuseCanary(guard, 2);
    tick(guard, random(0xff));
    feed.block(BOB);
    guard.hear(feed.frame(0));
    refuseCanary(guard, 2);
    expect(refuseCanary(guard, 4)).toEqual([]);
    guard.clock.pass(S);
    expect(sent(tick(guard), 'ack').map((ack) => parseAck(ack).seq)).toEqual([4]);
  });

  it('of a table that turned out false is not said', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    refuseCanary(guard, 2);
    const other = new ModelFeed();
    other.block(BOB);
    guard.hear(other.snapshot());
    expect(refuseCanary(guard, 2)).toEqual([]);
    expect(guard.core.proven).toBeUndefined();
    expect(sent(tick(guard, random(0)), 'ack')).toEqual([]);
  });
});

describe('the canary', () => {
  const PROBE = { kind: 'probe', seq: 2, issuedAtUs: 60 * S + 1 };

  it('is shown again each second until it was refused, while there is a lease', () => {
    const guard = makeGuard();
    const feed = new ModelFeed();
    feed.block(ANA);
    guard.hear(feed.keySet());
    expect(guard.hear(feed.frame(0))).toEqual([{ kind: 'changed', keys: [ANA, guard.core.canaryKey] }, PROBE]);
    guard.clock.pass(S);
    const [request] = sent(guard.tick(), 'lease-request');
    expect(guard.tick()).toEqual([]);
    expect(guard.hear(feed.grant(request!))).toEqual([]);
    expect(guard.tick()).toEqual([PROBE]);
    guard.clock.pass(S - 1);
    expect(guard.tick()).toEqual([]);
    guard.clock.pass(1);
    expect(guard.tick()).toEqual([PROBE]);
    refuseCanary(guard, 2);
    tick(guard, new Uint8Array(16).fill(255));
    guard.clock.pass(S - 20);
    expect(guard.tick()).toEqual([]);
    guard.clock.pass(S);
    expect(guard.tick().map(({ kind }) => kind)).toEqual(['send']);
    guard.clock.pass(S);
    expect(guard.tick()).toEqual([]);
  });

  it('is found in the first slot of the table, too', () => {
    const { membership } = makeGuard().core.options;
    for (let i = 0; ; i++) {
      const guard = makeGuard({ membership: { ...membership, guardKey: seed(`guard key ${i}`) } });
      const feed = new ModelFeed();
      feed.put(guard.core.canaryKey, false, 1);
      if (feed.table.find(guard.core.canaryKey) !== 0) continue;
      guard.hear(feed.keySet());
      expect(guard.hear(feed.frame(0)).map(({ kind }) => kind)).toEqual(['changed', 'probe']);
      return;
    }
  });

  it('is not shown where there is none', () => {
    const { feed, guard } = synced();
    feed.put(ANA, true);
    expect(guard.hear(feed.frame(0))).toEqual([{ kind: 'changed', keys: [ANA] }]);
    guard.clock.pass(S);
    expect(guard.tick()).toEqual([]);
    feed.block(BOB);
    guard.hear(feed.snapshot());
    expect(guard.core.probed).toBeDefined();
  });
});

describe('a message', () => {
  it.each([
    ['of another kind', new Uint8Array(Buffer.from('KXX1 and so on'))],
    ['of nothing', new Uint8Array(0)],
  ])('%s is rejected, and asks for nothing', (_, bytes) => {
    expect(synced().guard.hear(bytes)).toEqual([rejected('malformed_message')]);
  });

  it('that breaks what reads it is no message that was rejected', () => {
    const feed = new ModelFeed();
    const guard = makeGuard({
      verifier: {
        ...verifier,
        verify: () => {
          throw new RangeError('a bug');
        },
      },
    });
    expect(() => guard.hear(feed.keySet())).toThrow(RangeError);
  });

  it('that does not lead on from here makes it ask for a whole table', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    const other = new ModelFeed();
    other.block(BOB);
    other.block(CARL);
    expect(guard.hear(other.frame(2))).toEqual([rejected('bad_proof'), fetching('snapshot', 2)]);
    expect(guard.core.lease).toBeDefined();
    expect(guard.core.table!.head()).toEqual(feed.table.head());
  });

  it('that begins too late makes it ask for what is between', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    feed.block(BOB);
    feed.block(CARL);
    expect(guard.hear(feed.frame(4))).toEqual([rejected('gap'), fetching('changes', 2)]);
  });

  it('that says nothing new changes nothing', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    const { table } = guard.core;
    expect(guard.hear(feed.frame(0))).toEqual([]);
    expect(guard.hear(feed.frame(2))).toEqual([]);
    expect(guard.hear(feed.snapshot())).toEqual([]);
    expect(guard.core.table).toBe(table);
    expect(guard.hear(feed.keySet(1))).toEqual([]);
    expect(guard.core.keySetVersion).toBe(1);
  });

  it('of another generation of keys is of no use', () => {
    const { guard } = synced();
    const next = new ModelFeed();
    next.generation = 2;
    next.block(ANA);
    expect(guard.hear(next.frame(0))).toEqual([rejected('out_of_range')]);
    expect(guard.hear(next.snapshot())).toEqual([rejected('out_of_range')]);
    expect(guard.core.seq).toBe(0);
  });

  it('of a whole table is taken over, and its canary shown', () => {
    const guard = makeGuard({ floor: { seq: 2, keySetVersion: 0 } });
    const feed = new ModelFeed();
    feed.block(ANA);
    guard.hear(feed.keySet());
    expect(guard.hear(feed.snapshot())).toEqual([
      { kind: 'replaced' },
      { kind: 'probe', seq: 2, issuedAtUs: 60 * S + 1 },
    ]);
    expect(guard.core.isCurrent).toBe(true);
  });
});

describe('after the feed contradicted itself', () => {
  it('nothing counts that was asked or granted before', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    const [waiting, open] = [guard.ask(), guard.ask()];
    feed.block(BOB);
    guard.hear(feed.grant(waiting));
    const other = new ModelFeed();
    other.block(BOB);
    expect(guard.hear(other.snapshot())).toEqual([rejected('fork'), fetching('snapshot', 2)]);
    expect(guard.core).toMatchObject({ table: undefined, lease: undefined, proven: undefined, waiting: [] });
    expect(guard.tick()).toEqual([]);
    expect(guard.hear(feed.frame(0))).toEqual([fetching('snapshot', 2)]);
    feed.block(CARL);
    expect(guard.hear(feed.frame(7))).toEqual([rejected('malformed_message')]);
    expect(guard.hear(feed.snapshot()).map(({ kind }) => kind)).toEqual(['replaced', 'probe']);
    expect(guard.core.lease).toBeUndefined();
    expect(guard.hear(feed.grant(open))).toEqual([rejected('replayed')]);
  });

  it('a grant waits for a whole table', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    const other = new ModelFeed();
    other.block(BOB);
    guard.hear(other.snapshot());
    expect(guard.hear(feed.grant(guard.ask()))).toEqual([fetching('snapshot', 2)]);
    guard.hear(feed.snapshot());
    expect(guard.core.lease).toBeDefined();
    expect(guard.core.waiting).toEqual([]);
  });
});

describe('a grant', () => {
  it('for a head that is not here yet asks for what is missing, and for no more than the newest eight', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    guard.hear(feed.frame(0));
    feed.block(BOB);
    guard.core.lease = undefined;
    expect(guard.hear(feed.grant(guard.ask()))).toEqual([fetching('changes', 2)]);
    expect(guard.core.waiting.map(({ head }) => head.seq)).toEqual([4]);
    expect([guard.core.lease, guard.core.seqLag]).toEqual([undefined, 2]);
    feed.block(CARL);
    for (let i = 0; i < 8; i++) guard.hear(feed.grant(guard.ask()));
    expect(guard.core.waiting.map(({ head }) => head.seq)).toEqual([6, 6, 6, 6, 6, 6, 6, 6]);
    expect(guard.core.seqLag).toBe(4);
  });

  it('counts as its head comes, and waits while only others do', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    const first = feed.frame(0);
    const near = feed.grant(guard.ask());
    feed.block(BOB);
    const far = feed.grant(guard.ask());
    guard.core.lease = undefined;
    guard.hear(far);
    guard.hear(first);
    expect(guard.core.lease).toBeUndefined();
    expect(guard.core.waiting).toHaveLength(1);
    // Its table was here already, and went on since.
    expect(guard.hear(near)).toEqual([]);
    expect(guard.core.lease).toBeDefined();
    guard.core.lease = undefined;
    guard.hear(feed.frame(0));
    expect(guard.core.lease).toBeDefined();
    expect(guard.core.waiting).toEqual([]);
  });

  it('for a head that is passed over counts, too', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    const near = feed.grant(guard.ask());
    feed.block(BOB);
    guard.core.lease = undefined;
    guard.hear(near);
    expect(guard.hear(feed.frame(0)).map(({ kind }) => kind)).toEqual(['changed', 'probe']);
    expect(guard.core.lease).toBeDefined();
    expect(guard.core.waiting).toEqual([]);
  });

  it('for a head of the past counts: what follows on it is here', () => {
    const { feed, guard } = synced();
    feed.block(ANA);
    const head = feed.head();
    feed.block(BOB);
    guard.hear(feed.frame(0));
    guard.core.lease = undefined;
    expect(guard.hear(feed.grant(guard.ask(), 0, head))).toEqual([]);
    expect(guard.core.lease).toBeDefined();
  });

  it('for another table than the one that is here is a contradiction, now or when the table comes', () => {
    const { feed, guard } = synced();
    const other = new ModelFeed();
    other.block(BOB);
    feed.block(ANA);
    guard.hear(other.grant(guard.ask()));
    expect(guard.core.waiting).toHaveLength(1);
    expect(guard.hear(feed.frame(0))).toEqual([
      { kind: 'changed', keys: [ANA, guard.core.canaryKey] },
      fetching('snapshot', 2),
    ]);
    expect(guard.core.table).toBeUndefined();
    guard.hear(feed.snapshot());
    expect(guard.hear(other.grant(guard.ask()))).toEqual([rejected('fork'), fetching('snapshot', 2)]);
    expect(guard.core.table).toBeUndefined();
  });

  it('that gives less time than there is takes none away', () => {
    const { feed, guard } = synced();
    const early = guard.ask();
    guard.clock.pass(3 * S);
    guard.hear(feed.grant(guard.ask(), S));
    expect(guard.core.leaseAgeUs).toBe(S);
    guard.hear(feed.grant(early));
    expect(guard.core.leaseAgeUs).toBe(S);
    guard.hear(feed.grant(guard.ask(), 2 * S));
    expect(guard.core.leaseAgeUs).toBe(S);
    guard.hear(feed.grant(guard.ask(), S - 1));
    expect(guard.core.leaseAgeUs).toBe(S - 1);
  });
});

describe('a core', () => {
  it('takes less time than is allowed where it is told to, and never more', () => {
    expect(makeGuard().core).toMatchObject({ maxStalenessUs: 60 * S, shortestUs: 60 * S, renewUs: 5 * S });
    expect(makeGuard({ maxStalenessUs: 600 * S }).core.maxStalenessUs).toBe(60 * S);
    const { core } = makeGuard({ maxStalenessUs: 9 * S, skewUs: 7 });
    expect(core).toMatchObject({ maxStalenessUs: 9 * S, shortestUs: 9 * S, renewUs: 3 * S, skewUs: 7 });
    core.renewFor(6 * S);
    core.renewFor(12 * S);
    expect(core).toMatchObject({ shortestUs: 6 * S, renewUs: 2 * S });
  });

  it('is fresh while every lease that is used runs', () => {
    const { guard } = synced();
    const { core, clock } = guard;
    core.renewFor(10 * S);
    clock.pass(10 * S - 1);
    core.time.read();
    expect([core.isFresh, core.leaseAgeUs]).toEqual([true, 10 * S - 1]);
    clock.pass(1);
    core.time.read();
    expect([core.isFresh, core.leaseAgeUs]).toEqual([false, 10 * S]);
    expect([makeGuard().core.isFresh, makeGuard().core.leaseAgeUs]).toEqual([false, Infinity]);
    const behind = synced().guard.core;
    expect(behind.isFresh).toBe(true);
    behind.raise({ seq: 1, keySetVersion: 0 });
    expect([behind.isFresh, behind.isCurrent, behind.seqLag]).toEqual([false, false, 1]);
  });

  it('is raised to where it was before, and never lowered', () => {
    const { feed, guard } = synced(new ModelFeed(), makeGuard({ floor: { seq: 3, keySetVersion: 1 } }));
    const { core } = guard;
    expect([core.seq, core.keySetVersion, core.keySet?.version]).toEqual([3, 1, 1]);
    core.raise({ seq: 2, keySetVersion: 1 });
    expect([core.seq, core.keySetVersion, core.keySet?.version]).toEqual([3, 1, 1]);
    core.raise({ seq: 9, keySetVersion: 2 });
    expect([core.seq, core.keySetVersion, core.keySet]).toEqual([9, 2, undefined]);
    // Without keys nothing is taken for signed.
    expect(guard.hear(feed.frame(0))).toEqual([rejected('bad_signature')]);
    expect(guard.hear(feed.keySet(1))).toEqual([rejected('out_of_range')]);
  });

  it('without a table knows how far others are', () => {
    const core: GuardCore = makeGuard({ floor: { seq: 7, keySetVersion: 0 } }).core;
    core.table = undefined;
    expect([core.seqLag, core.isCurrent]).toEqual([7, false]);
  });
});
