/** What a request would end, without ending anything. */
import type { Cause, Incomplete } from './cause.js';
import type { Follower } from './follower.js';
import type { Origin, Reach } from '../identity/identity.js';
import type { IdentityPort } from './identity-port.js';
import type { KeyCount } from './causes.js';
import { wantedKeys, type Wanted } from './order-keys.js';
import type { Survey } from './survey.js';
import { nameWorld, type World } from './world.js';

/** What would be asked for; `principal` is a pseudonym in hex. */
export type Asked = Pick<Cause, 'groups' | 'effect'> &
  Pick<Partial<Cause>, 'principal' | 'target' | 'mode' | 'successor'>;

export interface Blast {
  /** Names what was seen: for the order that follows. */
  readonly world: string;
  readonly reach: Reach;
  readonly subjects: readonly string[];
  readonly keys: readonly KeyCount[];
  readonly incomplete: readonly Incomplete[];
  /** Lifecycle entries that the graph knew. */
  readonly lifecycleSize: number;
}

/**
 * The blast radius of a request, as of now.
 * @throws KeelsonError `not_ready` in a process without the graph.
 */
export async function dryRun(
  follower: Pick<Follower, 'catchUp' | 'state' | 'size'>,
  survey: Survey,
  identity: IdentityPort,
  producer: string,
  asked: Asked,
): Promise<Blast> {
  await follower.catchUp();
  const { state } = follower;
  const cause = makeDraft(producer, asked, Number(follower.size) - 1);
  const world = (await survey.ask(follower, [cause])).get(cause.order)!;
  const wanted = wantedKeys(state.material, cause, world, (subject) => state.hasLeft([subject]));
  return {
    world: nameWorld(state.material.hasher, wanted.keys),
    reach: await identity.reachOf(originsOf(cause, world)),
    subjects: world.human.subjects,
    keys: countKeys(wanted),
    incomplete: wanted.incomplete,
    lifecycleSize: world.lifecycleSize,
  };
}

function originsOf({ target, principal }: Cause, { human }: World): Origin[] {
  if (principal !== undefined) return [{ subjects: human.subjects }];
  if (target === undefined || target.type === 'key') return [];
  return [{ type: target.type, issuer: target.issuer, id: target.value } as Origin];
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
