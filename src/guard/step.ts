/** What a guard does with what it hears: verify, apply, answer. Pure: the same inputs at the same times give the same guard. */
import { formatHex } from '../core/bytes.js';
import { KeelsonError, type ErrorCode } from '../core/error.js';
import { signAck } from '../protocol/ack.js';
import { applyFrame, openFrame } from '../protocol/frame.js';
import { openGrant, signLeaseRequest } from '../protocol/grant.js';
import { equalHeads } from '../protocol/head.js';
import { openKeySet } from '../protocol/key-set.js';
import { openSnapshot } from '../protocol/snapshot.js';
import type { FactTable } from '../protocol/fact-table.js';
import { equalBytes } from '../core/bytes.js';
import type { GuardCore, Lease } from './core.js';

export type Input =
  /** Time went on; 16 fresh random bytes. */
  | { readonly kind: 'tick'; readonly random: Uint8Array }
  /** From the feed, by whatever way: a key set, a frame, a grant or a snapshot. */
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  /** The host's own middleware refused the canary of this seq. */
  | { readonly kind: 'canary_refused'; readonly seq: number }
  /** A connection is sought: whoever seeks it gives it up by itself where nobody answers. */
  | { readonly kind: 'sought' }
  /** There is a connection again. */
  | { readonly kind: 'connected' }
  /** The feed answered a ping. */
  | { readonly kind: 'alive' }
  /** The host ended so many sessions or calls. */
  | { readonly kind: 'aborted'; readonly count: number };

export type Effect =
  | { readonly kind: 'send'; readonly what: 'lease-request' | 'ack'; readonly bytes: Uint8Array }
  /** The feed is to be asked whether it is there. */
  | { readonly kind: 'ping' }
  /** Nobody is there, or nobody who grants: this connection is to be given up for another. */
  | { readonly kind: 'reconnect' }
  /** The feed is to be asked for what follows on `from`, or for a snapshot. */
  | { readonly kind: 'fetch'; readonly what: 'changes' | 'snapshot'; readonly from: number }
  /** Facts about these keys changed. */
  | { readonly kind: 'changed'; readonly keys: readonly Uint8Array[] }
  /** The whole table is another. */
  | { readonly kind: 'replaced' }
  /** Show the host's middleware a canary token, issued at this time: it must refuse, and no table of an earlier part would. */
  | { readonly kind: 'probe'; readonly seq: number; readonly issuedAtUs: number }
  /** A message was of no use; nothing changed by it. */
  | { readonly kind: 'rejected'; readonly code: ErrorCode };

/** Nonces that are waited for, at most. */
const MAX_NONCES = 8;
/** Acks are put off by up to so much, so that not all come at once. */
const ACK_SPREAD_US = 1_000_000;

/** Of the time between two nonces: then the one after should have been answered. */
const PING_AFTER = 1.25;

/** What was not refused through the host's middleware is shown to it again. */
const PROBE_AGAIN_US = 1_000_000;

export function step(core: GuardCore, input: Input): Effect[] {
  core.time.read();
  switch (input.kind) {
    case 'tick':
      return tick(core, input.random);
    case 'message':
      isHeard(core);
      return hear(core, input.bytes);
    case 'alive':
      isHeard(core);
      return [];
    case 'canary_refused':
      return prove(core, input.seq);
    case 'sought':
      isHeard(core);
      core.connected = core.heard;
      core.sought = true;
      return [];
    case 'connected':
      // What was asked, and the last ack, may have been lost with the connection before.
      core.asked = undefined;
      isHeard(core);
      core.connected = core.heard;
      return core.lastAck === undefined ? [] : [{ kind: 'send', what: 'ack', bytes: core.lastAck }];
    case 'aborted':
      core.aborted += input.count;
      return [];
  }
}

function tick(core: GuardCore, random: Uint8Array): Effect[] {
  const { time, options, realm } = core;
  const { instance, signer, generation } = options.membership;
  const effects: Effect[] = [];
  if (core.asked === undefined || time.sinceUs(core.asked) >= core.renewUs) {
    const nonce = new Uint8Array(random);
    core.asked = time.moment();
    core.nonces.set(formatHex(nonce), core.asked);
    const [oldest] = core.nonces.keys();
    if (core.nonces.size > MAX_NONCES) core.nonces.delete(oldest!);
    effects.push({
      kind: 'send',
      what: 'lease-request',
      bytes: signLeaseRequest(signer, realm.ledger, { instance, nonce }),
    });
  }
  effects.push(...listen(core), ...probeAgain(core));
  const { proven } = core;
  if (proven === undefined) return effects;
  core.ackDue ??= { since: time.moment(), afterUs: ((random[0]! << 8) | random[1]!) * (ACK_SPREAD_US / 0x10000) };
  if (time.sinceUs(core.ackDue.since) < core.ackDue.afterUs) return effects;
  const { hash: mappingHash, keyTypes } = options.mapping;
  const { aborted } = core;
  const atUs = time.wallClockUs;
  const ack = { instance, generation, ...proven, mappingHash, keyTypes, aborted, atUs };
  core.lastAck = signAck(signer, realm.ledger, ack);
  effects.push({ kind: 'send', what: 'ack', bytes: core.lastAck });
  core.ackedSeq = proven.seq;
  core.aborted = 0;
  core.proven = core.ackDue = undefined;
  return effects;
}

function isHeard(core: GuardCore): void {
  core.heard = core.time.moment();
  core.pinged = false;
  core.sought = false;
}

/** Notices that a connection is of no use while there is time to get a lease over another. */
function listen(core: GuardCore): Effect[] {
  const { time, renewUs, silentUs, unleasedUs } = core;
  const quietUs = time.sinceUs(core.heard);
  const isUnleased = core.leaseAgeUs >= unleasedUs && time.sinceUs(core.connected) >= unleasedUs;
  if ((quietUs >= silentUs && !core.sought) || isUnleased) {
    isHeard(core);
    core.connected = core.heard;
    return [{ kind: 'reconnect' }];
  }
  // The grant that was asked for after `renewUs` is not there.
  if (core.pinged || core.sought || quietUs < PING_AFTER * renewUs) return [];
  core.pinged = true;
  return [{ kind: 'ping' }];
}

function hear(core: GuardCore, bytes: Uint8Array): Effect[] {
  try {
    switch (String.fromCharCode(...bytes.subarray(0, 4))) {
      case 'KKS1':
        return hearKeySet(core, bytes);
      case 'KRF1':
        return hearFrame(core, bytes);
      case 'KLG1':
        return hearGrant(core, bytes);
      case 'KRS1':
        return hearSnapshot(core, bytes);
      default:
        throw new KeelsonError('malformed_message', 'nothing that a feed says');
    }
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    const rejected: Effect = { kind: 'rejected', code: error.code };
    if (error.code === 'fork') return [rejected, ...distrust(core)];
    // Somebody between changed it, or the feed is another than before: a whole table tells which.
    if (error.code === 'bad_proof') return [rejected, { kind: 'fetch', what: 'snapshot', from: core.seq }];
    if (error.code === 'gap') return [rejected, { kind: 'fetch', what: 'changes', from: core.table?.seq ?? 0 }];
    return [rejected];
  }
}

function hearKeySet(core: GuardCore, bytes: Uint8Array): Effect[] {
  const keySet = openKeySet(core.realm, core.options.membership.rootKey, bytes);
  if (keySet.version < core.keySetVersion) throw new KeelsonError('out_of_range', 'an older set of feed keys');
  core.keySet = keySet;
  core.keySetVersion = keySet.version;
  return [];
}

function hearFrame(core: GuardCore, bytes: Uint8Array): Effect[] {
  const frame = openFrame(core.realm, core.feedKeys(), bytes);
  requireGeneration(core, frame.head.generation);
  const { table } = core;
  if (table === undefined) return [{ kind: 'fetch', what: 'snapshot', from: core.seq }];
  const keys = applyFrame(core.options.hasher, table, frame);
  if (keys.length === 0) return [];
  return [{ kind: 'changed', keys }, ...moved(core, table)];
}

function hearSnapshot(core: GuardCore, bytes: Uint8Array): Effect[] {
  const { table, head } = openSnapshot(core.options.hasher, core.realm, core.feedKeys(), bytes);
  requireGeneration(core, head.generation);
  if (head.seq < core.seq) throw new KeelsonError('out_of_range', 'a snapshot of the past');
  if (core.table?.seq === head.seq) {
    if (!equalHeads(core.table.head(), head)) throw new KeelsonError('fork', `two tables at seq ${head.seq}`);
    return [];
  }
  core.table = table;
  return [{ kind: 'replaced' }, ...moved(core, table)];
}

/** After the table became another. */
function moved(core: GuardCore, table: FactTable): Effect[] {
  core.seq = Math.max(core.seq, table.seq);
  const due = core.waiting.filter(({ head }) => head.seq <= table.seq);
  core.waiting = core.waiting.filter(({ head }) => head.seq > table.seq);
  if (due.some(({ head }) => head.seq === table.seq && !equalHeads(head, table.head()))) return distrust(core);
  for (const lease of due) extend(core, lease);
  return probe(core, table);
}

function probe(core: GuardCore, table: FactTable): Effect[] {
  const slot = table.find(core.canaryKey);
  if (slot < 0) return [];
  core.probed = core.time.moment();
  return [{ kind: 'probe', seq: table.seq, issuedAtUs: table.cutoffUs(slot) + core.skewUs }];
}

/** What the host did not refuse at once, because it trusted nothing yet, say. */
function probeAgain(core: GuardCore): Effect[] {
  const { table, probed, time, lease, proven, ackedSeq } = core;
  if (table === undefined || lease === undefined || table.seq <= Math.max(ackedSeq, proven?.seq ?? 0)) return [];
  if (probed !== undefined && time.sinceUs(probed) < PROBE_AGAIN_US) return [];
  return probe(core, table);
}

function hearGrant(core: GuardCore, bytes: Uint8Array): Effect[] {
  const grant = openGrant(core.realm, core.feedKeys(), bytes);
  const { membership } = core.options;
  requireGeneration(core, grant.head.generation);
  if (!equalBytes(grant.instance, membership.instance))
    throw new KeelsonError('forbidden', 'a grant for another instance');
  const nonce = formatHex(grant.nonce);
  const sent = core.nonces.get(nonce);
  if (sent === undefined) throw new KeelsonError('replayed', 'a grant that nobody asked for');
  core.nonces.delete(nonce);
  const { table } = core;
  const { head, readAgeUs } = grant;
  if (table === undefined || head.seq > table.seq) {
    core.waiting = [...core.waiting, { sent, readAgeUs, head }].slice(-MAX_NONCES);
    const what = table === undefined ? 'snapshot' : 'changes';
    return [{ kind: 'fetch', what, from: table?.seq ?? core.seq }];
  }
  if (head.seq === table.seq && !equalHeads(head, table.head()))
    throw new KeelsonError('fork', 'a grant for another table');
  extend(core, { sent, readAgeUs });
  return [];
}

/** The lease that ends later counts. */
function extend(core: GuardCore, lease: Lease): void {
  const { time } = core;
  const ageUs = ({ sent, readAgeUs }: Lease): number => time.sinceUs(sent) + readAgeUs;
  if (core.lease === undefined || ageUs(lease) <= ageUs(core.lease))
    core.lease = { sent: lease.sent, readAgeUs: lease.readAgeUs };
}

function prove(core: GuardCore, seq: number): Effect[] {
  const { table } = core;
  if (table === undefined || table.seq !== seq || seq <= core.ackedSeq) return [];
  core.proven = { seq, stateHash: table.head().stateHash };
  return [];
}

/** The feed contradicts itself: nothing of it is trusted any more. */
function distrust(core: GuardCore): Effect[] {
  core.table = core.lease = core.proven = undefined;
  core.waiting = [];
  core.nonces.clear();
  return [{ kind: 'fetch', what: 'snapshot', from: core.seq }];
}

function requireGeneration(core: GuardCore, generation: number): void {
  if (generation !== core.options.membership.generation) {
    throw new KeelsonError('out_of_range', `of generation ${generation}`);
  }
}
