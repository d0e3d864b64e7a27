/** One process of `bench:fanout` that listens: see `Listening`. */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Connection } from '../../src/guard/connection.js';
import type { KnownToken } from '../../src/guard/check.js';
import { Guard } from '../../src/guard/guard.js';
import { readMembership } from '../../src/guard/join.js';
import type { Membership } from '../../src/guard/core.js';
import { signLeaseRequest } from '../../src/protocol/grant.js';
import type { FanOrder, FromListeners, ToListeners } from './fan.js';
import { signerOf } from './instances.js';
import { nowMs } from './now.js';

const say = (message: FromListeners): void => void process.send!(message);
/** As a guard asks. */
const LEASE_MS = 5_000;
/** Connections are opened so many at a time; when they come back after a restart, nobody holds them back. */
const OPENED_AT_ONCE = 25;
const VERIFIED_KEPT = 8;

let rounds: Rounds;

process.on('message', (message: ToListeners) => {
  if (message.kind === 'watch_reconnect') return rounds.watchReconnect();
  const { order } = message;
  rounds = new Rounds(order.to - order.from);
  const start = { guards: startGuards, connections: startConnections, bare: startBare, polling: startPolling };
  void start[order.kind](order).then(() => say({ kind: 'listening' }));
});
// Whoever started this is gone.
process.on('disconnect', () => process.exit(0));

/** Who got how far. A seq is told once all have been there; one that somebody skipped, because frames were taken together, never is. */
class Rounds {
  readonly #open = new Map<number, { count: number; readonly firstMs: number; refusedMs: number }>();
  #back: { readonly who: Set<number>; halfMs: number } | undefined;

  constructor(readonly size: number) {}

  /** One more is at `seq`; it refuses since `refusedMs`. */
  reach(seq: number, atMs: number, refusedMs: number): void {
    const round = this.#open.get(seq) ?? { count: 0, firstMs: atMs, refusedMs };
    this.#open.set(seq, round);
    round.refusedMs = Math.max(round.refusedMs, refusedMs);
    if (++round.count < this.size) return;
    for (const before of this.#open.keys()) if (before <= seq) this.#open.delete(before);
    say({ kind: 'reached', seq, firstMs: round.firstMs, lastMs: atMs, refusedMs: round.refusedMs });
  }

  watchReconnect(): void {
    this.#back = { who: new Set(), halfMs: 0 };
  }

  /** One has heard where the feed is. */
  hears(who: number): void {
    const back = this.#back;
    if (back === undefined || back.who.has(who)) return;
    back.who.add(who);
    if (back.who.size === Math.ceil(this.size / 2)) back.halfMs = nowMs();
    if (back.who.size < this.size) return;
    this.#back = undefined;
    say({ kind: 'in_sync', halfMs: back.halfMs, lastMs: nowMs() });
  }
}

const membershipOf = ({ membership }: FanOrder, n: number): Membership => {
  const { signer, instance } = signerOf(membership!.ledger, n);
  return readMembership({ ...membership!, instance: Buffer.from(instance).toString('hex') }, signer);
};

async function startGuards(order: FanOrder): Promise<void> {
  const guards: Guard[] = [];
  for (let n = order.from; n < order.to; n++) {
    const guard = new Guard({ url: order.url, membership: membershipOf(order, n) });
    let seq = 0;
    guard.addProbe((canary) => {
      const appliedMs = nowMs();
      const isRefused = refuses(guard, canary);
      const at = guard.core.table!.seq;
      if (isRefused && at > seq) rounds.reach((seq = at), appliedMs, nowMs());
      return isRefused;
    });
    guards.push(guard);
    guard.start();
    if (guards.length % OPENED_AT_ONCE > 0) continue;
    await untilLeased(guards);
    say({ kind: 'open', count: guards.length });
  }
  await untilLeased(guards);
}

/** As a host's middleware would: by the table, not for want of a lease. */
function refuses(guard: Guard, canary: KnownToken): boolean {
  const decision = guard.check(canary);
  return !decision.allowed && decision.reason === 'cutoff';
}

async function untilLeased(guards: readonly Guard[]): Promise<void> {
  while (guards.some((guard) => guard.core.lease === undefined)) await sleep(5);
}

/** The first is a whole guard, whose probe says when the process refuses; what it has verified the others compare. */
async function startConnections(order: FanOrder): Promise<void> {
  const guard = new Guard({ url: order.url, membership: membershipOf(order, order.spare) });
  let refusedMs = 0;
  guard.addProbe((canary) => {
    const isRefused = refuses(guard, canary);
    if (isRefused) refusedMs = nowMs();
    return isRefused;
  });
  /** By the seq that they lead to, the last ones. */
  const verified = new Map<number, Buffer>();
  const seqs = new Float64Array(order.to - order.from);
  const hearFrame = (i: number, bytes: Buffer): void => {
    const seq = Number(bytes.readBigUInt64BE(4)) + bytes.readUInt32BE(12);
    if (verified.get(seq)?.equals(bytes) !== true) {
      guard.hear(bytes);
      if (guard.core.table!.seq < seq) return;
      verified.set(seq, Buffer.from(bytes));
      if (verified.size > VERIFIED_KEPT) verified.delete(verified.keys().next().value!);
    }
    rounds.hears(i);
    if (seq <= seqs[i]!) return;
    seqs[i] = seq;
    const atMs = nowMs();
    rounds.reach(seq, atMs, Math.max(atMs, refusedMs));
  };
  guard.start();
  await untilLeased([guard]);
  let open = 0;
  const count = order.to - order.from;
  for (let i = 0; i < count; i++) {
    const membership = membershipOf(order, order.from + i);
    const connection = new Connection({
      url: order.url,
      membership,
      transport: 'websocket',
      seq: () => seqs[i]!,
      hear: (bytes) => {
        if (bytes[1] === 0x52 && bytes[2] === 0x46) hearFrame(i, bytes as Buffer); // KRF1
      },
      onOpen: () => void open++,
      onSeek: () => undefined,
      floor: () => 0,
      onAlive: () => undefined,
      onProblem: () => undefined,
    });
    connection.open();
    const ask = (): void => {
      const asked = { instance: membership.instance, nonce: new Uint8Array(randomBytes(16)) };
      connection.send(signLeaseRequest(membership.signer, membership.ledger, asked));
    };
    setTimeout(() => setInterval(ask, LEASE_MS), (i / count) * LEASE_MS);
    while (open < i + 1 - OPENED_AT_ONCE) await sleep(5);
    if (i % OPENED_AT_ONCE === 0) say({ kind: 'open', count: open });
  }
  while (open < count) await sleep(5);
}

/** Without a guard there is nothing between hearing and refusing. */
function reachNow(seq: number): void {
  const atMs = nowMs();
  rounds.reach(seq, atMs, atMs);
}

async function startBare({ url, from, to }: FanOrder): Promise<void> {
  let open = 0;
  for (let n = from; n < to; n++) {
    const socket = new WebSocket(url.replace('http', 'ws'));
    socket.on('open', () => open++);
    socket.on('message', (data: Buffer) => reachNow(data.readUInt32BE(0)));
    while (open < n - from + 1 - OPENED_AT_ONCE) await sleep(5);
  }
  while (open < to - from) await sleep(5);
}

async function startPolling({ url, from, to, pollMs = 10_000 }: FanOrder): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const poll = (known: { seq: number }): void => {
    request(url, { agent }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const seq = Buffer.concat(chunks).readUInt32BE(0);
        if (seq > known.seq) reachNow((known.seq = seq));
      });
    })
      .on('error', (error) => {
        throw error;
      })
      .end();
  };
  for (let n = from; n < to; n++) {
    const known = { seq: 0 };
    setTimeout(() => setInterval(() => poll(known), pollMs), Math.random() * pollMs);
  }
}
