/** The rule by which a token is refused. */
import type { FactSource } from './fact-table.js';

export type RevokedReason =
  /** An order on one of its keys is open. */
  | 'blocked'
  /** Issued up to the cutoff of one of its keys. */
  | 'cutoff'
  /** One of its keys has a cutoff, and it doesn't say when it was issued. */
  | 'no_issue_time'
  /** Issued further ahead than clocks may differ. */
  | 'issued_in_future';

export interface Revoked {
  readonly revoked: true;
  readonly reason: RevokedReason;
  /** The key that is revoked; none for `issued_in_future`. */
  readonly key?: Uint8Array;
  /** An open order that blocks it, where the table knows. */
  readonly order?: string;
  /** The change that made it so; for `issued_in_future` the table's last. */
  readonly seq: number;
}

/** It is not a permission: it says that nothing here speaks against the token. */
export interface NotRevoked {
  readonly revoked: false;
}

export type Verdict = Revoked | NotRevoked;

const NOT_REVOKED: NotRevoked = Object.freeze({ revoked: false });

/**
 * Whether the table refuses a token: a key is blocked; or a key has a cutoff, and the token was issued up to it (plus `skewUs`) or does
 * not say when; or it was issued after `nowUs + skewUs`. A block is told before a cutoff, of several keys the first.
 * Allocates nothing where it does not refuse.
 *
 * @param keys of `keysOfToken`.
 * @param issuedAtUs microseconds since 1970 UTC, as are the other times; undefined: not said.
 * @param skewUs how far the issuer's clock may differ from ours.
 */
export function checkToken(
  table: FactSource,
  keys: readonly Uint8Array[],
  issuedAtUs: number | undefined,
  nowUs: number,
  skewUs: number,
): Verdict {
  let cutoffKey: Uint8Array | undefined;
  let cutoffSlot = -1;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const slot = table.find(key);
    if (slot < 0) continue;
    if (table.isBlocked(slot)) {
      const order = table.orderOf?.(key);
      const found = { revoked: true, reason: 'blocked', key, seq: table.seqAt(slot) } as const;
      return order === undefined ? found : { ...found, order };
    }
    if (cutoffKey === undefined && !(issuedAtUs! > table.cutoffUs(slot) + skewUs)) {
      cutoffKey = key;
      cutoffSlot = slot;
    }
  }
  if (cutoffKey !== undefined) {
    const reason = issuedAtUs === undefined || Number.isNaN(issuedAtUs) ? 'no_issue_time' : 'cutoff';
    return { revoked: true, reason, key: cutoffKey, seq: table.seqAt(cutoffSlot) };
  }
  if (issuedAtUs !== undefined && !(issuedAtUs <= nowUs + skewUs)) {
    return { revoked: true, reason: 'issued_in_future', seq: table.seq };
  }
  return NOT_REVOKED;
}
