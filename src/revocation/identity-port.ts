/**
 * What the processor asks of the identity graph. Pseudonyms are lower-case hex. Answers may be older than the question: each says how far
 * it is complete, and what appears later extends the order.
 */
import type { Changed, Descendants, Human, Origin } from '../identity/identity.js';
import type { Reach } from '../identity/reach.js';
import type { Begun, Owned } from '../identity/views.js';
import type { Positions } from '../ledger/projection.js';

export interface IdentityPort {
  /** Whether this process holds the graph; elsewhere the questions below are refused with `not_ready`. */
  readonly isHere: boolean;
  /** By log path, how many entries the answers are complete to. */
  positions(): Positions | Promise<Positions>;
  /** Resolves when lifecycle is folded to `size` entries, or after `timeoutMs`: answers whether it is. */
  waitForLifecycle(size: bigint, timeoutMs: number): Promise<boolean>;
  /** The human behind a pseudonym; of an unknown one: only itself. */
  aliasesOf(subject: string): Human | Promise<Human>;
  /** What these pseudonyms own, not retired. */
  ownedBy(subjects: readonly string[]): readonly Owned[] | Promise<readonly Owned[]>;
  /**
   * What stems from origins: of a person their grants, the delegations they gave with their children, sessions, and tokens of all these;
   * not what they own, which is an origin of its own.
   */
  descendantsOf(origins: readonly Origin[]): Descendants | Promise<Descendants>;
  /** The grants that tokens say they stem from. */
  grantsOf(tokens: readonly Origin[]): readonly Begun[] | Promise<readonly Begun[]>;
  /** For a dry run; what persons own is an origin of its own. */
  reachOf(origins: readonly Origin[]): Reach | Promise<Reach>;
  /**
   * To whom and to what something was attached (token, session, grant, agent, delegation, alias) after `mark`; undefined `mark`: none, only
   * where to begin. A mark that is not known any more answers `all`.
   */
  changedSince(mark: string | undefined): Changed | Promise<Changed>;
}
