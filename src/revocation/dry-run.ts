/** What a request would end, without ending anything. */
import { KeelsonError } from '../core/error.js';
import type { Cause, Incomplete } from './cause.js';
import type { Follower } from './follower.js';
import type { Origin, OriginType } from '../identity/identity.js';
import type { Reach } from '../identity/reach.js';
import type { IdentityPort } from './identity-port.js';
import type { KeyCount } from './causes.js';
import { endOf, wantedKeys, type Wanted } from './order-keys.js';
import type { Survey } from './survey.js';
import { nameWorld, type World } from './world.js';

/** About how long another process takes to load the graph when it changes hands. */
const RETRY_S = 5;

/** What would be asked for; `principal` is a pseudonym in hex. */
export type Asked = Pick<Cause, 'groups' | 'effect'> &
  Pick<Partial<Cause>, 'principal' | 'target' | 'mode' | 'successor'>;

export interface Blast {
  /** Names what was seen: for the order that follows. */
  readonly world: string;
  /** Undefined where nobody can tell: a key is a hash of what it stands for, and the graph does not know what groups tokens list. */
  readonly reach: Reach | undefined;
  readonly subjects: readonly string[];
  readonly keys: readonly KeyCount[];
  readonly incomplete: readonly Incomplete[];
  /** Lifecycle entries that the graph knew. */
  readonly lifecycleSize: number;
}

/**
 * The blast radius of a request, as of now.
 * @throws KeelsonError `not_ready` in a process without the graph: it would answer with less than an order ends.
 */
export async function dryRun(
  follower: Pick<Follower, 'catchUp' | 'state' | 'size'>,
  survey: Survey,
  identity: IdentityPort,
  producer: string,
  asked: Asked,
): Promise<Blast> {
  if (!survey.isHere) {
    throw new KeelsonError('not_ready', 'another process holds the identity graph: ask that one', {
      retryAfterS: RETRY_S,
    });
  }
  await follower.catchUp();
  const { state } = follower;
  const cause = makeDraft(producer, asked, Number(follower.size) - 1);
  const world = (await survey.ask(follower, [cause])).get(cause.order)!;
  const hasLeft = (subject: string): boolean => state.hasLeft([subject]);
  const wanted = wantedKeys(state.material, cause, world, hasLeft);
  const origins = originsOf(cause, world, hasLeft);
  return {
    world: nameWorld(state.material.hasher, wanted.keys),
    reach: origins && (await identity.reachOf(origins)),
    subjects: world.human.subjects,
    keys: countKeys(wanted),
    incomplete: wanted.incomplete,
    lifecycleSize: world.lifecycleSize,
  };
}

/** What the order would be about, with what of theirs does not go on under a successor; undefined where that is not known. */
export function originsOf(
  cause: Cause,
  { human, owned }: World,
  hasLeft: (subject: string) => boolean,
): readonly Origin[] | undefined {
  const { target, groups } = cause;
  if (target === undefined) {
    if (groups.length > 0) return undefined;
    const ending = owned.filter((one) => endOf(cause, one, human.subjects, hasLeft) !== undefined);
    return [{ subjects: human.subjects }, ...ending];
  }
  const { type, issuer, value } = target;
  return type === 'key' ? undefined : [{ type: type as OriginType, issuer, id: value }];
}

/** The cause that would be, as far as its keys depend on it. */
const makeDraft = (producer: string, asked: Asked, index: number): Cause => ({
  ...asked,
  order: '',
  id: '',
  type: 'revocation.requested',
  producer,
  index,
  committedUs: 0,
  kind: 'request',
  groupsAdded: [],
  security: false,
  orders: [],
  state: 'pending',
  dueUs: 0,
  subjects: asked.principal === undefined ? [] : [asked.principal],
  parts: 0,
  complete: false,
  incomplete: [],
});

function countKeys({ keys }: Wanted): KeyCount[] {
  const counts = new Map<string, { type: string; change: 'block' | 'cutoff'; count: number }>();
  for (const { type, change } of keys.values()) {
    const name = `${type} ${change}`;
    const one = counts.get(name);
    if (one === undefined) counts.set(name, { type, change, count: 1 });
    else one.count++;
  }
  return [...counts.values()];
}
