import { KeelsonError } from '../core/error.js';
import type { Readiness } from '../http/readiness.js';
import { Identity, type GraphSource } from '../identity/identity.js';
import { identityProjection, type GraphHolder } from '../identity/projection.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import type { Projection } from '../ledger/projection.js';
import { EVERYTHING } from '../search/filter.js';
import { search } from '../search/search.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';

/** The identity projection; its graph is in `holder` while this process folds. */
export const makeIdentityProjection = ({ clock }: Foundation, holder: GraphHolder = { graph: undefined }): Projection =>
  identityProjection(clock, holder);

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

/** The last recorded use, out of search: the newest decision that names one of these. */
export function lastUseIn({ database, config }: Foundation): GraphSource['lastUse'] {
  const options = { database, schema: 'keelson_search', timeoutMs: config.KEELSON_SEARCH_TIMEOUT_MS };
  const decided = { kind: 'type', texts: ['decision.made'] } as const;
  return async (kind, ids) => {
    const filters =
      kind === 'token'
        ? ids.map((text) => ({ ...EVERYTHING, names: [decided], things: [{ kind, text }] }))
        : [{ ...EVERYTHING, names: [{ kind, texts: ids }, decided] }];
    let last: bigint | null = null;
    for (const filter of filters) {
      const { hits } = await search(options, filter, 'desc', 1);
      const atUs = hits[0]?.appendedAtUs;
      if (atUs !== undefined && (last === null || atUs > last)) last = atUs;
    }
    return last;
  };
}
