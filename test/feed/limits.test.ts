/** Who may ask the feed how often. */
import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/feed/budget.js';
import { Limits, networkOf } from '../../src/feed/limits.js';

const BALANCER = '10.0.0.1';
let nowMs = 0;
const clock = { monotonicMs: () => nowMs };
const name = (i: number): Buffer => {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i);
  return id;
};

/** One request that is signed by who asks; throws where it is refused. */
function ask(limits: Limits, id: Buffer, address = BALANCER, cost = 1): void {
  limits.requireRoom(address, id);
  limits.asked(id, cost);
}
/** One in a name that is another's. */
function lie(limits: Limits, id: Buffer, address = BALANCER): void {
  limits.requireRoom(address, id);
  limits.failed(address, id);
}
/** One in a name that nobody has. */
function makeUp(limits: Limits, id: Buffer, address = BALANCER): void {
  limits.requireRoom(address, id);
  limits.failed(address);
}
/** How many go through before one is refused, and with what. */
function until(refused: () => void, most = 100_000): { many: number; error: unknown } {
  for (let many = 0; many < most; many++) {
    try {
      refused();
    } catch (error) {
      return { many, error };
    }
  }
  throw new Error('none was refused');
}

describe('a budget', () => {
  it('is a burst, comes back with time and no further, and owes what cost more than was left', () => {
    const budget = new Budget({ clock, perS: 2, burst: 5 });
    const spend = (cost?: number): boolean => budget.spend('a', cost);
    expect(Array.from({ length: 6 }, () => spend())).toEqual([true, true, true, true, true, false]);
    expect([budget.has('a'), budget.has('b')]).toEqual([false, true]);
    expect(budget.spent('a', 'a')).toMatchObject({ code: 'overloaded', retryAfterS: 1 });
    nowMs += 500;
    expect([spend(), spend()]).toEqual([true, false]);
    nowMs += 3_600_000;
    expect(spend(9)).toBe(true);
    expect(budget.spent('a', 'a')).toMatchObject({ retryAfterS: 3 });
    nowMs += 2_499;
    expect(spend()).toBe(false);
    nowMs += 1;
    expect(spend()).toBe(true);
  });

  it('remembers those who were seen last, and no more of them than it may', () => {
    const budget = new Budget({ clock, perS: 1, burst: 1, maxKnown: 2 });
    for (const key of ['a', 'b', 'c']) expect(budget.spend(key)).toBe(true);
    expect(['a', 'b', 'c'].map((key) => budget.knows(key))).toEqual([false, true, true]);
    nowMs += 1_000;
    budget.spend('b');
    budget.spend('d');
    expect(['b', 'c', 'd'].map((key) => budget.knows(key))).toEqual([true, false, true]);
  });
});

describe('the limits of the feed', () => {
  it('refuse who floods with a good key, whatever its address, and nobody else', () => {
    const limits = new Limits(clock);
    const { many, error } = until(() => ask(limits, name(1)));
    expect([many, error]).toMatchObject([200, { code: 'overloaded', retryAfterS: 1 }]);
    expect(() => ask(limits, name(1), '10.0.0.2')).toThrow('this instance');
    ask(limits, name(2));
    nowMs += 1_000;
    expect(until(() => ask(limits, name(1))).many).toBe(20);
    expect(until(() => ask(limits, name(2), BALANCER, 10)).many).toBe(20);
  });

  it('let ten thousand come back at once from one address, each with what a guard asks for', () => {
    const limits = new Limits(clock);
    for (let i = 0; i < 10_000; i++) {
      ask(limits, name(i), BALANCER, 5);
      ask(limits, name(i), BALANCER, 10);
      for (let asked = 0; asked < 5; asked++) ask(limits, name(i));
    }
  });

  it('let nobody spend what is another’s; a liar is refused, elsewhere the instance goes on', () => {
    const limits = new Limits(clock);
    expect(until(() => lie(limits, name(1), '10.0.0.9')).many).toBe(100);
    expect(until(() => ask(limits, name(1))).many).toBe(200);
    // Nor do those who claim what is another's, or a fleet that was retired, use up the address.
    for (let i = 2; i < 2_000; i++) lie(limits, name(i), '10.0.0.9');
    limits.requireAddress('10.0.0.9');
  });

  it('bound names that are made up by address; who has signed here goes on, newcomers wait, others come in', () => {
    const limits = new Limits(clock);
    ask(limits, name(1));
    let i = 10;
    const { many, error } = until(() => makeUp(limits, name(i++)));
    expect([many, error]).toMatchObject([1_000, { code: 'overloaded' }]);
    ask(limits, name(1));
    expect(() => ask(limits, name(2))).toThrow('this address');
    expect(() => limits.requireAddress(BALANCER)).toThrow('this address');
    ask(limits, name(2), '10.0.0.2');
    nowMs += 10;
    ask(limits, name(3));
  });

  it('count messages of an instance over all its sockets', () => {
    const limits = new Limits(clock);
    const tell = (): void => {
      if (!limits.mayTell(name(1))) throw new Error('flood');
    };
    expect(until(tell).many).toBe(50);
    nowMs += 2_000;
    expect([until(tell).many, limits.mayTell(name(2))]).toEqual([10, true]);
  });

  it('hold so many refusals for a while, the others not at all, and none over a stop', async () => {
    const limits = new Limits(clock);
    const closing = new AbortController();
    setMaxListeners(0, closing.signal);
    const held = Array.from({ length: 256 }, () => limits.hold(closing.signal));
    await limits.hold(new AbortController().signal);
    closing.abort();
    await Promise.all(held);
  });
});

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::6', '2001:db8:1:2'],
  ['2001:db8::6', '2001:db8:0:0'],
  ['2001:db8::1:2:3:4:5', '2001:db8:0:1'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
])('what one party has of addresses: %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
