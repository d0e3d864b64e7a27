/**
 * Who may ask the feed how often, told before anything costly is done: before a body is read, a row looked up, a signature checked.
 *
 * An instance has one budget, whichever address it comes from, and only what it has signed is taken from it: whoever claims to be another
 * spends nothing of theirs. Whether it is spent is asked of the instance that is claimed, so that a flood with a good key costs no
 * signatures either.
 *
 * Of an address only what failed is counted: thousands of guards may be behind one, a network's or a balancer's, and come back all at once;
 * as long as they sign what they ask they never meet this limit, however many they are. Where too much failed, those who have not signed
 * anything here lately wait with those who fail, and the others go on. Who claims an instance that there is, and fails, spends instead
 * what may fail in that name from this address: the instance competes with such a liar where they share an address, and nowhere else, and a
 * fleet that was retired and goes on asking keeps nobody out.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHex } from '../core/bytes.js';
import type { Clock } from '../platform/clock.js';
import { Budget } from './budget.js';

/** Requests of one instance. A guard that polls asks for changes ten times a second at most, and for a lease a few times. */
const REQUESTS_PER_S = 20;
const REQUESTS_BURST = 200;
/** Messages of one instance, on whichever of its sockets. */
const MESSAGES_PER_S = 5;
const MESSAGES_BURST = 50;
/** Bytes on them, with pings: more than those messages may have. */
const BYTES_PER_S = 8 * 1024;
const BYTES_BURST = 128 * 1024;
/** Failures of one address, whoever they claim to be. */
const FAILURES_PER_S = 100;
const FAILURES_BURST = 1_000;
/** Failures under the name of one instance, of one address. */
const CLAIMS_PER_S = 10;
const CLAIMS_BURST = 100;
/** How long a refusal is held back, and how many are: they take room of `KEELSON_HTTP_MAX_REQUESTS`. */
const HELD_MS = 500;
const MAX_HELD = 256;

export class Limits {
  readonly #requests: Budget;
  readonly #messages: Budget;
  readonly #bytes: Budget;
  readonly #failures: Budget;
  readonly #claims: Budget;
  #held = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#requests = new Budget({ clock, perS: REQUESTS_PER_S, burst: REQUESTS_BURST });
    this.#messages = new Budget({ clock, perS: MESSAGES_PER_S, burst: MESSAGES_BURST });
    this.#bytes = new Budget({ clock, perS: BYTES_PER_S, burst: BYTES_BURST });
    this.#failures = new Budget({ clock, perS: FAILURES_PER_S, burst: FAILURES_BURST });
    this.#claims = new Budget({ clock, perS: CLAIMS_PER_S, burst: CLAIMS_BURST });
  }

  /** Before it is known whether the instance that is claimed asks. @throws KeelsonError `overloaded` */
  requireRoom(address: string, instance: Uint8Array): void {
    const name = formatHex(instance);
    if (!this.#requests.has(name)) throw this.#requests.spent(name, 'this instance');
    const claim = claimOf(address, name);
    if (!this.#claims.has(claim)) throw this.#claims.spent(claim, 'who claims to be this instance');
    if (!this.#requests.knows(name)) this.requireAddress(address);
  }

  /** Of who has no name yet. @throws KeelsonError `overloaded` */
  requireAddress(address: string): void {
    const network = networkOf(address);
    if (!this.#failures.has(network)) throw this.#failures.spent(network, 'this address');
  }

  /** It has signed what it asks. @param cost of a request that is worth several. @throws KeelsonError `overloaded` */
  asked(instance: Uint8Array, cost: number): void {
    const name = formatHex(instance);
    if (!this.#requests.spend(name, cost)) throw this.#requests.spent(name, 'this instance');
  }

  /** @param instance that was claimed, where there is one of that name */
  failed(address: string, instance?: Uint8Array): void {
    if (instance === undefined) this.#failures.spend(networkOf(address));
    else this.#claims.spend(claimOf(address, formatHex(instance)));
  }

  /**
   * Before somebody is refused: who floods waits for each answer before they ask again, and so asks less often. Where too many are held
   * already it is over at once.
   */
  async hold(closing: AbortSignal): Promise<void> {
    if (this.#held >= MAX_HELD) return;
    this.#held++;
    await sleep(HELD_MS, undefined, { signal: closing }).catch(() => undefined);
    this.#held--;
  }

  /** Whether an instance may send a message. */
  mayTell(instance: Uint8Array): boolean {
    return this.#messages.spend(formatHex(instance));
  }

  /** Whether it may go on sending, with so many bytes that have come. */
  maySend(instance: Uint8Array, bytes: number): boolean {
    return this.#bytes.spend(formatHex(instance), bytes);
  }
}

const claimOf = (address: string, name: string): string => `${networkOf(address)} ${name}`;

/** What one party has of addresses: one of IPv4, a /64 of IPv6 (RFC 6177). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':');
    while (groups.length + behind.length < 8) groups.push('0');
    groups.push(...behind);
  }
  return groups.slice(0, 4).join(':');
}
