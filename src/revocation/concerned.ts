/** Which tokens an order is about, for its certificate. */
import { KeelsonError } from '../core/error.js';
import type { Origin, OriginType } from '../identity/identity.js';
import type { LivingTokens } from '../identity/reach.js';
import { isSignOut } from './cause.js';
import { originsOf } from './dry-run.js';
import type { Follower } from './follower.js';
import type { Survey } from './survey.js';

/** What is asked of the identity graph beside what the processor asks. */
export interface LivingTokensPort {
  /**
   * Tokens that lived at `atUs` and go back to origins, those used last first, `limit` at most; `issuer`: only those of it.
   * @throws KeelsonError `not_ready` in a process without the graph.
   */
  tokensOf(origins: readonly Origin[], atUs: number, limit: number, issuer?: string): LivingTokens;
}

/** What is done there ends, and nothing else: with what token is not kept. */
const PLACES: ReadonlySet<string> = new Set(['tool', 'environment']);

/**
 * Tokens that lived when an order was given, as far as the graph still knows them; undefined where nobody can tell.
 * @throws KeelsonError `not_ready` in a process without the graph.
 */
export async function tokensConcerned(
  follower: Pick<Follower, 'catchUp' | 'state' | 'size'>,
  survey: Survey,
  identity: LivingTokensPort,
  order: string,
  limit: number,
): Promise<LivingTokens | undefined> {
  await follower.catchUp();
  const { state } = follower;
  const cause = state.causes.get(order);
  if (cause === undefined) throw new KeelsonError('not_ready', 'this order is not folded yet', { retryAfterS: 1 });
  const orderedUs = cause.orderedUs ?? cause.committedUs;
  if (isSignOut(cause)) {
    const origins = [{ subjects: cause.subjects }];
    return identity.tokensOf(origins, orderedUs, limit, cause.target!.issuer);
  }
  const { target } = cause;
  if (target !== undefined && PLACES.has(target.type)) return undefined;
  const world = (await survey.ask(follower, [cause])).get(order)!;
  const origins = originsOf(cause, world, (subject) => state.hasLeft([subject]));
  if (origins === undefined) return undefined;
  const shown: Origin[] =
    target?.digest === undefined ? [] : [{ type: 'token' as OriginType, issuer: '', id: target.digest }];
  return identity.tokensOf([...origins, ...shown], orderedUs, limit);
}
