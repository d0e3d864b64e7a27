/**
 * What one feed process knows, and what it may tell. Pure: `step` changes it, a shell around it reads the database and talks to instances.
 *
 * A lease says that its table was the newest at some moment, so it is granted only after the committed size of lifecycle was read in a
 * transaction that a fenced or stale database would have refused, and after the table was folded to that size. Who asks is answered by a
 * read that began after they asked: so a lease, which they count from their asking, is never older than they think, even if this
 * process was suspended between the read and the answer, and its clock stood still. A frame says nothing of the kind.
 */
import { formatHex } from '../core/bytes.js';
import type { Signer } from '../core/signer.js';
import { FACT_BYTES } from '../protocol/fact.js';
import type { FactTable } from '../protocol/fact-table.js';
import { encodeFrame, MAX_FRAME_FACTS } from '../protocol/frame.js';
import { signGrant, type LeaseRequest } from '../protocol/grant.js';
import { signHead } from '../protocol/head.js';
import { encodeSignedSnapshot } from '../protocol/snapshot.js';

export interface FeedOptions {
  /** The first one; `signed_by` says which follows. */
  readonly signer: Signer;
  readonly ledger: string;
  readonly generation: number;
  /** Folded from what is committed; changed by the shell before it tells of it. */
  readonly table: FactTable;
  /** Changes that are kept to be told again, at most. */
  readonly keptFacts: number;
}

export type FeedInput =
  /** The table was changed by these facts, 25 bytes each, in order. */
  | { readonly kind: 'changed'; readonly facts: Uint8Array }
  /** An instance asks for time; `to` says where its answer goes. */
  | { readonly kind: 'lease_request'; readonly to: number; readonly request: LeaseRequest }
  /** A read that began at `beganUs` found lifecycle committed to `size` entries. */
  | { readonly kind: 'read'; readonly beganUs: number; readonly size: bigint }
  | { readonly kind: 'read_failed' }
  /** Another key is in force. */
  | { readonly kind: 'signed_by'; readonly signer: Signer }
  /** The table is folded to so many entries of lifecycle. */
  | { readonly kind: 'folded'; readonly size: bigint };

export type FeedEffect =
  /** Read how far lifecycle is committed. One read at a time. */
  | { readonly kind: 'read' }
  | { readonly kind: 'grant'; readonly to: number; readonly bytes: Uint8Array }
  /** That request gets no answer: its instance asked again. */
  | { readonly kind: 'superseded'; readonly to: number }
  /** For everybody who is at `from`. */
  | { readonly kind: 'frame'; readonly from: number; readonly bytes: Uint8Array };

interface Waiting {
  readonly to: number;
  readonly request: LeaseRequest;
}

export class FeedCore {
  readonly options: FeedOptions;
  #signer: Signer;
  /** Who waits for the next read, by instance: of each their last request, however long there is no answer. */
  waiting = new Map<string, Waiting>();
  /** Who waited when the read began that is under way, or is folded to; they alone are answered by it. */
  asked = new Map<string, Waiting>();
  reading = false;
  /** The read that is folded to. */
  read: { readonly beganUs: number; readonly size: bigint } | undefined;
  foldedSize = 0n;
  /** Changes from `firstSeq + 1` on, 25 bytes each. */
  #kept: Uint8Array[] = [];
  #firstSeq: number;
  #signedHead: { readonly seq: number; readonly bytes: Uint8Array } | undefined;

  /** @param recent the changes that led to the table as it is, the last ones of them. */
  constructor(options: FeedOptions, recent: Uint8Array = new Uint8Array(0)) {
    this.options = options;
    this.#signer = options.signer;
    this.#firstSeq = options.table.seq - recent.length / FACT_BYTES;
    this.keep(recent);
  }

  get seq(): number {
    return this.options.table.seq;
  }

  get signer(): Signer {
    return this.#signer;
  }

  /** What was signed is signed again: the key before may not be in force any more. */
  signBy(signer: Signer): void {
    this.#signer = signer;
    this.#signedHead = undefined;
  }

  /** The head of the table as it is. */
  signedHead(): Uint8Array {
    const { ledger, generation, table } = this.options;
    if (this.#signedHead?.seq !== table.seq) {
      const bytes = signHead(this.#signer, ledger, { generation, ...table.head() });
      this.#signedHead = { seq: table.seq, bytes };
    }
    return this.#signedHead.bytes;
  }

  /** The whole table of this moment and its head, in pieces that are made as they are asked for, whatever becomes of the table. */
  snapshot(): Iterable<Uint8Array> {
    return encodeSignedSnapshot(this.signedHead(), this.options.table);
  }

  /** What follows on `from`; undefined where that is not known any more, or never was: a snapshot is needed. */
  frameFrom(from: number): Uint8Array | undefined {
    if (from < this.#firstSeq || from > this.seq || this.seq - from > MAX_FRAME_FACTS) return undefined;
    const facts = new Uint8Array((this.seq - from) * FACT_BYTES);
    this.#kept.slice(from - this.#firstSeq).forEach((fact, i) => facts.set(fact, i * FACT_BYTES));
    return encodeFrame(from, facts, this.signedHead());
  }

  /** Keeps changes, so that they can be told to who missed them. */
  keep(facts: Uint8Array): void {
    for (let at = 0; at < facts.length; at += FACT_BYTES) this.#kept.push(facts.slice(at, at + FACT_BYTES));
    const tooMany = this.#kept.length - this.options.keptFacts;
    if (tooMany > this.options.keptFacts / 4) {
      this.#kept = this.#kept.slice(tooMany);
      this.#firstSeq += tooMany;
    }
  }
}

/** @param nowUs monotonic, microseconds. */
export function step(core: FeedCore, input: FeedInput, nowUs: number): FeedEffect[] {
  switch (input.kind) {
    case 'changed': {
      const from = core.seq - input.facts.length / FACT_BYTES;
      core.keep(input.facts);
      const bytes = core.frameFrom(from);
      return bytes === undefined ? [] : [{ kind: 'frame', from, bytes }];
    }
    case 'lease_request':
      return [...wait(core, input), ...read(core)];
    case 'read':
      core.reading = false;
      core.read = input;
      return grant(core, nowUs);
    case 'read_failed':
      core.reading = false;
      return [...waitAgain(core), ...read(core)];
    case 'signed_by':
      core.signBy(input.signer);
      return [];
    case 'folded':
      if (input.size > core.foldedSize) core.foldedSize = input.size;
      return grant(core, nowUs);
  }
}

function wait(core: FeedCore, { to, request }: Waiting): FeedEffect[] {
  const instance = formatHex(request.instance);
  const before = core.waiting.get(instance);
  core.waiting.set(instance, { to, request });
  return before === undefined ? [] : [{ kind: 'superseded', to: before.to }];
}

/** After a read that failed. */
function waitAgain(core: FeedCore): FeedEffect[] {
  const { asked, waiting } = core;
  core.asked = new Map();
  core.waiting = asked;
  return [...waiting.values()].flatMap((one) => wait(core, one));
}

function read(core: FeedCore): FeedEffect[] {
  if (core.reading || core.read !== undefined || core.waiting.size === 0) return [];
  core.reading = true;
  core.asked = core.waiting;
  core.waiting = new Map();
  return [{ kind: 'read' }];
}

/** Answers those who asked before the read, once the table is folded to it; then it is read for those who came meanwhile. */
function grant(core: FeedCore, nowUs: number): FeedEffect[] {
  const { read: last, foldedSize, options } = core;
  if (last === undefined || foldedSize < last.size) return [];
  core.read = undefined;
  const { ledger, generation, table } = options;
  const head = { generation, ...table.head() };
  const readAgeUs = Math.max(0, Math.ceil(nowUs - last.beganUs));
  const granted = [...core.asked.values()].map(({ to, request }): FeedEffect => ({
    kind: 'grant',
    to,
    bytes: signGrant(core.signer, ledger, { ...request, readAgeUs, head }),
  }));
  core.asked = new Map();
  return [...granted, ...read(core)];
}
