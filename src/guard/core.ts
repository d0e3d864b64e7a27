/**
 * What a guard knows, and the rule by which it trusts it: the table, the lease, the feed keys. No I/O, no timers, no randomness: `step`
 * changes it, `check` asks it, a shell around them talks to the world.
 */
import type { Hasher } from '../core/hasher.js';
import type { Signer, Verifier } from '../core/signer.js';
import { deriveCanaryKey, type KeyType } from '../protocol/keys.js';
import { FactTable } from '../protocol/fact-table.js';
import type { FeedHead } from '../protocol/head.js';
import type { FeedKeySet } from '../protocol/key-set.js';
import { LeaseTime, type LeaseClock, type Moment } from '../protocol/lease-time.js';
import type { Realm } from '../protocol/signed.js';
import { DEFAULT_STALENESS_US } from '../protocol/staleness.js';

/** What an instance got when it joined, and its own key. */
export interface Membership {
  /** 16 bytes. */
  readonly instance: Uint8Array;
  readonly ledger: string;
  readonly generation: number;
  /** Derives the keys of tokens; secret. */
  readonly guardKey: Uint8Array;
  /** Signs the feed keys; pinned. */
  readonly rootKey: Uint8Array;
  readonly signer: Signer;
}

/** How the host's claims become token facts. */
export interface MappingSummary {
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly keyTypes: readonly KeyType[];
}

/** How far this instance had come before it was started again: it never goes back behind it. */
export interface Floor {
  readonly seq: number;
  readonly keySetVersion: number;
}

export interface GuardOptions {
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly membership: Membership;
  readonly mapping: MappingSummary;
  readonly clock: LeaseClock;
  readonly floor?: Floor;
  /** How stale the table may be at most, microseconds; only ever lowers what is committed for a tool. */
  readonly maxStalenessUs?: number;
  /** How far issuers' clocks may differ from ours, microseconds. */
  readonly skewUs?: number;
}

const DEFAULT_SKEW_US = 60_000_000;

/** Time that a grant gave. */
export interface Lease {
  /** When its nonce was sent. */
  readonly sent: Moment;
  readonly readAgeUs: number;
}

/** A grant for a head that is not applied yet. */
export interface WaitingGrant extends Lease {
  readonly head: FeedHead;
}

const RENEW_US = 5_000_000;
/** However short the leases are: networks take their time. */
const MIN_SILENT_US = 2_000_000;
const MIN_UNLEASED_US = 5_000_000;
const renewOf = (stalenessUs: number): number => Math.min(RENEW_US, stalenessUs / 3);

export class GuardCore {
  readonly options: GuardOptions;
  readonly realm: Realm;
  readonly time: LeaseTime;
  readonly canaryKey: Uint8Array;
  readonly maxStalenessUs: number;
  readonly skewUs: number;
  /** The shortest lease that is used, microseconds. */
  shortestUs: number;
  /** A new nonce this often: three times while the shortest lease that is used runs. */
  renewUs: number;
  keySet: FeedKeySet | undefined;
  keySetVersion: number;
  /** Undefined after a fork, until a snapshot comes: everything is refused. */
  table: FactTable | undefined;
  /** The greatest seq that was ever applied. */
  seq: number;
  lease: Lease | undefined;
  /** Grants for heads that are not applied yet, oldest first. */
  waiting: readonly WaitingGrant[] = [];
  /** Nonces that are not answered yet, in hex. */
  readonly nonces = new Map<string, Moment>();
  /** When the newest nonce was sent. */
  asked: Moment | undefined;
  /** When the feed was last heard, or a connection to it sought. */
  heard: Moment;
  /** Whether it was asked since then whether it is there. */
  pinged = false;
  /** Whether this connection is not there yet: after a restart of the server ten thousand seek one, and it takes its time. */
  sought = false;
  /** Since when this connection is there, or sought. */
  connected: Moment;
  /** When the canary was last shown to the host. */
  probed: Moment | undefined;
  /** What was refused through the host's own middleware, and is not attested yet. */
  proven: { readonly seq: number; readonly stateHash: Uint8Array } | undefined;
  /** When it is to be attested. */
  ackDue: { readonly since: Moment; readonly afterUs: number } | undefined;
  ackedSeq = 0;
  lastAck: Uint8Array | undefined;
  aborted = 0;
  /** Tools that are called though nobody can tell; only what the ledger was told of. `*`: all. */
  failOpen: ReadonlySet<string> = new Set();

  constructor(options: GuardOptions) {
    const { hasher, verifier, membership, clock, floor } = options;
    this.options = options;
    this.realm = { ledger: membership.ledger, verifier };
    this.time = new LeaseTime(clock);
    this.heard = this.connected = this.time.moment();
    this.canaryKey = deriveCanaryKey(hasher, membership.guardKey);
    this.maxStalenessUs = Math.min(options.maxStalenessUs ?? DEFAULT_STALENESS_US, DEFAULT_STALENESS_US);
    this.shortestUs = this.maxStalenessUs;
    this.renewUs = renewOf(this.maxStalenessUs);
    this.skewUs = options.skewUs ?? DEFAULT_SKEW_US;
    this.keySetVersion = floor?.keySetVersion ?? 0;
    this.seq = floor?.seq ?? 0;
    // From the first change on: where that is too far back, the feed asks to fetch a snapshot.
    this.table = new FactTable(hasher);
  }

  /** It was that far before it was started again: what it holds of an older time is not trusted. */
  raise({ seq, keySetVersion }: Floor): void {
    this.seq = Math.max(this.seq, seq);
    if (keySetVersion <= this.keySetVersion) return;
    this.keySetVersion = keySetVersion;
    this.keySet = undefined;
  }

  /** How old the table may be, microseconds, by the clocks as they were read last; Infinity: there is no lease. */
  get leaseAgeUs(): number {
    const { lease, time } = this;
    return lease === undefined ? Infinity : time.sinceUs(lease.sent) + lease.readAgeUs;
  }

  /** Whether the table is new enough even for the shortest lease that is used. */
  get isFresh(): boolean {
    return this.isCurrent && this.leaseAgeUs < this.shortestUs;
  }

  /** Changes that it knows of and has not applied. */
  get seqLag(): number {
    const known = this.waiting.reduce((newest, { head }) => Math.max(newest, head.seq), this.seq);
    return known - (this.table?.seq ?? 0);
  }

  /** A connection on which nothing was heard for so long, nor an answer to a ping, is given up, microseconds: two grants are missing. */
  get silentUs(): number {
    return Math.max(MIN_SILENT_US, 2 * this.renewUs);
  }

  /** A feed that gives no lease for so long is left for another, microseconds: while there is time to get one there. */
  get unleasedUs(): number {
    return Math.max(MIN_UNLEASED_US, (2 * this.shortestUs) / 3);
  }

  /** A tool is called for which the table may be so stale. */
  renewFor(stalenessUs: number): void {
    this.shortestUs = Math.min(this.shortestUs, stalenessUs);
    this.renewUs = Math.min(this.renewUs, renewOf(stalenessUs));
  }

  /** The feed keys, while they are in force. */
  feedKeys(): readonly Uint8Array[] {
    const { keySet, time } = this;
    return keySet === undefined || time.wallClockUs >= keySet.expiresUs ? [] : keySet.publicKeys;
  }

  /** Whether the table is no older than the newest that this instance ever had. */
  get isCurrent(): boolean {
    return this.table !== undefined && this.table.seq >= this.seq;
  }
}
