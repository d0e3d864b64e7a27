import type { Registry } from 'prom-client';
import type { Access } from '../access/access.js';
import { ownedIssuers } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import { formatTimestamp, type JsonObject } from '../events/index.js';
import type { Readiness } from '../http/readiness.js';
import type { LivingTokens } from '../identity/reach.js';
import type { Intake } from '../intake/intake.js';
import { ProjectionRunner, readSizes } from '../ledger/projection-runner.js';
import { nodeHasher } from '../platform/hasher.js';
import { Causes } from '../revocation/causes.js';
import { tokensConcerned, type LivingTokensPort } from '../revocation/concerned.js';
import { Desk } from '../revocation/desk.js';
import { dryRun } from '../revocation/dry-run.js';
import { Follower } from '../revocation/follower.js';
import type { IdentityPort } from '../revocation/identity-port.js';
import { OverdueWatch, type OverdueNotice } from '../revocation/overdue.js';
import { Processor } from '../revocation/processor.js';
import { revocationProjection } from '../revocation/projection.js';
import type { RequestRoutesOptions } from '../revocation/request-routes.js';
import { Snapshots } from '../revocation/snapshot.js';
import type { KeyMaterial } from '../revocation/state.js';
import { Survey } from '../revocation/survey.js';
import { Terms } from '../revocation/term.js';
import type { Policy } from '../revocation/world.js';
import type { Message, Webhooks } from '../webhooks/webhooks.js';
import type { Foundation } from './foundation.js';
import type { LedgerParts } from './ledger.js';
import { VERSION } from './version.js';

export interface RevocationParts {
  readonly foundation: Foundation;
  readonly ledger: LedgerParts;
  readonly intake: Intake;
  readonly access: Access;
  readonly identity: IdentityPort & LivingTokensPort;
  readonly readiness: Readiness;
  readonly metrics: Registry;
  readonly webhooks: Pick<Webhooks, 'publish'>;
}

export const revocationMaterial = ({ keyring }: Foundation): KeyMaterial => ({
  hasher: nodeHasher,
  guardKey: keyring.macKey('guard/g1').export(),
});

export const makeRevocationProjection = (foundation: Foundation): ReturnType<typeof revocationProjection> =>
  revocationProjection({ snapshots: makeSnapshots(foundation), database: foundation.database });

export const makeSnapshots = (foundation: Foundation): Snapshots =>
  new Snapshots({
    material: revocationMaterial(foundation),
    macKey: foundation.keyring.macKey('snapshot'),
    release: VERSION,
    logger: foundation.logger,
  });

export interface RunningRevocation {
  readonly requests: RequestRoutesOptions;
  /** Which tokens an order is about, `limit` of them at most; undefined where nobody can tell. */
  readonly tokensConcerned: (order: string, limit: number) => Promise<LivingTokens | undefined>;
  /** Facts as soon as this process has folded them. */
  readonly onFacts: Follower['onFacts'];
  readonly close: () => Promise<void>;
}

/** Starts what turns causes into orders: the projection, the processor, the watch over what is overdue. */
export function openRevocation(parts: RevocationParts): RunningRevocation {
  const { foundation, ledger, intake, access, identity, readiness, metrics, webhooks } = parts;
  const { config, logger, clock, database, vault } = foundation;
  const { watch, reader } = ledger;
  const runner = new ProjectionRunner({
    database,
    reader,
    watch,
    logger,
    projection: makeRevocationProjection(foundation),
  });
  const follower = new Follower(database, watch, makeSnapshots(foundation));
  const survey = new Survey({
    identity,
    identify: (pseudonyms) => vault.identify(pseudonyms),
    sizes: () => readSizes(database),
    policyOf: (producer) => readPolicy(access, producer),
    logger,
  });
  const processor = new Processor({
    follower,
    terms: new Terms(database),
    survey,
    intake,
    clock,
    logger,
    settings: {
      holdCount: config.KEELSON_REVOCATION_HOLD_COUNT,
      holdShare: config.KEELSON_REVOCATION_HOLD_SHARE,
      holdUs: config.KEELSON_REVOCATION_HOLD_S * 1_000_000,
      tokenLifeUs: config.KEELSON_REVOCATION_TOKEN_DAYS * 86_400_000_000,
    },
  });
  const overdue = new OverdueWatch({
    database,
    clock,
    logger,
    metrics,
    overdueS: config.KEELSON_REVOCATION_OVERDUE_S,
    onOverdue: (notice) => webhooks.publish(sayOverdue(notice, clock.nowUs())),
  });
  readiness.add('revocation', async () => {
    const failure = runner.failure ?? processor.failure;
    if (failure instanceof KeelsonError) throw failure;
    if (failure !== undefined) throw new KeelsonError('not_ready', 'revocation does not go on');
    await overdue.requireNone();
  });
  runner.start();
  processor.start();
  const lookup = vault.lookup.bind(vault);
  const aliasesOf = async (pseudonym: string): Promise<readonly string[]> =>
    identity.isHere ? (await identity.aliasesOf(pseudonym)).subjects : [];
  return {
    requests: {
      desk: new Desk({ intake, access, causes: new Causes(database), hasher: nodeHasher, lookup, aliasesOf }),
      access,
      lookup,
      dryRun: (producer, asked) => dryRun(follower, survey, identity, producer, asked),
    },
    onFacts: (listener) => follower.onFacts(listener),
    tokensConcerned: (order, limit) => tokensConcerned(follower, survey, identity, order, limit),
    close: async () => {
      await Promise.all([processor.close(), overdue.close()]);
      await runner.close();
    },
  };
}

/** Told once of each cause, whichever process looks, and however often. */
function sayOverdue({ cause, position, waitedS }: OverdueNotice, nowUs: bigint): Message {
  const about: JsonObject =
    cause === undefined
      ? { unfolded_from: String(position) }
      : {
          order: cause.order,
          source: cause.producer,
          kind: cause.kind,
          state: cause.state,
          due_at: formatTimestamp(cause.dueUs),
        };
  return {
    type: 'revocation.overdue',
    timestampUs: nowUs,
    data: { ...about, waited_s: waitedS },
    key: cause?.order ?? `unfolded/${String(position)}`,
  };
}

/** What the configuration of producers says of a source. */
async function readPolicy(access: Access, producer: string): Promise<Policy> {
  try {
    const known = await access.producer(producer);
    return {
      owns: [...ownedIssuers(known)],
      expects: known.config.expects ?? [],
      groupless: known.config.groupless ?? [],
    };
  } catch (error) {
    if (error instanceof KeelsonError && error.code === 'not_found') return { owns: [], expects: [], groupless: [] };
    throw error;
  }
}
