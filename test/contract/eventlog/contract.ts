/**
 * What every event log must do (src/eventlog/port.ts), run on each adapter against the real thing behind a proxy that can cut.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Batch, Consumer, EventLog, Message, Partition } from '../../../src/eventlog/port.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

export interface Harness {
  /** One more process's view of the same log, through the proxy. */
  open(options?: { maxWaitingBytes?: number; timeoutMs?: number; decisionsPartitions?: number }): Promise<EventLog>;
  readonly proxy: TcpProxy;
  /** Whether these bytes, sent by a client, ask for an append. */
  readonly isAppend: (sent: Buffer) => boolean;
  /** Takes away what stands below `before`, behind the adapter's back. */
  truncate(at: Partition, before: bigint): Promise<void>;
  /** Deletes the log of a partition and makes it anew, empty, behind the adapter's back. */
  makeAnew(at: Partition): Promise<void>;
  close(): Promise<void>;
}

export const DECISIONS: Partition = { topic: 'decisions', partition: 0 };
export const LIFECYCLE: Partition = { topic: 'lifecycle', partition: 0 };

const encode = (text: string): Uint8Array => Buffer.from(text);
const decode = (message: Message): string => Buffer.from(message.pack).toString();
const withCode = (code: string): unknown => expect.objectContaining({ code });
const key = (at: Partition): string => `${at.topic}/${at.partition}`;

/** Waits until `check` holds; what it waits for is named when the test's own time is over. */
export async function until(check: () => boolean | Promise<boolean>, what: string, withinMs = 30_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(10);
  }
}

/** A consumer as the ledger is one: it remembers where it is, and reads on from there. Stops where it is not told to start. */
export class Recorder implements Consumer {
  readonly calls: string[] = [];
  readonly messages = new Map<string, Message[]>();
  readonly batches = new Map<string, Batch[]>();
  readonly next = new Map<string, bigint>();
  /** Asked before anything is taken: what it throws is the rejection. */
  onAssigned: (at: Partition, next: bigint) => Promise<bigint | undefined> | bigint | undefined = (_, next) => next;
  onBatch: (at: Partition, batch: Batch) => Promise<void> | void = () => undefined;

  constructor(readonly only: Partition = DECISIONS) {}

  async assigned(at: Partition): Promise<bigint | undefined> {
    if (key(at) !== key(this.only)) return undefined;
    this.calls.push('assigned');
    return this.onAssigned(at, this.next.get(key(at)) ?? 0n);
  }

  async batch(at: Partition, batch: Batch): Promise<void> {
    this.calls.push('batch');
    await this.onBatch(at, batch);
    expect(batch.from).toBe(this.next.get(key(at)) ?? batch.from);
    this.batches.set(key(at), [...(this.batches.get(key(at)) ?? []), batch]);
    this.messages.set(key(at), [...(this.messages.get(key(at)) ?? []), ...batch.messages]);
    this.next.set(key(at), batch.to);
  }

  async revoked(at: Partition): Promise<void> {
    if (key(at) === key(this.only)) this.calls.push('revoked');
  }

  taken(at: Partition = this.only): Message[] {
    return this.messages.get(key(at)) ?? [];
  }

  texts(at: Partition = this.only): string[] {
    return this.taken(at).map(decode);
  }
}

/** Runs the contract. Every test has a log of its own, made by `start`. */
export function describeEventLog(name: string, start: () => Promise<Harness>): void {
  describe(name, () => {
    let harness: Harness;
    let open: EventLog[] = [];

    const openLog: Harness['open'] = async (options) => {
      const log = await harness.open(options);
      open.push(log);
      return log;
    };

    beforeEach(async () => {
      harness = await start();
      open = [];
      return async () => {
        harness.proxy.flow();
        harness.proxy.accept();
        await Promise.all(open.map((log) => log.close()));
        await harness.close();
      };
    });

    test('an acknowledged pack is read at its offset, byte for byte, in order, with a time that never goes back', async () => {
      const log = await openLog();
      const before = BigInt(Date.now() - 5_000) * 1000n;
      const offsets: bigint[] = [];
      for (let i = 0; i < 20; i++) offsets.push(await log.append(DECISIONS, encode(`pack ${i}`)));
      expect(offsets).toEqual([...offsets].sort((a, b) => Number(a - b)));
      const recorder = new Recorder();
      const subscription = await log.subscribe(recorder);
      await until(() => recorder.taken().length === 20, 'twenty packs');
      await subscription.close();
      expect(recorder.texts()).toEqual(offsets.map((_, i) => `pack ${i}`));
      expect(recorder.taken().map(({ offset }) => offset)).toEqual(offsets);
      const times = recorder.taken().map(({ appendedAtUs }) => appendedAtUs);
      expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
      expect(times[0]! > before && times[19]! < BigInt(Date.now() + 5_000) * 1000n).toBe(true);
    });

    test('every byte value survives, up to the greatest pack, and a greater one is refused', async () => {
      const log = await openLog();
      const big = Buffer.alloc(1_000_000, 'x');
      for (let i = 0; i < 256; i++) big[i] = i;
      const at = await log.append(DECISIONS, big);
      expect(Buffer.compare((await log.read(DECISIONS, at))!.pack, big)).toBe(0);
      await expect(log.append(DECISIONS, Buffer.alloc(1_000_001))).rejects.toEqual(withCode('too_large'));
    });

    test('50 callers at once, in two processes, while a reader reads: nothing lost, nothing twice, each at its own offset', async () => {
      const [one, two, reading] = await Promise.all([openLog(), openLog(), openLog()]);
      const recorder = new Recorder();
      await reading.subscribe(recorder);
      const appended = new Map<string, bigint>();
      await Promise.all(
        Array.from({ length: 50 }, async (_, caller) => {
          for (let i = 0; i < 20; i++) {
            const text = `${caller}:${i}`;
            appended.set(text, await (caller % 2 === 0 ? one : two).append(DECISIONS, encode(text)));
          }
        }),
      );
      await until(() => recorder.taken().length >= 1_000, 'a thousand packs');
      expect(new Set(appended.values()).size).toBe(1_000);
      expect(new Map(recorder.taken().map((message) => [decode(message), message.offset]))).toEqual(appended);
      expect(recorder.taken()).toHaveLength(1_000);
      for (let caller = 0; caller < 50; caller++) {
        const own = recorder.texts().filter((text) => text.startsWith(`${caller}:`));
        expect(own).toEqual(Array.from({ length: 20 }, (_, i) => `${caller}:${i}`));
      }
    });

    test('connections cut after the write, 50 callers at once: every acknowledged pack is in the log at its offset', async () => {
      const [log, reading] = await Promise.all([openLog({ timeoutMs: 30_000 }), openLog()]);
      await log.append(DECISIONS, encode('first'));
      harness.proxy.cutBeforeReply(harness.isAppend, 5);
      const appended = new Map<string, bigint>();
      await Promise.all(
        Array.from({ length: 50 }, async (_, caller) => {
          for (let i = 0; i < 10; i++) {
            const text = `${caller}:${i}`;
            appended.set(text, await log.append(DECISIONS, encode(text)));
          }
        }),
      );
      expect(harness.proxy.cutsLeft).toBe(0);
      const { end } = await reading.bounds(DECISIONS);
      const recorder = new Recorder();
      await reading.subscribe(recorder);
      await until(() => (recorder.next.get('decisions/0') ?? 0n) >= end, 'the end');
      const byOffset = new Map(recorder.taken().map((message) => [message.offset, decode(message)]));
      for (const [text, offset] of appended) expect(byOffset.get(offset)).toBe(text);
      // Ambiguous writes may stand twice; nothing else may.
      for (const text of byOffset.values()) expect(text === 'first' || appended.has(text)).toBe(true);
    });

    test('while the log is away callers are told, memory is bounded, and it recovers by itself', async () => {
      const log = await openLog({ timeoutMs: 300, maxWaitingBytes: 1_000_000 });
      await log.append(DECISIONS, encode('before'));
      expect(log.health()).toEqual({ ready: true });
      harness.proxy.refuse();
      await expect(log.append(DECISIONS, encode('away'))).rejects.toEqual(withCode('event_log_unavailable'));
      expect(log.health().ready).toBe(false);
      const waiting = Array.from({ length: 3 }, () => log.append(DECISIONS, Buffer.alloc(400_000)));
      const settled = Promise.allSettled(waiting);
      await expect(waiting[2]).rejects.toEqual(withCode('overloaded'));
      // The lifecycle has a bound of its own.
      await expect(log.append(LIFECYCLE, encode('leaver'))).rejects.toEqual(withCode('event_log_unavailable'));
      await settled;
      harness.proxy.accept();
      await until(
        () =>
          log.append(DECISIONS, encode('after')).then(
            () => true,
            () => false,
          ),
        'an append after the outage',
      );
      // The lifecycle is ready again without anybody appending to it.
      await until(() => log.health().ready, 'health');
    });

    test('a reader outlives the connection and goes on where the consumer says', async () => {
      const log = await openLog();
      const recorder = new Recorder();
      await log.subscribe(recorder);
      await log.append(DECISIONS, encode('one'));
      await until(() => recorder.taken().length === 1, 'the first pack');
      harness.proxy.cut();
      await until(
        () =>
          log.append(DECISIONS, encode('two')).then(
            () => true,
            () => false,
          ),
        'an append',
      );
      await until(() => recorder.texts().includes('two'), 'the pack behind the cut');
      expect(recorder.texts()[0]).toBe('one');
      expect(recorder.calls.filter((call) => call === 'assigned').length).toBeGreaterThan(1);
      await until(() => log.health().ready, 'health');
    });

    test('reading begins at any offset that is asked for', async () => {
      const log = await openLog();
      const offsets = [];
      for (let i = 0; i < 30; i++) offsets.push(await log.append(DECISIONS, encode(`${i}`)));
      for (const from of [0, 1, 17, 29]) {
        const recorder = new Recorder();
        recorder.next.set('decisions/0', offsets[from]!);
        const subscription = await log.subscribe(recorder);
        await until(() => recorder.taken().length === 30 - from, `packs from ${from}`);
        await subscription.close();
        expect(recorder.texts()[0]).toBe(`${from}`);
      }
    });

    test('bounds and single reads', async () => {
      const log = await openLog();
      expect(await log.bounds(DECISIONS)).toEqual({ start: 0n, end: 0n });
      expect(await log.read(DECISIONS, 0n)).toBeUndefined();
      const first = await log.append(DECISIONS, encode('a'));
      const second = await log.append(DECISIONS, encode('b'));
      expect(await log.bounds(DECISIONS)).toEqual({ start: first, end: second + 1n });
      expect(decode((await log.read(DECISIONS, first))!)).toBe('a');
      expect(decode((await log.read(DECISIONS, second))!)).toBe('b');
      expect(await log.read(DECISIONS, second + 1n)).toBeUndefined();
      expect(await log.read(LIFECYCLE, 0n)).toBeUndefined();
    });

    test('an append wakes a reader that has nothing to do, each time', async () => {
      const [log, reading] = await Promise.all([openLog(), openLog()]);
      const recorder = new Recorder();
      await reading.subscribe(recorder);
      for (let i = 0; i < 5; i++) {
        await log.append(DECISIONS, encode(`${i}`));
        await until(() => recorder.taken().length === i + 1, `pack ${i}`);
      }
      expect(recorder.texts()).toEqual(['0', '1', '2', '3', '4']);
    });

    test('a rejected batch is followed by assigned, and reading goes on from its answer; ranges are contiguous', async () => {
      const log = await openLog();
      const recorder = new Recorder();
      let rejections = 2;
      recorder.onBatch = () => {
        if (rejections-- > 0) throw new Error('not now');
      };
      for (let i = 0; i < 10; i++) await log.append(DECISIONS, encode(`${i}`));
      const subscription = await log.subscribe(recorder);
      await until(() => recorder.taken().length === 10, 'ten packs');
      await subscription.close();
      expect(recorder.calls.slice(0, 6)).toEqual(['assigned', 'batch', 'assigned', 'batch', 'assigned', 'batch']);
      expect(recorder.texts()).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
      const batches = recorder.batches.get('decisions/0')!;
      batches.forEach(({ from, to, messages }, i) => {
        expect(from).toBe(i === 0 ? 0n : batches[i - 1]!.to);
        expect(messages.every(({ offset }) => offset >= from && offset < to)).toBe(true);
      });
    });

    test('a rejected assignment is tried again; one that answers undefined leaves the partition alone until it is revoked', async () => {
      const log = await openLog();
      await log.append(DECISIONS, encode('x'));
      const recorder = new Recorder();
      let tries = 0;
      recorder.onAssigned = () => {
        if (++tries < 3) throw new Error('not now');
        return undefined;
      };
      const subscription = await log.subscribe(recorder);
      await until(() => tries === 3, 'three tries');
      await sleep(300);
      await subscription.close();
      expect(recorder.calls).toEqual(['assigned', 'assigned', 'assigned', 'revoked']);
    });

    test('close resolves after the last batch and the revocation, and no batch begins after it was called', async () => {
      const log = await openLog();
      const recorder = new Recorder();
      const seen: string[] = [];
      let release: () => void = () => undefined;
      recorder.onBatch = async () => {
        seen.push('begins');
        await new Promise<void>((resolve) => (release = resolve));
        seen.push('ends');
      };
      await log.append(DECISIONS, encode('1'));
      const subscription = await log.subscribe(recorder);
      await until(() => seen.length === 1, 'a batch under way');
      await log.append(DECISIONS, encode('2'));
      const closed = subscription.close().then(() => seen.push('closed'));
      await sleep(100);
      expect(seen).toEqual(['begins']);
      release();
      await closed;
      expect(seen).toEqual(['begins', 'ends', 'closed']);
      expect(recorder.calls.at(-1)).toBe('revoked');
    });

    test('two members: never both at once, and what the first leaves the second takes over', async () => {
      const [one, two, writing] = await Promise.all([openLog(), openLog(), openLog()]);
      let holders = 0;
      let most = 0;
      const member = (recorder: Recorder): Recorder => {
        const revoked = recorder.revoked.bind(recorder);
        recorder.onAssigned = (_, next) => {
          most = Math.max(most, ++holders);
          return next;
        };
        recorder.revoked = async (at) => {
          if (key(at) === 'decisions/0') holders--;
          await revoked(at);
        };
        return recorder;
      };
      const first = member(new Recorder());
      const second = member(new Recorder());
      const firstSubscription = await one.subscribe(first);
      await until(() => holders === 1, 'the first member');
      await two.subscribe(second);
      await writing.append(DECISIONS, encode('a'));
      await until(() => first.taken().length + second.taken().length >= 1, 'the pack');
      await firstSubscription.close();
      second.next.set('decisions/0', second.next.get('decisions/0') ?? first.next.get('decisions/0') ?? 0n);
      await writing.append(DECISIONS, encode('b'));
      await until(() => second.texts().includes('b'), 'the pack at the second member');
      expect(first.calls.at(-1)).toBe('revoked');
      expect(most).toBe(1);
    });

    test('truncation behind the reader does not skip: assigned is asked again, and the bounds show it', async () => {
      const log = await openLog();
      for (let i = 0; i < 10; i++) await log.append(DECISIONS, encode(`${i}`));
      await harness.truncate(DECISIONS, 6n);
      expect(await log.bounds(DECISIONS)).toEqual({ start: 6n, end: 10n });
      expect(await log.read(DECISIONS, 5n)).toBeUndefined();
      expect(decode((await log.read(DECISIONS, 6n))!)).toBe('6');
      const recorder = new Recorder();
      recorder.onAssigned = async (at, next) => (next < (await log.bounds(at)).start ? undefined : next);
      let asked = 0;
      const blind = recorder.onAssigned;
      // Once without looking: the read must fail, not begin somewhere else.
      recorder.onAssigned = (at, next) => (asked++ === 0 ? next : blind(at, next));
      const subscription = await log.subscribe(recorder);
      await until(() => asked === 2, 'the second assignment');
      await subscription.close();
      expect(recorder.taken()).toEqual([]);
    });

    test('a log made anew is noticed by whoever reads it, idle or not: end below next, or another pack at next - 1', async () => {
      const log = await openLog();
      for (let i = 0; i < 5; i++) await log.append(DECISIONS, encode(`old ${i}`));
      const recorder = new Recorder();
      const found: string[] = [];
      recorder.onAssigned = async (at, next) => {
        if (next === 0n) return next;
        const { end } = await log.bounds(at);
        if (end < next) found.push('end');
        else if (decode((await log.read(at, next - 1n))!) !== `old ${next - 1n}`) found.push('hash');
        else return next;
        return undefined;
      };
      const subscription = await log.subscribe(recorder);
      await until(() => recorder.taken().length === 5, 'the old packs');
      await harness.makeAnew(DECISIONS);
      await until(() => found.length > 0, 'the consumer to see it', 50_000);
      expect(recorder.texts()).toEqual(Array.from({ length: 5 }, (_, i) => `old ${i}`));
      await subscription.close();
      const recreated = await openLog();
      for (let i = 0; i < 8; i++) await recreated.append(DECISIONS, encode(`new ${i}`));
      const late = new Recorder();
      late.next.set('decisions/0', 5n);
      late.onAssigned = recorder.onAssigned;
      found.length = 0;
      await recreated.subscribe(late);
      await until(() => found.length > 0, 'another pack at next - 1', 50_000);
      expect(found[0]).toBe('hash');
      expect(late.taken()).toEqual([]);
    });

    test('the number of partitions is checked', async () => {
      const log = await openLog({ decisionsPartitions: 2 });
      expect(log.partitions.map(key)).toEqual(['decisions/0', 'decisions/1', 'lifecycle/0', 'activity/0']);
      await expect(harness.open({ decisionsPartitions: 1 })).rejects.toEqual(withCode('event_log_misconfigured'));
    });

    test('checkpoints: the newest of each origin comes back, to another process too', async () => {
      const log = await openLog();
      expect(await log.checkpoints.recall('o/a')).toBeUndefined();
      for (let i = 0; i < 30; i++) await log.checkpoints.remember(`o/${i % 3}`, `o/${i % 3}\n${i}\nroot\n`);
      await Promise.all(Array.from({ length: 20 }, (_, i) => log.checkpoints.remember('o/a', `a ${i}`)));
      expect(await log.checkpoints.recall('o/0')).toBe('o/0\n27\nroot\n');
      await log.close();
      const again = await openLog();
      expect(await again.checkpoints.recall('o/2')).toBe('o/2\n29\nroot\n');
      expect(await again.checkpoints.recall('o/a')).toBe('a 19');
      expect(await again.checkpoints.recall('o/none')).toBeUndefined();
    });

    test('close rejects what waits, and later appends', async () => {
      const log = await openLog();
      harness.proxy.refuse();
      const waiting = log.append(DECISIONS, encode('x'));
      const closed = log.close();
      await expect(waiting).rejects.toEqual(withCode('event_log_unavailable'));
      await closed;
      await expect(log.append(DECISIONS, encode('y'))).rejects.toEqual(withCode('event_log_unavailable'));
    });
  });
}
