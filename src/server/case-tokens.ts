import type { NodeKind } from '../identity/kinds.js';
import { IdentityReader, keyOf } from '../identity/reader.js';
import type { Standing } from '../identity/standing.js';
import { identitySchema } from '../identity/tables.js';
import type { TokensPort } from '../revocation/cases/tokens-port.js';
import type { Foundation } from './foundation.js';
import { lastUseIn } from './identity.js';

/** Tokens that are counted, and told. */
const MAX_COUNTED = 1_000;
const MAX_TOLD = 100;
/** Things of a person's own whose tokens are looked for. */
const MAX_OWNED = 100;

const KINDS: ReadonlySet<string> = new Set<NodeKind>([
  'agent',
  'client',
  'grant',
  'session',
  'delegation',
  'tool',
  'environment',
]);

/** The tokens that an order concerns, out of the identity tables: those of persons and of what they own, or of what the order names. */
export function caseTokens(foundation: Foundation): TokensPort {
  const { database, config, clock } = foundation;
  const reader = new IdentityReader({
    database,
    schema: identitySchema('keelson'),
    timeoutMs: config.KEELSON_SEARCH_TIMEOUT_MS,
  });
  const lastUse = lastUseIn(foundation);

  const ancestorsOf: (order: Parameters<TokensPort['tokensOf']>[0]) => Promise<string[]> = async ({
    subjects,
    target,
  }) => {
    const people = subjects.length === 0 ? [] : await reader.peopleOf(subjects);
    const owned = people.length === 0 ? [] : await ownedBy(people);
    if (target === undefined || target.value === '' || !KINDS.has(target.type)) return [...people, ...owned];
    const named = await reader.keysOf(target.type as NodeKind, target.issuer || undefined, target.value);
    return [...people, ...owned, ...named];
  };
  const ownedBy = async (owners: readonly string[]): Promise<string[]> => {
    const pages = await Promise.all(
      (['agent', 'client'] as const).map((kind) => reader.nodes({ kind, owners }, clock.nowUs(), MAX_OWNED)),
    );
    return pages.flatMap(({ found }) => found.map(({ key }) => key));
  };
  const named = async ({ target }: Parameters<TokensPort['tokensOf']>[0]): Promise<Standing[]> => {
    if (target?.type !== 'token') return [];
    return [...(await reader.standings([keyOf('token', target.issuer, target.value)], clock.nowUs())).values()];
  };

  return {
    async tokensOf(order) {
      const above = await ancestorsOf(order);
      const page = above.length === 0 ? undefined : await reader.tokens({ above: [above] }, clock.nowUs(), MAX_COUNTED);
      const found = [...(await named(order)), ...(page?.found ?? [])];
      const told = found.sort((a, b) => (b.usedDay ?? 0) - (a.usedDay ?? 0)).slice(0, MAX_TOLD);
      const lastDay = told[0]?.usedDay ?? undefined;
      const last = told.filter(({ usedDay }) => usedDay === lastDay);
      const names = last.flatMap(({ id, token }) => [...(id === '' ? [] : [id]), ...(token?.digests ?? [])]);
      const lastUsedUs = lastDay === undefined ? null : await lastUse('token', names.slice(0, MAX_TOLD));
      return {
        count: found.length,
        atLeast: page?.next !== undefined,
        lastUsedUs: lastUsedUs ?? undefined,
        tokens: told.map(({ issuer, id, state, usedDay, token }) => ({
          issuer,
          id,
          digests: token?.digests ?? [],
          state,
          lastUsedDay: usedDay ?? undefined,
        })),
      };
    },
  };
}
