/** What the routes stand on, and what they share. */
import type { FastifyContextConfig } from 'fastify';
import type { Caller } from '../http/caller.js';
import type { Cursors } from '../http/cursor.js';
import type { Clock } from '../platform/clock.js';
import type { TokenFacts, TypedKey } from '../protocol/token-keys.js';
import { NodeViews } from './node-view.js';
import type { People } from './people.js';
import type { NodeType } from './query.js';
import type { IdentityReader } from './reader.js';
import type { Standing } from './standing.js';

/** A decision that names something. */
export interface UsePlace {
  readonly path: string;
  readonly index: bigint;
  readonly appendedAtUs: bigint;
}

export interface IdentityRoutesOptions {
  readonly reader: IdentityReader;
  readonly people: People;
  /** The first (`asc`) or last decision up to a time that names this; undefined for what decisions are not searched by. */
  readonly uses: (
    kind: NodeType,
    id: string,
    order: 'asc' | 'desc',
    atUs: bigint | undefined,
  ) => Promise<UsePlace | undefined>;
  /** The keys of the revocation table for these facts, and whether any of them is revoked now. */
  readonly keysOf: (facts: TokenFacts) => readonly TypedKey[];
  readonly check: (facts: TokenFacts) => Promise<{ revoked: boolean; reason?: string; order?: string }>;
  readonly views: {
    viewHits(
      places: readonly { path: string; index: bigint }[],
      options: { personal: boolean; proof: boolean },
    ): Promise<readonly string[]>;
  };
  readonly cursors: Cursors;
  readonly clock: Clock;
}

export const config: FastifyContextConfig = { access: ['read'] };
export const tags = ['identity'];
export const isPersonal = (caller: Caller): boolean => caller.scopes.has('read:personal');

/** Views that name the persons among these nodes, where the caller may see them. */
export async function viewsFor(
  { people }: IdentityRoutesOptions,
  caller: Caller,
  nodes: readonly Standing[],
): Promise<NodeViews> {
  const pseudonyms = nodes.filter(({ kind }) => kind === 'principal').map(({ id }) => id);
  return new NodeViews(isPersonal(caller) ? await people.identify(pseudonyms) : new Map());
}
