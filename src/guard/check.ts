/** Whether a call may go on, as far as revocation is concerned. Everything that is not known for certain is a refusal. */
import { formatHex } from '../core/bytes.js';
import { checkToken, type RevokedReason, type Verdict } from '../protocol/check.js';
import type { FactTable } from '../protocol/fact-table.js';
import { deriveKey } from '../protocol/keys.js';
import { keysOfToken, type TokenFacts } from '../protocol/token-keys.js';
import { DEFAULT_STALENESS_US } from '../protocol/staleness.js';
import type { GuardCore } from './core.js';

export type RefusalReason =
  | RevokedReason
  /** Nothing is trusted after a start, or after the feed contradicted itself, before the table is there and a grant for it. */
  | 'starting'
  /** The table may be older than is allowed for this tool. */
  | 'stale';

/** A refusal that is not about the token. */
export interface Distrust extends Refused {
  readonly reason: 'starting' | 'stale';
}

export interface Refused {
  readonly allowed: false;
  readonly reason: RefusalReason;
  /** The change that made it so; the table's last where it is not about a key. */
  readonly seq: number;
  /** The key that the table refuses. */
  readonly key?: Uint8Array;
  /** The order that holds the key, once this instance has asked for its name: never in the way of an answer, so the first may lack it. */
  readonly order?: string;
}

export interface Allowed {
  readonly allowed: true;
  /** Why it would have been refused, if the tool did not fail open. */
  readonly unfenced?: 'starting' | 'stale';
}

export type Decision = Allowed | Refused;

const ALLOWED: Allowed = Object.freeze({ allowed: true });

/** A token as an instance remembers it: its keys, and what the table said of them last. */
export class KnownToken {
  readonly keys: readonly Uint8Array[];
  readonly issuedAtUs: number | undefined;
  /** By which it is known; undefined: by its keys alone. */
  readonly facts: TokenFacts | undefined;
  #names: readonly string[] | undefined;
  #table: FactTable | undefined;
  #seq = -1;
  #refusal: Refused | undefined;

  private constructor(keys: readonly Uint8Array[], issuedAtUs: number | undefined, facts: TokenFacts | undefined) {
    this.keys = keys;
    this.issuedAtUs = issuedAtUs;
    this.facts = facts;
  }

  static of({ options }: GuardCore, facts: TokenFacts): KnownToken {
    return new KnownToken(keysOfToken(options.hasher, options.membership.guardKey, facts), facts.issuedAtUs, facts);
  }

  static ofKeys(keys: readonly Uint8Array[], issuedAtUs: number): KnownToken {
    return new KnownToken(keys, issuedAtUs, undefined);
  }

  /** Its keys, in hex. */
  get names(): readonly string[] {
    return (this.#names ??= this.keys.map(formatHex));
  }

  /** What the table says of its keys; memoised until the table changes. */
  verdict(table: FactTable, skewUs: number): Refused | undefined {
    if (this.#seq !== table.seq || this.#table !== table) {
      // Whether it is issued in the future is no matter of the table.
      const found = checkToken(table, this.keys, this.issuedAtUs, Infinity, skewUs);
      this.#refusal = refusalOf(found);
      this.#table = table;
      this.#seq = table.seq;
    }
    return this.#refusal;
  }
}

/** A tool as an instance remembers it: whether it is blocked, and how stale the table may be for it. */
export class KnownTool {
  /** Its keys, in hex: whether it is blocked, and how stale the table may be. */
  readonly names: readonly string[];
  /** As the host names it. */
  readonly tool: string;
  readonly #key: Uint8Array;
  readonly #stalenessKey: Uint8Array;
  #table: FactTable | undefined;
  #seq = -1;
  #slot = -1;
  #stalenessUs = DEFAULT_STALENESS_US;

  constructor(
    private readonly core: GuardCore,
    tool: string,
  ) {
    const { hasher, membership } = core.options;
    this.#key = deriveKey(hasher, membership.guardKey, 'tool', '', tool);
    this.tool = tool;
    this.#stalenessKey = deriveKey(hasher, membership.guardKey, 'staleness', '', tool);
    this.names = [this.#key, this.#stalenessKey].map(formatHex);
  }

  /** Microseconds. */
  stalenessUs(table: FactTable): number {
    this.#look(table);
    return this.#stalenessUs;
  }

  /** What the table says of it to a token issued at that time. */
  verdict(table: FactTable, issuedAtUs: number | undefined, skewUs: number): Refused | undefined {
    this.#look(table);
    if (this.#slot < 0) return undefined;
    const found = checkToken(table, [this.#key], issuedAtUs, Infinity, skewUs);
    return refusalOf(found);
  }

  #look(table: FactTable): void {
    if (this.#seq === table.seq && this.#table === table) return;
    const slot = table.find(this.#stalenessKey);
    this.#stalenessUs = (slot < 0 ? undefined : table.stalenessUs(slot)) ?? DEFAULT_STALENESS_US;
    this.core.renewFor(this.#stalenessUs);
    this.#slot = table.find(this.#key);
    this.#table = table;
    this.#seq = table.seq;
  }
}

const refusalOf = (found: Verdict): Refused | undefined =>
  found.revoked
    ? { allowed: false, reason: found.reason, seq: found.seq, ...(found.key === undefined ? {} : { key: found.key }) }
    : undefined;

/** Why nothing is allowed, or nothing for this tool; whatever the token. By the clocks as they were read last. */
export function distrustOf(core: GuardCore, tool: KnownTool | undefined): Distrust | undefined {
  const { table, lease } = core;
  if (table === undefined || lease === undefined || !core.isCurrent) {
    return { allowed: false, reason: 'starting', seq: table?.seq ?? 0 };
  }
  const committedUs = tool === undefined ? DEFAULT_STALENESS_US : tool.stalenessUs(table);
  const allowedUs = committedUs < core.maxStalenessUs ? committedUs : core.maxStalenessUs;
  if (core.leaseAgeUs < allowedUs) return undefined;
  return { allowed: false, reason: 'stale', seq: table.seq };
}

/** Whether a tool is called although nobody can tell whether it may be. What the table refuses is refused all the same. */
export const failsOpen = ({ failOpen }: GuardCore, tool: KnownTool | undefined): boolean =>
  failOpen.has('*') || (tool !== undefined && failOpen.has(tool.tool));

/** Reads the clocks, and says whether a token may be used for a tool; undefined: whatever it is for. Allocates only to refuse. */
export function check(core: GuardCore, token: KnownToken, tool: KnownTool | undefined): Decision {
  const { table, time } = core;
  time.read();
  const distrust = distrustOf(core, tool);
  if (distrust !== undefined && !failsOpen(core, tool)) return distrust;
  if (table !== undefined) {
    const refusal = token.verdict(table, core.skewUs) ?? tool?.verdict(table, token.issuedAtUs, core.skewUs);
    if (refusal !== undefined) return refusal;
  }
  if (token.issuedAtUs !== undefined && !(token.issuedAtUs <= time.wallClockUs + core.skewUs)) {
    return { allowed: false, reason: 'issued_in_future', seq: table?.seq ?? 0 };
  }
  return distrust === undefined ? ALLOWED : { allowed: true, unfenced: distrust.reason };
}
