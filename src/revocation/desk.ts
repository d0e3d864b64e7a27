/** What administrators ask for over HTTP: written through intake like any other event, and answered when it is folded. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '../access/access.js';
import { KeelsonError } from '../core/error.js';
import { formatHex } from '../core/bytes.js';
import { SELF, stringifyJson, type JsonObject } from '../events/index.js';
import type { Caller } from '../http/caller.js';
import type { Intake } from '../intake/intake.js';
import { native } from '../intake/native.js';
import type { Hasher } from '../core/hasher.js';
import type { Cause } from './cause.js';
import type { Causes, KeyCount } from './causes.js';
import { orderName } from './names.js';
import type { Person } from './world.js';

export interface DeskOptions {
  readonly intake: Pick<Intake, 'accept' | 'settle'>;
  readonly access: Pick<Access, 'producer'>;
  readonly causes: Causes;
  readonly hasher: Hasher;
  /** Of the vault: the pseudonym of somebody, if there is one. */
  readonly lookup: (issuer: string, id: string) => Promise<Uint8Array | undefined>;
}

export interface Found {
  readonly cause: Cause;
  readonly keys: readonly KeyCount[];
}

export type Verb = 'approved' | 'denied' | 'cancelled' | 'rescheduled';

/** An event in the ledger, and the name of the order that may follow from it. */
interface Written {
  readonly order: string;
  readonly index: bigint;
}

/** How long a caller waits for the ledger, and then for the processor. */
const SETTLE_MS = 10_000;
const ORDER_MS = 5_000;
const LOOK_MS = 20;

export class Desk {
  constructor(private readonly options: DeskOptions) {}

  /**
   * Writes `revocation.requested`; answers what became of it within seconds, `pending` where that took longer.
   * @throws KeelsonError as intake; `timeout` where the ledger has not got it yet: it is not lost.
   */
  async request(caller: Caller, event: JsonObject): Promise<Found> {
    return this.#untilDone(await this.#write(caller, 'revocation.requested', event));
  }

  /** Writes `revocation.lift_requested` for one order. @throws as `request`; `not_found`, `conflict` */
  async lift(caller: Caller, name: string, event: JsonObject): Promise<Found> {
    const { cause } = await this.#find(name);
    if (cause.state !== 'ordered') throw conflict(`it is ${cause.state}: there is nothing to lift`);
    await this.#untilDone(await this.#write(caller, 'revocation.lift_requested', { ...event, orders: [cause.order] }));
    return this.#find(cause.order);
  }

  /**
   * Says something of a cause that waits.
   * @throws KeelsonError `not_found`; `conflict` where it does not wait any more; `forbidden` for one's own.
   */
  async answer(caller: Caller, name: string, verb: Verb, event: JsonObject): Promise<Found> {
    const { cause } = await this.#find(name);
    const answers = verb === 'approved' || verb === 'denied';
    if (answers && cause.state !== 'held') throw conflict(`it is ${cause.state}, and waits for nobody`);
    if (verb === 'rescheduled' && cause.state !== 'scheduled') throw conflict(`it is ${cause.state}, not scheduled`);
    if (verb === 'cancelled' && cause.state !== 'scheduled' && cause.state !== 'held') {
      throw conflict(`it is ${cause.state}: ${cause.state === 'ordered' ? 'lift it' : 'there is nothing to cancel'}`);
    }
    if (answers && (await this.#isOwn(caller, cause))) {
      throw new KeelsonError('forbidden', 'nobody answers for what they asked for themselves');
    }
    const written = await this.#write(caller, `revocation.${verb}`, { ...event, cause: cause.order });
    // Where it was refused after all, it is a cause of its own that says why.
    const refused = await this.#untilFolded(written);
    if (refused?.cause.code !== undefined) throw conflict(`refused: ${refused.cause.code}`);
    return this.#find(cause.order);
  }

  async #isOwn(caller: Caller, cause: Cause): Promise<boolean> {
    if (cause.actor === undefined) return cause.producer === caller.producer;
    const { issuer, id } = personOf(caller);
    const pseudonym = await this.options.lookup(issuer, id);
    return pseudonym !== undefined && formatHex(pseudonym) === cause.actor;
  }

  async #find(name: string): Promise<Found> {
    const found = await this.options.causes.find(name);
    if (found === undefined) throw new KeelsonError('not_found', 'there is no such revocation (yet)');
    return found;
  }

  /** Writes one event, and waits for the ledger. */
  async #write(caller: Caller, type: string, event: JsonObject): Promise<Written> {
    const { intake, access, hasher } = this.options;
    const id = randomUUID();
    const whole = { ...event, id, type, timestamp: new Date().toISOString(), actor: { ...personOf(caller) } };
    const sender = {
      producer: await access.producer(caller.producer),
      verified: true,
      scopes: new Set([...caller.scopes, 'publish:lifecycle' as const]),
    };
    const accepted = await intake.accept(Buffer.from(stringifyJson(whole)), { protocol: native, sender });
    const [item] = (await intake.settle(accepted, SETTLE_MS)).items;
    if (item?.status === 'quarantined') throw item.error;
    if (item?.settled === undefined) {
      throw new KeelsonError('timeout', `the ledger has not got ${id} yet; it will, and follow it`, { retryAfterS: 1 });
    }
    if (item.settled.outcome === 'refused') throw conflict(`the ledger refused it: ${item.settled.reason ?? ''}`);
    return { order: orderName(hasher, caller.producer, id), index: item.settled.index };
  }

  /** Resolves when what was written is folded, with the cause it became, if it did. */
  async #untilFolded({ order, index }: Written): Promise<Found | undefined> {
    const { causes } = this.options;
    for (const endMs = performance.now() + ORDER_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
      if ((await causes.size()) > index) return causes.find(order);
    }
    return undefined;
  }

  /** Resolves when something was done about a cause, or with how far it is when the time is over. */
  async #untilDone({ order }: Written): Promise<Found> {
    const { causes } = this.options;
    let found: Found | undefined;
    for (const endMs = performance.now() + ORDER_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
      found = await causes.find(order);
      if (found !== undefined && found.cause.state !== 'pending') return found;
    }
    if (found === undefined)
      throw new KeelsonError('timeout', `${order} is in the ledger and not folded yet`, { retryAfterS: 1 });
    return found;
  }
}

/** A caller as a person: two tokens are two. */
const personOf = ({ tokenId }: Caller): Person => ({ issuer: SELF, id: tokenId });

const conflict = (message: string): KeelsonError => new KeelsonError('conflict', message);
