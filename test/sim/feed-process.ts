/** A feed process: the shell around `FeedCore`, as thin as it can be. It reads, folds, and tells what it is told to tell. */
import { FeedCore, step, type FeedEffect, type FeedInput } from '../../src/feed/core.js';
import { applyChanges } from '../../src/feed/store.js';
import { equalBytes, formatHex } from '../../src/core/bytes.js';
import { KeelsonError } from '../../src/core/error.js';
import type { Signer } from '../../src/core/signer.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { checkAck, parseAck } from '../../src/protocol/ack.js';
import { parseLeaseRequest } from '../../src/protocol/grant.js';
import { checkSignature } from '../../src/protocol/signed.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { encodeSnapshot, encodeSnapshotHead } from '../../src/protocol/snapshot.js';
import type { Dice } from '../chaos/dice.js';
import { modelVerifier } from './keys.js';
import { Machine } from './machine.js';
import { LEDGER } from './names.js';
import type { Schedule } from './schedule.js';
import type { Connection } from './store.js';

/** Few, so that who was away long needs a snapshot. */
const KEPT_FACTS = 12;
const FOLD_US = 250_000;
const RETRY_US = 400_000;
const COLLECT_US = 1_000_000;

/** An instance that is connected, as a feed process sees it. */
export interface Subscriber {
  /** Its name, 32 hex digits. */
  readonly instance: string;
  readonly publicKey: Uint8Array;
  send(bytes: Uint8Array): void;
}

export class FeedProcess {
  readonly machine: Machine;
  isStalled = false;
  /** How long it sleeps the next time that it waits for the database. */
  sleepsInReadUs = 0;
  core: FeedCore;
  readonly #subscribers = new Map<number, Subscriber>();
  /** A process that was started again hears nothing of what it asked before. */
  #life = 0;

  constructor(
    private readonly schedule: Schedule,
    private readonly dice: Dice,
    private readonly signer: Signer,
    readonly database: Connection,
    private readonly commitAck: (bytes: Uint8Array) => void,
  ) {
    this.machine = new Machine(schedule);
    this.core = this.#makeCore();
    this.#foldOn();
  }

  restart(): void {
    this.#life++;
    this.#subscribers.clear();
    this.core = this.#makeCore();
  }

  connect(id: number, subscriber: Subscriber, keySet: Uint8Array, from: number): void {
    this.#subscribers.set(id, subscriber);
    subscriber.send(keySet);
    this.fetch(id, from);
  }

  disconnect(id: number): void {
    this.#subscribers.delete(id);
  }

  hasConnected(id: number): boolean {
    return this.#subscribers.has(id);
  }

  /** What follows on `from`, or all there is. */
  fetch(id: number, from: number): void {
    this.#subscribers.get(id)?.send(this.core.frameFrom(from) ?? this.snapshot());
  }

  snapshot(): Uint8Array {
    return Buffer.concat([encodeSnapshotHead(this.core.signedHead()), encodeSnapshot(this.core.options.table)]);
  }

  /** A lease request or an ack; anything else counts for nothing. */
  hear(id: number, bytes: Uint8Array): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined) return;
    try {
      if (String.fromCharCode(...bytes.subarray(0, 4)) === 'KAC1') return this.#hearAck(subscriber, bytes);
      const request = parseLeaseRequest(bytes);
      checkSignature({ ledger: LEDGER, verifier: modelVerifier }, [subscriber.publicKey], 'lease-request', bytes);
      this.#step({ kind: 'lease_request', to: id, request });
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
    }
  }

  /** Acks are written a little later; those of a process that ends before are lost. */
  #hearAck({ instance, publicKey }: Subscriber, bytes: Uint8Array): void {
    const ack = parseAck(bytes);
    if (formatHex(ack.instance) !== instance || ack.seq > this.core.seq) return;
    checkAck({ ledger: LEDGER, verifier: modelVerifier }, publicKey, bytes);
    const life = this.#life;
    this.schedule.after(this.dice.between(1_000, COLLECT_US), () =>
      this.machine.whenAwake(() => {
        if (life === this.#life) this.commitAck(bytes);
      }),
    );
  }

  #makeCore(): FeedCore {
    const table = new FactTable(hasher);
    return new FeedCore({ signer: this.signer, ledger: LEDGER, generation: 1, table, keptFacts: KEPT_FACTS });
  }

  #foldOn(): void {
    this.machine.whenAwake(() => this.#fold());
    this.schedule.after(FOLD_US, () => this.#foldOn());
  }

  #fold(): void {
    if (this.isStalled) return;
    try {
      const { table } = this.core.options;
      const { size, seq, chainHash } = this.database.folded();
      while (table.seq < seq) {
        const facts = this.database.changesSince(table.seq, this.dice.between(1, 40));
        if (facts.length === 0 || !applyChanges(table, facts)) throw new Error('changes that are none');
        this.#step({ kind: 'changed', facts });
        // A process may stop at any await; what it knows then is whole.
        if (this.dice.between(0, 9) === 0) return;
      }
      if (seq < table.seq) return;
      if (!equalBytes(chainHash, table.head().chainHash)) throw new Error(`another table at seq ${seq}`);
      this.#step({ kind: 'folded', size });
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
    }
  }

  #step(input: FeedInput): void {
    for (const effect of step(this.core, input, this.machine.monotonicUs())) this.#do(effect);
  }

  #do(effect: FeedEffect): void {
    switch (effect.kind) {
      case 'read':
        return this.#read();
      case 'grant':
        return this.#subscribers.get(effect.to)?.send(effect.bytes);
      case 'superseded':
        return;
      case 'frame':
        for (const subscriber of this.#subscribers.values()) subscriber.send(effect.bytes);
    }
  }

  #read(): void {
    const beganUs = this.machine.monotonicUs();
    const asked = [...this.core.asked.keys()];
    const life = this.#life;
    const answer = (afterUs: number, input: FeedInput): void =>
      this.schedule.after(afterUs, () =>
        this.machine.whenAwake(() => {
          if (life === this.#life) this.#step(input);
        }),
      );
    this.schedule.after(this.dice.between(100, 5_000), () => {
      try {
        const size = this.database.readSize(asked);
        if (this.sleepsInReadUs > 0) this.machine.sleep(this.sleepsInReadUs);
        this.sleepsInReadUs = 0;
        answer(this.dice.pick([1_000, 10_000, 3_000_000]), { kind: 'read', beganUs, size });
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw error;
        answer(RETRY_US, { kind: 'read_failed' });
      }
    });
  }
}
