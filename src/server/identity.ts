import { KeelsonError } from '../core/error.js';
import type { Cursors } from '../http/cursor.js';
import type { Readiness } from '../http/readiness.js';
import { Identity, type GraphSource } from '../identity/identity.js';
import { People } from '../identity/people.js';
import { identityProjection, type GraphHolder } from '../identity/projection.js';
import { IdentityReader } from '../identity/reader.js';
import type { IdentityRoutesOptions } from '../identity/route-options.js';
import { identitySchema } from '../identity/tables.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import type { Projection } from '../ledger/projection.js';
import { typedKeysOfToken } from '../protocol/token-keys.js';
import { checkFacts } from '../revocation/check.js';
import { EVERYTHING, type Filter } from '../search/filter.js';
import type { NameKind, ThingKind } from '../search/keys.js';
import { readPositions } from '../search/catalogue.js';
import { search, type Continuation, type Page } from '../search/search.js';
import type { Place } from '../search/statement.js';
import type { FindUses } from '../revocation/cases/evidence.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';
import { revocationMaterial } from './revocation.js';

/** The identity projection; its graph is in `holder` while this process folds. */
export const makeIdentityProjection = ({ clock }: Foundation, holder: GraphHolder = { graph: undefined }): Projection =>
  identityProjection({ clock, holder });

export interface RunningIdentity {
  readonly identity: Identity;
  readonly close: () => Promise<void>;
}

/** Starts to fold the identity graph. */
export function openIdentity(
  foundation: Foundation,
  { reader, watch }: LedgerParts,
  readiness: Readiness,
): RunningIdentity {
  const { database, logger } = foundation;
  const holder: GraphHolder = { graph: undefined };
  const projection = makeIdentityProjection(foundation, holder);
  const runner = new ProjectionRunner({ database, reader, watch, logger, projection });
  readiness.add('identity', () => {
    if (runner.failure instanceof KeelsonError) throw runner.failure;
    if (runner.failure !== undefined) throw new KeelsonError('not_ready', 'the identity graph does not go on');
  });
  runner.start();
  const identity = new Identity({
    get graph() {
      return holder.graph;
    },
    get positions() {
      return runner.positions;
    },
    waitUntil: (path, size, timeoutMs) => runner.waitUntil(path, size, timeoutMs),
    lastUse: lastUseIn(foundation),
  });
  return { identity, close: () => runner.close() };
}

const DECIDED = { kind: 'type', texts: ['decision.made'] } as const;

const searchOptions = ({ database, config }: Foundation) => ({
  database,
  schema: 'keelson_search',
  timeoutMs: config.KEELSON_SEARCH_TIMEOUT_MS,
});

/** The last recorded use, out of search: the newest decision that names one of these. */
export function lastUseIn(foundation: Foundation): GraphSource['lastUse'] {
  return async (kind, ids) => {
    const filters: Filter[] =
      kind === 'token' || kind === 'session'
        ? ids.map((text) => ({ ...EVERYTHING, names: [DECIDED], things: [{ kind, text }] }))
        : [{ ...EVERYTHING, names: [{ kind, texts: ids }, DECIDED] }];
    let last: bigint | null = null;
    for (const filter of filters) {
      const { hits } = await search(searchOptions(foundation), filter, 'desc', 1);
      const atUs = hits[0]?.appendedAtUs;
      if (atUs !== undefined && (last === null || atUs > last)) last = atUs;
    }
    return last;
  };
}

/** A place before which nothing stands, newest first. */
const NEWEST: Place = { appendedAtUs: (1n << 63n) - 1n, log: 32_767, index: (1n << 63n) - 1n };
const ALLOWED = { kind: 'decision', texts: ['allow'] } as const;

/** Decisions that let a token do something, out of search: of all tokens as of the same positions. */
export function openUses(foundation: Foundation): FindUses {
  return async () => {
    const positions = await readPositions(foundation.database);
    const within = new Map(positions.map(({ id, size }) => [id, { from: 0n, to: size }]));
    return {
      asOf: positions.map(({ path, size }) => ({ log: path, size })),
      async *usesOf(token) {
        const filter: Filter = { ...EVERYTHING, names: [DECIDED, ALLOWED], things: [{ kind: 'token', text: token }] };
        let next: Continuation | undefined = { within, after: NEWEST };
        while (next !== undefined) {
          const page: Page = await search(searchOptions(foundation), filter, 'desc', USES_AT_ONCE, next);
          for (const { path, index } of page.hits) yield { log: path, index };
          next = page.next;
        }
      },
    };
  };
}
const USES_AT_ONCE = 20;

const NAMES: ReadonlySet<string> = new Set<NameKind>(['agent', 'principal', 'tool', 'environment']);
const THINGS: ReadonlySet<string> = new Set<ThingKind>(['token', 'session']);

/** The first and last decision that names something, out of search, as far as that can be searched for. */
function usesIn(foundation: Foundation): IdentityRoutesOptions['uses'] {
  return async (kind, id, order, atUs) => {
    const appended = atUs === undefined ? {} : { toUs: atUs };
    let filter: Filter;
    if (NAMES.has(kind)) {
      filter = { ...EVERYTHING, appended, names: [{ kind: kind as NameKind, texts: [id] }, DECIDED] };
    } else if (THINGS.has(kind)) {
      filter = { ...EVERYTHING, appended, names: [DECIDED], things: [{ kind: kind as ThingKind, text: id }] };
    } else return undefined;
    const { hits } = await search(searchOptions(foundation), filter, order, 1);
    return hits[0];
  };
}

/** What the routes stand on: tables alone, so that any process answers. */
export function identityRoutes(
  foundation: Foundation,
  { views }: LedgerParts,
  issuers: () => Promise<Iterable<string>>,
  cursors: Cursors,
): IdentityRoutesOptions {
  const { database, config, clock, vault } = foundation;
  const material = revocationMaterial(foundation);
  return {
    reader: new IdentityReader({
      database,
      schema: identitySchema('keelson'),
      timeoutMs: config.KEELSON_SEARCH_TIMEOUT_MS,
    }),
    people: new People(vault, issuers),
    uses: usesIn(foundation),
    keysOf: (facts) => typedKeysOfToken(material.hasher, material.guardKey, facts),
    check: async (facts) => {
      const skewUs = config.KEELSON_REVOCATION_SKEW_MS * 1000;
      const { verdict, order } = await checkFacts(database, material, facts, Number(clock.nowUs()), skewUs);
      if (!verdict.revoked) return { revoked: false };
      return { revoked: true, reason: verdict.reason, ...(order === undefined ? {} : { order }) };
    },
    views,
    cursors,
    clock,
  };
}
