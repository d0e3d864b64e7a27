import { describe, expect, it } from 'vitest';
import { checkAck, parseAck } from '../../src/protocol/ack.js';
import { check, KnownTool, KnownToken, type Decision } from '../../src/guard/check.js';
import { step, type Effect } from '../../src/guard/step.js';
import { nodeSigner } from '../../src/platform/signer.js';
import {
  instanceSigner,
  keyOf,
  LEDGER,
  makeGuard,
  type ModelClock,
  ModelFeed,
  rootSigner,
  seed,
  verifier,
  type TestGuard,
} from './support.js';

const S = 1_000_000;
const TOKEN = { issuer: 'https://idp', subject: 'ana', jti: 't1', issuedAtUs: 1_789_999_000_000_000 };
const kinds = (effects: Effect[]): string[] => effects.map((one) => (one.kind === 'rejected' ? one.code : one.kind));

/** A guard with a table and a fresh lease. */
function synced(feed = new ModelFeed(), guard = makeGuard()): { feed: ModelFeed; guard: TestGuard } {
  guard.hear(feed.keySet());
  guard.hear(feed.frame(0));
  guard.hear(feed.grant(guard.ask()));
  return { feed, guard };
}

const ask = ({ core }: TestGuard, tool?: string, facts = TOKEN): Decision['allowed'] | string => {
  const decision = check(core, KnownToken.of(core, facts), tool === undefined ? undefined : new KnownTool(core, tool));
  return decision.allowed || decision.reason;
};

describe('a guard', () => {
  it('trusts nothing after a start, and allows once it has table and grant', () => {
    const guard = makeGuard();
    const feed = new ModelFeed();
    expect(ask(guard)).toBe('starting');
    guard.hear(feed.keySet());
    guard.hear(feed.frame(0));
    expect(ask(guard)).toBe('starting');
    guard.hear(feed.grant(guard.ask()));
    expect(ask(guard)).toBe(true);
  });

  it('refuses what a frame revokes, and says since which change', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    const effects = guard.hear(feed.frame(0));
    expect(effects[0]).toEqual({ kind: 'changed', keys: [keyOf('principal', 'ana'), guard.core.canaryKey] });
    expect(check(guard.core, KnownToken.of(guard.core, TOKEN), undefined)).toEqual({
      allowed: false,
      reason: 'blocked',
      seq: 1,
      key: keyOf('principal', 'ana'),
    });
    feed.put(keyOf('principal', 'ana'), false, TOKEN.issuedAtUs);
    guard.hear(feed.frame(2));
    expect(ask(guard)).toBe('cutoff');
    expect(ask(guard, undefined, { ...TOKEN, issuedAtUs: TOKEN.issuedAtUs + 61 * S })).toBe(true);
  });

  it('remembers a verdict only as long as the table stands', () => {
    const { feed, guard } = synced();
    const token = KnownToken.of(guard.core, TOKEN);
    expect(check(guard.core, token, undefined).allowed).toBe(true);
    feed.block(keyOf('token', 't1'));
    guard.hear(feed.frame(0));
    expect(check(guard.core, token, undefined).allowed).toBe(false);
  });

  it('refuses what was issued ahead of its clock, whatever it said of it before', () => {
    const { guard } = synced();
    const facts = { ...TOKEN, issuedAtUs: guard.clock.wallUs() + 61 * S };
    expect(ask(guard, undefined, facts)).toBe('issued_in_future');
    guard.clock.pass(2 * S);
    expect(ask(guard, undefined, facts)).toBe(true);
  });
});

describe('a lease', () => {
  it('ends to the microsecond after the nonce was sent, less the age of the read', () => {
    const guard = makeGuard();
    const feed = new ModelFeed();
    guard.hear(feed.keySet());
    const request = guard.ask();
    guard.clock.pass(20 * S);
    guard.hear(feed.grant(request, 3 * S));
    guard.clock.pass(37 * S - 1);
    expect(ask(guard)).toBe(true);
    guard.clock.pass(1);
    expect(ask(guard)).toBe('stale');
    guard.hear(feed.grant(guard.ask()));
    expect(ask(guard)).toBe(true);
  });

  it('is as short as is committed for a tool, and no longer than the guard allows', () => {
    const feed = new ModelFeed();
    feed.setStaleness('deploy', 15 * S);
    feed.setStaleness('read', 600 * S);
    const { guard } = synced(feed, makeGuard({ maxStalenessUs: 30 * S }));
    const allowed = (): (boolean | string)[] => ['deploy', 'read', 'other'].map((tool) => ask(guard, tool));
    guard.clock.pass(15 * S - 1);
    expect(allowed()).toEqual([true, true, true]);
    guard.clock.pass(1);
    expect(allowed()).toEqual(['stale', true, true]);
    guard.clock.pass(15 * S);
    expect(allowed()).toEqual(['stale', 'stale', 'stale']);
  });

  it('counts only once its head is applied', () => {
    const { feed, guard } = synced();
    guard.clock.pass(59 * S);
    feed.block(keyOf('principal', 'bob'));
    const request = guard.ask();
    expect(kinds(guard.hear(feed.grant(request)))).toEqual(['fetch']);
    guard.clock.pass(2 * S);
    expect(ask(guard)).toBe('stale');
    guard.hear(feed.frame(0));
    expect(ask(guard)).toBe(true);
  });

  it('of several that wait for their heads counts for as long as the newest gives', () => {
    const { feed, guard } = synced();
    guard.clock.pass(59 * S);
    feed.block(keyOf('principal', 'bob'));
    const [first, second] = [guard.ask(), (guard.clock.pass(5 * S), guard.ask())];
    const grants = [feed.grant(second), feed.grant(first)];
    for (const grant of grants) guard.hear(grant);
    guard.hear(feed.frame(0));
    guard.clock.pass(60 * S - 1);
    expect(ask(guard)).toBe(true);
    guard.clock.pass(1);
    expect(ask(guard)).toBe('stale');
  });

  it('is not renewed by frames', () => {
    const { feed, guard } = synced();
    guard.clock.pass(60 * S);
    feed.block(keyOf('principal', 'bob'));
    guard.hear(feed.frame(0));
    expect(ask(guard)).toBe('stale');
  });

  it.each([
    ['replayed', (feed: ModelFeed, request: Uint8Array) => [feed.grant(request), feed.grant(request)]],
    ['of another instance', (feed: ModelFeed, request: Uint8Array) => [feed.grant(flip(request, 4))]],
    ['for a nonce of nobody', (feed: ModelFeed, request: Uint8Array) => [feed.grant(flip(request, 20))]],
    [
      'of another key',
      (_: ModelFeed, request: Uint8Array) => [new ModelFeed(nodeSigner(seed('thief'))).grant(request)],
    ],
    [
      'of another generation',
      (feed: ModelFeed, request: Uint8Array) => [feed.grant(request, 0, { ...feed.head(), generation: 2 })],
    ],
  ])('is not given by a grant that is %s', (_, grants) => {
    const { feed, guard } = synced();
    const request = guard.ask();
    guard.clock.pass(50 * S);
    const codes = grants(feed, request).flatMap((grant) => kinds(guard.hear(grant)));
    expect(codes).toHaveLength(1);
    expect(['replayed', 'forbidden', 'bad_signature', 'out_of_range']).toContain(codes[0]);
    guard.clock.pass(10 * S);
    expect(ask(guard)).toBe('stale');
  });

  it.each([
    ['the wall clock is set back', (clock: ModelClock) => clock.setWall(-3600 * S)],
    ['the wall clock is set back in small steps', (clock: ModelClock) => clock.setWall(-49_000)],
    ['the machine is suspended', (clock: ModelClock) => clock.suspend(60 * S)],
    [
      'it is suspended, and the wall clock set back by half of it',
      (clock: ModelClock) => (clock.suspend(80 * S), clock.setWall(-40 * S)),
    ],
  ])('ends in time though %s', (_, happen) => {
    const { guard } = synced();
    guard.clock.pass(30 * S);
    expect(ask(guard)).toBe(true);
    happen(guard.clock);
    ask(guard);
    guard.clock.pass(30 * S);
    expect(ask(guard)).toBe('stale');
  });

  it('goes on though the wall clock is set an hour ahead', () => {
    const { guard } = synced();
    guard.clock.pass(30 * S);
    guard.clock.setWall(3600 * S);
    expect(ask(guard)).toBe(true);
    guard.clock.pass(30 * S);
    expect(ask(guard)).toBe('stale');
  });
});

describe('a tool that fails open', () => {
  it('is called where nobody can tell, and not where the table refuses', () => {
    const { feed, guard } = synced();
    guard.core.failOpen = new Set(['status']);
    const verdict = (tool?: string, facts = TOKEN): Decision =>
      check(
        guard.core,
        KnownToken.of(guard.core, facts),
        tool === undefined ? undefined : new KnownTool(guard.core, tool),
      );
    expect(verdict('status')).toEqual({ allowed: true });
    feed.block(keyOf('principal', 'bob'), keyOf('tool', 'deploy'));
    guard.hear(feed.frame(0));
    guard.clock.pass(60 * S);
    expect(verdict('status')).toEqual({ allowed: true, unfenced: 'stale' });
    expect([verdict('other'), verdict()]).toMatchObject([{ reason: 'stale' }, { reason: 'stale' }]);
    expect(verdict('status', { ...TOKEN, subject: 'bob' })).toMatchObject({ reason: 'blocked' });
    expect(verdict('status', { ...TOKEN, issuedAtUs: guard.clock.wallUs() + 61 * S })).toMatchObject({
      reason: 'issued_in_future',
    });
    guard.core.failOpen = new Set(['*']);
    expect(verdict()).toEqual({ allowed: true, unfenced: 'stale' });
    expect(verdict('deploy')).toMatchObject({ reason: 'blocked' });
  });
});

describe('what a guard hears', () => {
  it('changes nothing with any bit flipped, and is good afterwards', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    const request = guard.ask();
    for (const message of [feed.frame(0), feed.grant(request), feed.keySet(), feed.snapshot()]) {
      for (let bit = 0; bit < message.length * 8; bit += 3) {
        const { seq } = guard.core.table!;
        const effects = guard.hear(flip(message, bit >> 3, 1 << (bit & 7)));
        expect(effects[0]?.kind).toBe('rejected');
        expect(guard.core.table!.seq).toBe(seq);
      }
    }
    expect(ask(guard)).toBe(true);
    guard.hear(feed.frame(0));
    expect(ask(guard)).toBe('blocked');
  });

  it('may come cut in any way, twice, and late', () => {
    const feed = new ModelFeed();
    const { guard } = synced(feed);
    const frames: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      feed.block(keyOf('principal', `p${i}`));
      for (const from of [0, i, 2 * i]) frames.push(feed.frame(from));
    }
    for (const frame of [...frames, ...frames.reverse()]) guard.hear(frame);
    expect(guard.core.table!.head()).toEqual(feed.table.head());
  });

  it('is asked for again where something is missing', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    feed.block(keyOf('principal', 'bob'));
    expect(guard.hear(feed.frame(2))).toEqual([
      { kind: 'rejected', code: 'gap' },
      { kind: 'fetch', what: 'changes', from: 0 },
    ]);
  });

  it('never goes back: not in seq, not over a restart, not in its keys', () => {
    const feed = new ModelFeed();
    feed.block(keyOf('principal', 'ana'));
    const old = feed.snapshot();
    feed.block(keyOf('principal', 'bob'));
    const { guard } = synced(feed);
    expect(kinds(guard.hear(old))).toEqual(['out_of_range']);
    guard.hear(feed.keySet(2));
    expect(kinds(guard.hear(feed.keySet(1)))).toEqual(['out_of_range']);

    const again = makeGuard({ floor: { seq: 4, keySetVersion: 2 } });
    again.hear(feed.keySet(2));
    expect(kinds(again.hear(old))).toEqual(['out_of_range']);
    const past = new ModelFeed();
    past.block(keyOf('principal', 'ana'));
    again.hear(past.frame(0));
    again.hear(past.grant(again.ask()));
    expect(ask(again)).toBe('starting');
  });

  it('counts for nothing once the keys expired, or a newer set leaves its key out', () => {
    const { feed, guard } = synced();
    const next = new ModelFeed(nodeSigner(seed('next feed key')));
    guard.hear(feed.keySet(2, [next.signer.publicKey]));
    feed.block(keyOf('principal', 'ana'));
    expect(kinds(guard.hear(feed.frame(0)))).toEqual(['bad_signature']);
    guard.hear(feed.keySet(3, [feed.signer.publicKey], guard.clock.wallUs() + 1));
    expect(kinds(guard.hear(feed.frame(0)))).toEqual(['changed', 'probe']);
    guard.clock.pass(1);
    feed.block(keyOf('principal', 'bob'));
    expect(kinds(guard.hear(feed.frame(2)))).toEqual(['bad_signature']);
    expect(kinds(guard.hear(feed.keySet(4, [feed.signer.publicKey], 1, nodeSigner(seed('no root')))))).toEqual([
      'bad_signature',
    ]);
  });

  it('that contradicts itself leaves nothing that is trusted, until a whole table comes', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    guard.hear(feed.frame(0));
    const other = new ModelFeed();
    other.block(keyOf('principal', 'bob'));
    expect(kinds(guard.hear(other.snapshot()))).toEqual(['fork', 'fetch']);
    expect(ask(guard)).toBe('starting');
    guard.hear(feed.snapshot());
    expect(ask(guard)).toBe('starting');
    guard.hear(feed.grant(guard.ask()));
    expect(ask(guard)).toBe('blocked');
  });
});

describe('an ack', () => {
  it('is sent, signed, once the canary was refused by the host, not before', () => {
    const { feed, guard } = synced();
    feed.block(keyOf('principal', 'ana'));
    const probe = guard.hear(feed.frame(0)).find(({ kind }) => kind === 'probe');
    // The first part, on the edge of what a clock may differ by: the next part alone refuses what is issued a microsecond later.
    expect(probe).toEqual({ kind: 'probe', seq: 2, issuedAtUs: 60 * S + 1 });
    const acks = (): Uint8Array[] =>
      guard.tick().flatMap((effect) => (effect.kind === 'send' && effect.what === 'ack' ? [effect.bytes] : []));
    guard.clock.pass(2 * S);
    expect(acks()).toEqual([]);
    step(guard.core, { kind: 'canary_refused', seq: 1 });
    acks();
    guard.clock.pass(2 * S);
    expect(acks()).toEqual([]);
    step(guard.core, { kind: 'canary_refused', seq: 2 });
    step(guard.core, { kind: 'aborted', count: 3 });
    acks();
    guard.clock.pass(2 * S);
    const [ack] = acks();
    checkAck({ ledger: LEDGER, verifier }, instanceSigner.publicKey, ack!);
    expect(() => checkAck({ ledger: LEDGER, verifier }, rootSigner.publicKey, ack!)).toThrow(
      expect.objectContaining({ code: 'bad_signature' }),
    );
    expect(parseAck(ack!)).toMatchObject({
      seq: 2,
      generation: 1,
      stateHash: feed.table.head().stateHash,
      keyTypes: ['token', 'principal'],
      aborted: 3,
    });
    guard.clock.pass(2 * S);
    expect(acks()).toEqual([]);
  });
});

function flip(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= mask;
  return copy;
}
