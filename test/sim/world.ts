/**
 * Who knows everything: the facts after every committed entry, each state a map of its own, by the rules of docs/revocation.md and in no
 * hurry. It shares no code with what it is held against.
 */
import { createHash } from 'node:crypto';
import { CANARY, keyOf, type Token } from './names.js';
import { DRIFT } from './machine.js';

/** How far issuers' clocks may differ. */
export const SKEW_US = 60_000_000;
export const DEFAULT_STALENESS_US = 60_000_000;

export type Said =
  | { readonly what: 'block'; readonly names: readonly string[]; readonly order: string }
  | { readonly what: 'lift'; readonly names: readonly string[]; readonly order: string; readonly atUs: number }
  | { readonly what: 'cutoff'; readonly names: readonly string[]; readonly atUs: number }
  | { readonly what: 'expire'; readonly names: readonly string[] };

/** One entry of lifecycle; `id`: said twice, it is there once. */
export type Entry =
  /** Of the processor. Without `said` it only tells that a term begins. */
  | { readonly id: string; readonly term: number; readonly said?: readonly Said[] }
  /** A tool is registered; undefined: it says nothing of how stale a table may be. */
  | { readonly id: string; readonly tool: string; readonly stalenessUs: number | undefined };

interface Fact {
  readonly orders: readonly string[];
  readonly cutoffUs?: number;
  readonly stalenessUs?: number;
}

type Facts = ReadonlyMap<string, Fact>;

/** What held from an entry to the next. */
interface State {
  readonly facts: Facts;
  /** When the next entry was committed. */
  endedUs: number;
}

export class World {
  readonly #states: State[] = [{ facts: new Map(), endedUs: Infinity }];
  /** The state hash at each seq, hex. */
  readonly hashes: string[] = ['0'.repeat(64)];
  /** How many parts were whole at each seq. */
  readonly parts: number[] = [0];
  #term = 0;

  get seq(): number {
    return this.hashes.length - 1;
  }

  /** An entry is committed. */
  commit(entry: Entry, nowUs: number): void {
    const facts = new Map(this.#now.facts);
    if ('tool' in entry) {
      const { tool, stalenessUs } = entry;
      this.#put(facts, `staleness/${tool}`, stalenessUs === undefined ? NOTHING : { orders: [], stalenessUs });
    } else {
      if (entry.term < this.#term) return;
      this.#term = entry.term;
      if (entry.said === undefined) return;
      for (const said of entry.said) {
        for (const name of said.names) this.#put(facts, name, change(facts.get(name) ?? NOTHING, said));
      }
      this.#put(facts, CANARY, { orders: [], cutoffUs: (facts.get(CANARY)?.cutoffUs ?? 0) + 1 });
    }
    this.#now.endedUs = nowUs;
    this.#states.push({ facts, endedUs: Infinity });
  }

  get #now(): State {
    return this.#states.at(-1)!;
  }

  #put(facts: Map<string, Fact>, name: string, fact: Fact): void {
    const before = bytesOf(name, facts.get(name) ?? NOTHING);
    const after = bytesOf(name, fact);
    facts.set(name, fact);
    if (before === after) return;
    const sum = [...facts].reduce((sum, [name, fact]) => sum + hashOf(name, fact), 0n) % (1n << 256n);
    this.hashes.push(sum.toString(16).padStart(64, '0'));
    this.parts.push(facts.get(CANARY)?.cutoffUs ?? 0);
  }

  isRevoked(token: Token, tool: string | undefined): boolean {
    return isRevoked(this.#now.facts, token, tool);
  }

  /** Orders that are open on any key, each with its names. */
  open(): Map<string, string[]> {
    const open = new Map<string, string[]>();
    for (const [name, { orders }] of this.#now.facts) {
      for (const order of orders) open.set(order, [...(open.get(order) ?? []), name]);
    }
    return open;
  }

  /**
   * Whether a guard may allow that: in some state it was not revoked, and that state ended no longer ago than it allowed a table to be stale.
   * @param maxStalenessUs what the guard allows at most.
   */
  mayBeAllowed(token: Token, tool: string | undefined, maxStalenessUs: number, nowUs: number): boolean {
    for (let i = this.#states.length - 1; i >= 0; i--) {
      const { facts, endedUs } = this.#states[i]!;
      if (endedUs + DEFAULT_STALENESS_US * (1 + DRIFT) + GRAIN_US < nowUs) return false;
      const committedUs = facts.get(`staleness/${tool}`)?.stalenessUs ?? DEFAULT_STALENESS_US;
      const allowedUs = Math.min(committedUs, maxStalenessUs, DEFAULT_STALENESS_US) * (1 + DRIFT) + GRAIN_US;
      if (nowUs <= endedUs + allowedUs && !isRevoked(facts, token, tool)) return true;
    }
    return false;
  }
}

/** Clocks tell whole microseconds. */
const GRAIN_US = 4;
const NOTHING: Fact = { orders: [] };

function change(fact: Fact, said: Said): Fact {
  const later = (atUs: number): number => Math.max(fact.cutoffUs ?? -Infinity, atUs);
  switch (said.what) {
    case 'block':
      return fact.orders.includes(said.order) ? fact : { ...fact, orders: [...fact.orders, said.order] };
    case 'lift':
      if (!fact.orders.includes(said.order)) return fact;
      return { orders: fact.orders.filter((one) => one !== said.order), cutoffUs: later(said.atUs) };
    case 'cutoff':
      return { ...fact, cutoffUs: later(said.atUs) };
    case 'expire':
      return NOTHING;
  }
}

function isRevoked(facts: Facts, token: Token, tool: string | undefined): boolean {
  const { issuedAtUs } = token.facts;
  return [...token.names, `tool/${tool}`].some((name) => {
    const { orders, cutoffUs } = facts.get(name) ?? NOTHING;
    if (orders.length > 0) return true;
    return cutoffUs !== undefined && (issuedAtUs === undefined || issuedAtUs <= cutoffUs + SKEW_US);
  });
}

/** Key 16 ‖ flags 1 ‖ value int64, hex; empty for a fact that says nothing. */
function bytesOf(name: string, { orders, cutoffUs, stalenessUs }: Fact): string {
  const flags = stalenessUs !== undefined ? 4 : (orders.length > 0 ? 1 : 0) + (cutoffUs !== undefined ? 2 : 0);
  if (flags === 0) return '';
  const value = Buffer.alloc(9, flags);
  value.writeBigInt64BE(BigInt(stalenessUs ?? cutoffUs ?? 0), 1);
  return Buffer.concat([keyOf(name), value]).toString('hex');
}

function hashOf(name: string, fact: Fact): bigint {
  const bytes = bytesOf(name, fact);
  if (bytes === '') return 0n;
  return BigInt(`0x${createHash('sha256').update(bytes, 'hex').digest('hex')}`);
}
