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
  /** Of the graph: all pseudonyms of the human behind one, as far as is known here. */
  readonly aliasesOf: (pseudonym: string) => Promise<readonly string[]>;
}

export interface Found {
  readonly cause: Cause;
  readonly keys: readonly KeyCount[];
}

export interface BulkFilter {
  /** Names of orders, or ids of causes. */
  readonly ids?: readonly string[];
  /** Or what is held of this producer, committed from `sinceUs` to before `untilUs`, behind entry `after`. */
  readonly producer?: string;
  readonly sinceUs?: bigint;
  readonly untilUs?: bigint;
  readonly after?: bigint;
}

/** What became of one of many. */
export interface BulkResult {
  readonly id: string;
  readonly order?: string;
  readonly state?: string;
  /** Why nothing was done about it. */
  readonly error?: KeelsonError;
}

export interface BulkAnswer {
  readonly results: readonly BulkResult[];
  /** Where the rest begins; undefined: there is none. */
  readonly next?: bigint;
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
/** Causes that are answered in one request. */
export const BULK_MAX = 500;

export class Desk {
  constructor(private readonly options: DeskOptions) {}

  /**
   * Writes `revocation.requested`; answers what became of it within seconds, `pending` where that took longer.
   * @throws KeelsonError as intake; `timeout` where the ledger has not got it yet: it is not lost.
   */
  async request(caller: Caller, event: JsonObject): Promise<Found> {
    const [written] = await this.#write(caller, 'revocation.requested', [event]);
    return this.#untilDone(written!);
  }

  /** Writes `revocation.lift_requested` for one order. @throws as `request`; `not_found`, `conflict` */
  async lift(caller: Caller, name: string, event: JsonObject): Promise<Found> {
    const { cause } = await this.#find(name);
    if (cause.state !== 'ordered') throw conflict(`it is ${cause.state}: there is nothing to lift`);
    const [written] = await this.#write(caller, 'revocation.lift_requested', [{ ...event, orders: [cause.order] }]);
    await this.#untilDone(written!);
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
    if (answers && isOwn(caller, await this.#namesOf(caller), cause)) throw ownAnswer();
    const [written] = await this.#write(caller, `revocation.${verb}`, [{ ...event, cause: cause.order }]);
    // Where it was refused after all, it is a cause of its own that says why.
    await this.#untilFolded(written!.index);
    const refused = await this.options.causes.find(written!.order);
    if (refused?.cause.code !== undefined) throw conflict(`refused: ${refused.cause.code}`);
    return this.#find(cause.order);
  }

  /**
   * Answers for many that are held, at most `BULK_MAX` of them; each by the rule of `answer`, and whatever becomes of others.
   * @throws KeelsonError as intake, and `timeout`: some of it may be done; asking again does no harm.
   */
  async answerMany(
    caller: Caller,
    filter: BulkFilter,
    verb: 'approved' | 'denied',
    event: JsonObject,
  ): Promise<BulkAnswer> {
    const { causes } = this.options;
    const found = await (filter.ids === undefined ? causes.held(filter, BULK_MAX + 1) : causes.findMany(filter.ids));
    const chosen = found.slice(0, BULK_MAX);
    const names = await this.#namesOf(caller);
    const results = new Map<string, BulkResult>();
    const open: Cause[] = [];
    for (const cause of chosen) {
      const { order, state } = cause;
      if (state !== 'held') results.set(order, { id: cause.id, order, state, error: conflict(`it is ${state}`) });
      else if (isOwn(caller, names, cause)) results.set(order, { id: cause.id, order, state, error: ownAnswer() });
      else open.push(cause);
    }
    if (open.length > 0) {
      const events = open.map(({ order }) => ({ ...event, cause: order }));
      const written = await this.#write(caller, `revocation.${verb}`, events);
      await this.#untilFolded(written.reduce((last, { index }) => (index > last ? index : last), 0n));
      const after = new Map((await causes.findMany(open.map(({ order }) => order))).map((one) => [one.order, one]));
      const refused = new Map(
        (await causes.findMany(written.map(({ order }) => order))).map((one) => [one.order, one]),
      );
      for (const [i, { id, order }] of open.entries()) {
        const code = refused.get(written[i]!.order)?.code;
        const error = code === undefined ? {} : { error: conflict(`refused: ${code}`) };
        results.set(order, { id, order, state: after.get(order)!.state, ...error });
      }
    }
    const unknown = (filter.ids ?? []).filter((id) => !chosen.some((one) => one.order === id || one.id === id));
    const notFound = unknown.map((id) => ({ id, error: new KeelsonError('not_found', 'there is no such revocation') }));
    return {
      results: [...chosen.map(({ order }) => results.get(order)!), ...notFound],
      ...(found.length > BULK_MAX ? { next: BigInt(chosen.at(-1)!.index) + 1n } : {}),
    };
  }

  /** The pseudonyms of whoever asks; none where the vault never heard of them. */
  async #namesOf(caller: Caller): Promise<readonly string[]> {
    const { issuer, id } = personOf(caller);
    const pseudonym = await this.options.lookup(issuer, id);
    if (pseudonym === undefined) return [];
    const name = formatHex(pseudonym);
    return [...new Set([name, ...(await this.options.aliasesOf(name))])];
  }

  async #find(name: string): Promise<Found> {
    const found = await this.options.causes.find(name);
    if (found === undefined) throw new KeelsonError('not_found', 'there is no such revocation (yet)');
    return found;
  }

  /** Writes events, and waits for the ledger. One answer for each. */
  async #write(caller: Caller, type: string, events: readonly JsonObject[]): Promise<Written[]> {
    const { intake, access, hasher } = this.options;
    const timestamp = new Date().toISOString();
    const said = { type, timestamp, actor: { ...personOf(caller) }, ...tokenOf(caller) };
    const whole = events.map((event) => ({ ...event, ...said, id: randomUUID() }));
    const sender = {
      producer: await access.producer(caller.producer),
      verified: true,
      scopes: new Set([...caller.scopes, 'publish:lifecycle' as const]),
      isPerson: true as const,
    };
    const accepted = await intake.accept(Buffer.from(stringifyJson(whole)), { protocol: native, sender });
    const { items } = await intake.settle(accepted, SETTLE_MS);
    return items.map((item, i) => {
      if (item.status === 'quarantined') throw item.error;
      const { id } = whole[i]!;
      if (item.settled === undefined) {
        const message = `the ledger has not got ${id} yet; it will, and follow it`;
        throw new KeelsonError('timeout', message, { retryAfterS: 1 });
      }
      if (item.settled.outcome === 'refused') throw conflict(`the ledger refused it: ${item.settled.reason ?? ''}`);
      return { order: orderName(hasher, caller.producer, id), index: item.settled.index };
    });
  }

  /** Resolves when an entry is folded, or the time is over. */
  async #untilFolded(index: bigint): Promise<void> {
    const { causes } = this.options;
    for (const endMs = performance.now() + ORDER_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
      if ((await causes.size()) > index) return;
    }
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

/** A caller as a person: who holds the token; where nobody knows that, the token itself. */
const personOf = ({ holder, tokenId }: Caller): Person => holder ?? { issuer: SELF, id: tokenId };

/** What an event says of the token it was asked with. */
const tokenOf = ({ holder, tokenId }: Caller): JsonObject => ({
  by_token: tokenId,
  holder_known: holder !== undefined,
});

/** Whether somebody would answer for what they asked for, or for their own leaving. */
function isOwn(caller: Caller, names: readonly string[], { actor, producer, subjects }: Cause): boolean {
  if (subjects.some((subject) => names.includes(subject))) return true;
  return actor === undefined ? producer === caller.producer : names.includes(actor);
}

const ownAnswer = (): KeelsonError =>
  new KeelsonError('forbidden', 'nobody answers for what they asked for themselves, or for themselves');

const conflict = (message: string): KeelsonError => new KeelsonError('conflict', message);
